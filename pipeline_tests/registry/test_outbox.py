"""The outbox: events are written with what they tell of, in order, and say what other systems rely on."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import text

from contracts import Metrics, Outcome, Severity
from pipeline import errors
from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.events.rabbitmq_sink import ROUTING_KEYS
from pipeline.registry import Registry, open_registry
from pipeline.registry.failures import RULES, advice_on
from pipeline.registry.inbox import Incoming
from pipeline.registry.outbox import Event, before_events
from pipeline.registry.plans import write_ledger
from pipeline.registry.records import Action, JobStatus
from pipeline.settings import Settings
from pipeline_tests.registry.builders import ledger_row, manifest, register, start

COMPLETED = {
    "event_type", "event_id", "tenant_id", "job_id", "job_name", "status", "results", "started_at", "completed_at",
    "timestamp",
}  # fmt: skip
RESULTS = {
    "successful_trainings", "failed_trainings", "total_products", "models_created", "average_accuracy",
    "training_duration_seconds",
}  # fmt: skip
MODEL = {"product_id", "product_name", "model_version", "accuracy", "mae", "rmse", "r2_score"}
FAILED = {
    "event_type", "event_id", "tenant_id", "job_id", "product_id", "product_name", "error_type", "error_message",
    "recommended_action", "severity", "timestamp",
}  # fmt: skip
SHORT = "Product requires minimum 30 days of sales data. Currently: {} days."


def told(registry: Registry, tenant_id: str | None = None) -> list[dict[str, Any]]:
    """The bodies of all events, the first first."""
    return [json.loads(event.body) for event in registry.events(tenant_id, limit=10_000)[::-1]]


def short(job_id: str, days: int, **changes: object) -> Any:
    """A ledger row of a product with so many days."""
    values: dict[str, Any] = {
        "outcome": Outcome.INSUFFICIENT,
        "version": None,
        "reason": SHORT.format(days),
        "error_type": "InsufficientDataError",
    }
    return ledger_row(job_id, "young", **{**values, **changes})


def test_a_completed_training_is_told_in_full(registry: Registry) -> None:
    """The event has the names and figures that other systems read, and UTC times that end in Z."""
    job_id = start(registry)
    figures = Metrics(n=9, accuracy=80.0, mae=2.0, rmse=3.0, r2_score=0.5, mape=20.0)
    version = register(registry, job_id, metrics=figures)
    register(registry, job_id, product_id="tart", metrics=Metrics(n=0))
    counts = {"trained": 2, "skipped": 4, "insufficient": 1, "failed": 2}
    registry.finish_job(job_id, "completed", counts=counts, names={"baguette": "Baguette de tradition"})
    (body,) = told(registry)
    assert (set(body), set(body["results"]), set(body["results"]["models_created"][0])) == (COMPLETED, RESULTS, MODEL)
    assert (body["event_type"], body["status"]) == ("training_completed", "completed")
    assert (body["tenant_id"], body["job_id"], body["job_name"]) == ("bakery", job_id, "weekly")
    results = body["results"]
    assert (results["successful_trainings"], results["failed_trainings"], results["total_products"]) == (2, 3, 9)
    first, second = results["models_created"]
    assert first == {
        "product_id": "baguette",
        "product_name": "Baguette de tradition",
        "model_version": version,
        "accuracy": 80.0,
        "mae": 2.0,
        "rmse": 3.0,
        "r2_score": 0.5,
    }
    assert (second["product_name"], second["accuracy"]) == ("tart", None)
    assert results["average_accuracy"] == 80.0
    job = registry.job("bakery", job_id)
    assert job.finished_at is not None
    assert results["training_duration_seconds"] == (job.finished_at - job.started_at).total_seconds()
    for name in ("started_at", "completed_at", "timestamp"):
        assert body[name].endswith("Z")
        assert dt.datetime.fromisoformat(body[name]).tzinfo == dt.UTC


def test_a_product_that_failed_is_told(registry: Registry) -> None:
    """The event names product, kind and message, advises by the kind, and shows no password."""
    job_id = start(registry)
    reason = "the store at s3://ana:secret@bucket/x is full"
    failed = ledger_row(job_id, "tart", outcome=Outcome.FAILED, version=None, reason=reason, error_type="StorageError")
    registry.record(failed, "Tarte aux pommes")
    (body,) = told(registry)
    assert set(body) == FAILED
    assert (body["product_id"], body["product_name"]) == ("tart", "Tarte aux pommes")
    assert (body["error_type"], body["severity"]) == ("StorageError", "high")
    assert body["error_message"] == "the store at s3://bucket/x is full"
    assert body["recommended_action"] == RULES["StorageError"].action


@pytest.mark.parametrize(("status", "kind"), [("failed", "LockedError"), ("cancelled", "Cancelled")])
def test_a_training_that_does_not_complete_is_told(registry: Registry, status: str, kind: str) -> None:
    """Its event names no product, and the error of the whole."""
    job_id = start(registry)
    registry.finish_job(job_id, status, counts={}, error="it stopped", kind=kind)
    (body,) = told(registry)
    assert (body["event_type"], body["product_id"], body["product_name"]) == ("training_failed", None, None)
    assert (body["error_type"], body["error_message"], body["severity"]) == (kind, "it stopped", "low")


def test_products_that_were_trained_or_skipped_are_not_told(registry: Registry) -> None:
    """Neither is an event of its own."""
    job_id = start(registry)
    registry.record(ledger_row(job_id, "a"))
    registry.record(ledger_row(job_id, "b", outcome=Outcome.SKIPPED, version=None))
    registry.register(manifest(job_id), ledger_row(job_id, "baguette"))
    assert told(registry) == []


def test_a_product_with_too_few_days_is_told_once(registry: Registry) -> None:
    """Day after day nothing more is said; another reason, or another failure in between, is said again."""
    for days in (14, 15, 16):
        registry.record(short(start(registry), days))
    assert [body["error_message"] for body in told(registry)] == [SHORT.format(14)]
    registry.record(short(start(registry), 16, reason="no day of sales can be used"))
    assert len(told(registry)) == 2
    registry.record(short(start(registry), 16, outcome=Outcome.FAILED, error_type="EngineError"))
    registry.record(short(start(registry), 17))
    assert [body["error_type"] for body in told(registry)[2:]] == ["EngineError", "InsufficientDataError"]
    registry.record(short(start(registry, "cafe"), 17, tenant_id="cafe"))
    assert len(told(registry, "cafe")) == 1


def test_a_failure_is_told_each_time_it_was_tried(registry: Registry) -> None:
    """Two trainings that fail are two events; recorded again for the same training it is one."""
    for job_id in (start(registry), start(registry)):
        for _ in range(2):
            registry.record(ledger_row(job_id, "a", outcome=Outcome.FAILED, version=None))
    assert len(told(registry)) == 2


def test_an_event_is_there_exactly_when_what_it_tells_is(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the event cannot be written neither the job's end nor the ledger row is, and the other way round."""
    job_id = start(registry)
    with registry._writing() as connection:
        connection.execute(text("ALTER TABLE outbox RENAME TO away"))
    try:
        with pytest.raises(RegistryError):
            registry.finish_job(job_id, "completed", counts={})
        with pytest.raises(RegistryError):
            registry.record(short(job_id, 15))
    finally:
        with registry._writing() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO outbox"))
    assert not registry.job("bakery", job_id).status.final
    assert registry.ledger("bakery") == []

    def torn(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.registry.plans.upsert", torn)
    with pytest.raises(KeyboardInterrupt):
        registry.record(short(job_id, 15))
    assert told(registry) == []


def test_a_tenants_events_appear_in_the_order_of_their_ids(prepared: Settings) -> None:
    """While several processes write, whoever looks never sees an id below one that was seen before."""
    with open_registry(prepared) as registry:
        jobs = [start(registry) for _ in range(4)]
        seen: list[int] = []
        ended = threading.Event()

        def write(job_id: str) -> None:
            for number in range(15):
                failed = ledger_row(job_id, f"p{number}", outcome=Outcome.FAILED, version=None)
                registry.record(failed)

        def look() -> None:
            while not ended.is_set():
                waiting = [event.id for event in registry.unpublished(1000)]
                assert waiting[: len(seen)] == seen
                seen[:] = waiting

        faults: list[BaseException] = []
        watching = threading.Thread(target=_noting(look, faults))
        writers = [threading.Thread(target=_noting(lambda job_id=job_id: write(job_id), faults)) for job_id in jobs]
        watching.start()
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        ended.set()
        watching.join()
        assert not faults
        assert len(registry.unpublished(1000)) == 60


def _noting(work: Any, faults: list[BaseException]) -> Any:
    def noted() -> None:
        try:
            work()
        except BaseException as error:
            faults.append(error)

    return noted


def test_published_events_wait_no_more(registry: Registry) -> None:
    """What was marked is left out of what waits, tenants that are stuck as well; lists have the last first."""
    for tenant_id in ("bakery", "cafe", "bakery"):
        registry.finish_job(start(registry, tenant_id), "completed", counts={})
    first, second, third = registry.unpublished(10)
    assert [event.tenant_id for event in (first, second, third)] == ["bakery", "cafe", "bakery"]
    assert [event.id for event in registry.unpublished(10, {"bakery"})] == [second.id]
    registry.mark_published([first.id])
    assert registry.waiting_events() == 2
    assert [event.id for event in registry.events("bakery")] == [third.id, first.id]
    assert [event.id for event in registry.events("bakery", waiting=True)] == [third.id]
    assert registry.events("bakery")[1].published_at is not None


def test_every_kind_of_error_has_advice() -> None:
    """Each error of ours, any of Python's and an unknown one leads to a rule; the nearest kind decides."""
    for name in vars(errors):
        if isinstance(getattr(errors, name), type):
            assert advice_on(name).action
    assert advice_on("WorkerDiedError") == RULES["ComputeError"]
    assert advice_on("IntegrityError") == RULES["IntegrityError"]
    assert advice_on("FileNotFoundError") == RULES["OSError"]
    assert advice_on("ValueError") == advice_on("SomethingElse") == RULES["Exception"]
    assert advice_on("InsufficientDataError").severity is Severity.LOW


def test_a_product_with_too_few_days_is_found_by_an_index(tmp_path: Path) -> None:
    """The ledger's last word on a product is looked up without a walk over the tenant's whole ledger."""
    with open_registry(Settings(pipeline_home=tmp_path)) as registry, registry._reading() as connection:
        query = (
            "EXPLAIN QUERY PLAN SELECT outcome FROM training_ledger WHERE tenant_id = 'a' AND product_key = 'b' "
            "ORDER BY id DESC LIMIT 1"
        )
        (row,) = connection.execute(text(query))
    assert "USING INDEX ix_training_ledger_tenant_id_product_key_id" in row.detail


def test_what_has_had_its_time_goes(registry: Registry) -> None:
    """Events that were sent, and messages that were handled, go after their days; what waits stays, however old."""
    for _ in range(2):
        registry.finish_job(start(registry), "completed", counts={})
    first, second = registry.unpublished(10)
    registry.mark_published([first.id])
    for name in ("a", "b"):
        assert registry.take_in(Incoming(name, "sales_imported", "bakery", "{}"))
    handled, waiting = registry.waiting_messages()
    registry.mark_handled(handled.id, "run 1")
    now = dt.datetime.now(dt.UTC)
    assert (registry.old_events(now - dt.timedelta(minutes=5)), registry.old_events(now)) == (0, 2)
    assert registry.delete_events(now - dt.timedelta(minutes=5)) == 0
    assert registry.delete_events(now) == 2
    assert [event.id for event in registry.events()] == [second.id]
    assert [message.id for message in registry.messages()] == [waiting.id]


def test_a_message_is_handled_once(registry: Registry) -> None:
    """The first outcome stands; what is handled can no more be claimed."""
    registry.take_in(Incoming("a", "sales_imported", "bakery", "{}"))
    assert not registry.take_in(Incoming("a", "sales_imported", "bakery", "other"))
    (message,) = registry.waiting_messages()
    registry.mark_handled(message.id, "first")
    registry.mark_handled(message.id, "second")
    (handled,) = registry.messages("bakery")
    assert (handled.outcome, handled.body) == ("first", "{}")
    assert registry.messages(waiting=True) == []
    assert not registry.claim_request(message, dt.timedelta(0))


def test_messages_are_kept_all_or_none(registry: Registry) -> None:
    """Where one cannot be written none is there, those before it neither; of each it is said whether it is new."""
    sound, torn = Incoming("a", "sales_imported", "bakery", "{}"), Incoming("b", "sales_imported", "bakery", None)  # type: ignore[arg-type]
    with pytest.raises(RegistryError):
        registry.take_in_all([sound, torn])
    assert registry.messages() == []
    registry.take_in(sound)
    assert registry.take_in_all([replace(sound, message_id="c"), sound]) == [True, False]
    assert registry.take_in_all([]) == []


def test_two_that_keep_the_same_messages_do_not_wait_for_each_other_for_ever(prepared: Settings) -> None:
    """However their orders differ, both end, and each message is new to one of them."""
    messages = [Incoming(str(number), "sales_imported", "bakery", "{}") for number in range(300)]
    with open_registry(prepared) as registry, ThreadPoolExecutor(2) as pool:
        one, other = pool.map(registry.take_in_all, (messages, messages[::-1]))
    assert [new != again for new, again in zip(one, other[::-1], strict=True)] == [True] * 300


def test_the_most_urgent_are_claimed_first(registry: Registry) -> None:
    """By rank, among equals by the order in which they came."""
    for name, rank in (("a", 10), ("b", 0), ("c", -20), ("d", 0)):
        registry.take_in(Incoming(name, "training_trigger", "bakery", "{}", rank))
    free = registry.unclaimed_messages(3, dt.timedelta(minutes=5))
    assert [one.message_id for one in free] == ["c", "b", "d"]


def test_an_event_that_is_dropped_waits_no_more(registry: Registry) -> None:
    """It is in the audit with what it said, goes with its days, and can be dropped once; one that was sent cannot."""
    for _ in range(2):
        registry.finish_job(start(registry), "completed", counts={})
    first, second = registry.unpublished(10)
    assert registry.give_up_event(first.event_id, actor="ana", reason="too large").id == first.id
    registry.mark_published([second.id])
    assert (registry.unpublished(10), registry.waiting_events(), registry.events(waiting=True)) == ([], 0, [])
    (entry,) = registry.audit("bakery")
    assert (entry.action, entry.actor, entry.reason) == (Action.DROP_EVENT, "ana", "too large")
    assert (entry.subject, entry.details["body"]) == (f"event {first.event_id}", first.body)
    for event_id in (first.event_id, second.event_id, "nothing"):
        with pytest.raises(NotRegisteredError, match="events list --waiting"):
            registry.give_up_event(event_id, actor="ana", reason="again")
    assert len(registry.audit("bakery")) == 1
    assert registry.delete_events(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)) == 2


def test_an_event_that_was_sent_meanwhile_was_not_dropped(registry: Registry) -> None:
    """A relay that was sending it has the last word."""
    registry.finish_job(start(registry), "completed", counts={})
    (event,) = registry.unpublished(10)
    registry.give_up_event(event.event_id, actor="ana", reason="too large")
    registry.mark_published([event.id])
    (found,) = registry.events()
    assert (found.published_at is not None, found.dropped_at) == (True, None)


def test_of_many_claims_one_counts(registry: Registry) -> None:
    """Of eight that claim a message at once, one is told that it may ask."""
    registry.take_in(Incoming("a", "sales_imported", "bakery", "{}"))
    (message,) = registry.waiting_messages()
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: registry.claim_request(message, dt.timedelta(minutes=5)), range(8)))
    assert sorted(claims) == [False] * 7 + [True]


def test_what_was_claimed_keeps_nothing_else_waiting(registry: Registry) -> None:
    """Those whose run was just asked for are not among the free ones, however few are asked for; later they are."""
    for name in "abcd":
        registry.take_in(Incoming(name, "sales_imported", "bakery", "{}"))
    minutes = dt.timedelta(minutes=5)
    for message in registry.waiting_messages(2):
        assert registry.claim_request(message, minutes)
    assert [one.message_id for one in registry.unclaimed_messages(1, minutes)] == ["c"]
    assert [one.message_id for one in registry.unclaimed_messages(9, minutes)] == ["c", "d"]
    assert [one.message_id for one in registry.unclaimed_messages(9, dt.timedelta(0))] == ["a", "b", "c", "d"]
    registry.mark_handled(registry.waiting_messages(9)[2].id, "done")
    assert [one.message_id for one in registry.unclaimed_messages(9, minutes)] == ["d"]


def test_every_event_has_its_way() -> None:
    """Each kind of event that can be written has a routing key of its own at the broker."""
    kinds = {get_args(kind.model_fields["event_type"].annotation)[0] for kind in get_args(Event)}
    assert kinds == set(ROUTING_KEYS)
    assert len(set(ROUTING_KEYS.values())) == len(kinds)


def test_two_that_tell_of_one_job_take_their_locks_in_one_order(migrated_postgres: str, tmp_path: Path) -> None:
    """A training that lost its lock records a failure while another ends its job: neither waits for ever."""
    settings = Settings(pipeline_home=tmp_path, database_url=migrated_postgres)
    with open_registry(settings) as registry, ThreadPoolExecutor(1) as pool:
        job_id = start(registry)
        with registry._writing() as connection:
            before_events(connection, "bakery")
            ending = pool.submit(registry.finish_job, job_id, "failed", counts={}, error="it was lost")
            until_somebody_waits(registry)
            write_ledger(connection, ledger_row(job_id, "tart", outcome=Outcome.FAILED, version=None))
        ending.result(30)
        assert registry.job("bakery", job_id).status is JobStatus.FAILED
        assert [body["product_id"] for body in told(registry)] == ["tart", None]


def until_somebody_waits(registry: Registry) -> None:
    """Return once a session of this database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with registry._reading() as connection:
            if connection.scalar(waiting):
                return
        time.sleep(0.05)
    pytest.fail("nobody waits for a lock")
