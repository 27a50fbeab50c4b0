"""The relay: everything arrives, a tenant's events in order, whatever becomes of broker and relays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.errors import RefusedEventError
from pipeline.events import relay as relay_module
from pipeline.events.file import FileSink
from pipeline.events.refused import drop_event
from pipeline.events.relay import ANOTHER, LOCK, relay, relay_after_training
from pipeline.installation import Installation
from pipeline.registry.locks import hold
from pipeline.registry.outbox import OutboxRecord
from pipeline_tests.events.broker import Corner, Way
from pipeline_tests.events.conftest import reached
from pipeline_tests.events.telling import fail, first_of_each, lines
from pipeline_tests.training.shop import Shop


def arrived(rabbit: Corner) -> list[dict[str, Any]]:
    """What a consumer has been sent so far, repeats included."""
    return [json.loads(body) for _, _, body in rabbit.take(rabbit.heard)]


@contextmanager
def another(installation: Installation, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready to relay, and begins at a new line."""
    settings = installation.settings
    world = {**os.environ, "PIPELINE_HOME": str(settings.home), "RABBITMQ_PREFIX": settings.rabbitmq_prefix}
    if settings.database_url is not None:
        world["DATABASE_URL"] = settings.database_url
    if settings.rabbitmq_url is not None:
        world["RABBITMQ_URL"] = settings.rabbitmq_url.get_secret_value()
    command = [sys.executable, "-m", "pipeline_tests.events.relaying", *words]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=world, **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_what_waits_is_sent_once_in_order(to_rabbit: Installation, rabbit: Corner) -> None:
    """All that waits arrives in the order of its ids, is marked, and is not sent again."""
    ids = fail(to_rabbit.registry, *(f"p{number}" for number in range(120)))
    done = relay(to_rabbit, 30)
    assert (done.sent, done.waiting, done.fault) == (120, 0, None)
    assert [one["event_id"] for one in arrived(rabbit)] == ids
    assert relay(to_rabbit, 30).sent == 0
    assert arrived(rabbit) == []


def test_a_broker_that_is_down_for_a_while_misses_nothing(to_rabbit: Installation, rabbit: Corner, way: Way) -> None:
    """What is told before, during and after arrives, each tenant's in order, each once but for repeats of an id."""
    installation = reached(to_rabbit, way.url())
    told: dict[str, list[str]] = {"bakery": [], "cafe": []}
    for number, state in enumerate(("open", "closed", "closed", "open", "closed", "open")):
        way.set(state)
        for tenant_id, ids in told.items():
            ids.extend(fail(to_rabbit.registry, f"a{number}", f"b{number}", tenant_id=tenant_id))
        done = relay(installation, 3)
        assert (done.fault is None) == (state == "open"), done
        assert (done.waiting == 0) == (state == "open"), done
    events = arrived(rabbit)
    for tenant_id, ids in told.items():
        assert first_of_each([one["event_id"] for one in events if one["tenant_id"] == tenant_id]) == ids


def test_a_broker_lost_half_way_repeats_little(to_rabbit: Installation, rabbit: Corner, way: Way) -> None:
    """The connection is cut while events are sent: what was confirmed is marked, all the rest comes, in order."""
    installation = reached(to_rabbit, way.url())
    ids = fail(to_rabbit.registry, *(f"p{number}" for number in range(40)))
    send, seen = relay_module.opened_sink, []

    @contextmanager
    def cut_half_way(*arguments: Any) -> Iterator[Any]:
        with send(*arguments) as sink:

            class Cut:
                def send(self, event: OutboxRecord) -> None:
                    seen.append(event.event_id)
                    if len(seen) == 20:
                        way.set("closed")
                    sink.send(event)

            yield Cut()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay_module, "opened_sink", cut_half_way)
        done = relay(installation, 5)
    assert (done.sent, done.waiting) == (19, 21)
    assert "RabbitMQ at amqp://127.0.0.1" in (done.fault or "")
    way.set("open")
    assert relay(installation, 5).sent == 21
    assert first_of_each([one["event_id"] for one in arrived(rabbit)]) == ids


def test_a_silent_broker_is_given_up(to_rabbit: Installation, way: Way) -> None:
    """A broker that takes the connection and never answers costs a bounded time."""
    fail(to_rabbit.registry, "a")
    way.set("silent")
    begun = time.monotonic()
    done = relay(reached(to_rabbit, way.url()), 1)
    assert time.monotonic() - begun < 5
    assert (done.sent, done.waiting) == (0, 1)
    assert done.fault is not None


def test_a_broker_that_falls_silent_is_given_up(to_rabbit: Installation, rabbit: Corner, way: Way) -> None:
    """It confirms nothing any more: heartbeats give it up, and what was not confirmed comes again, under its id."""
    ids = fail(to_rabbit.registry, "a", "b")
    send = relay_module.opened_sink

    @contextmanager
    def silent(*arguments: Any) -> Iterator[Any]:
        with send(*arguments) as sink:
            way.set("silent")
            yield sink

    begun = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay_module, "opened_sink", silent)
        done = relay(reached(to_rabbit, way.url()), 1)
    assert time.monotonic() - begun < 2 * 1 + 12
    assert (done.sent, done.waiting) == (0, 2)
    assert relay(to_rabbit, 10).sent == 2
    assert first_of_each([one["event_id"] for one in arrived(rabbit)]) == ids


def test_a_relay_that_is_killed_loses_nothing(to_rabbit: Installation, rabbit: Corner) -> None:
    """Killed between sending and marking, it leaves events that are sent again under the same ids, in order."""
    ids, later = killed_and_relayed(to_rabbit)
    found = [one["event_id"] for one in arrived(rabbit)]
    assert found == [*ids, *ids, *later]
    assert first_of_each(found) == [*ids, *later]


def test_a_relay_to_files_that_is_killed_loses_nothing(to_files: Installation) -> None:
    """The same holds for files."""
    ids, later = killed_and_relayed(to_files)
    assert [one["event_id"] for one in lines(to_files)] == [*ids, *ids, *later]


def killed_and_relayed(installation: Installation) -> tuple[list[str], list[str]]:
    """Kill a relay before it marks, relay again, and return the ids from before and after the kill."""
    ids = fail(installation.registry, "a", "b", "c")
    with another(installation, "killed") as process:
        process.communicate("\n", 60)
        assert process.returncode == -9
    assert installation.registry.waiting_events() == 3
    later = fail(installation.registry, "d")
    assert relay(installation, 10).sent == 4
    return ids, later


def test_two_relays_neither_double_nor_reorder(to_rabbit: Installation, rabbit: Corner) -> None:
    """Of relays in three processes at once, while events are written, each event is sent by one, in order."""
    ids = fail(to_rabbit.registry, *(f"p{number}" for number in range(100)))
    with another(to_rabbit) as first, another(to_rabbit) as second:
        for process in (first, second):
            process.stdin.write("\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        while first.poll() is None or second.poll() is None:
            ids += fail(to_rabbit.registry, "more")
            relay(to_rabbit, 1)
        assert (first.wait(60), second.wait(60)) == (0, 0)
    relay(to_rabbit, 30)
    assert [one["event_id"] for one in arrived(rabbit)] == ids


def test_while_another_relays_one_says_so(to_files: Installation) -> None:
    """Who finds another at work waits for nothing, and says why nothing was sent."""
    fail(to_files.registry, "a")
    with hold(to_files.settings, LOCK, 0, lambda: None):
        begun = time.monotonic()
        assert str(relay(to_files, 5)) == f"0 events sent, 1 waiting: {ANOTHER}"
        assert time.monotonic() - begun < 3


def test_a_refused_event_holds_up_its_tenant_alone(to_files: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tenant's later events wait behind it, others are sent, with an alert, which ends once its turn came again."""
    (poison, behind), others = fail(to_files.registry, "a", "b"), fail(to_files.registry, "x", "y", tenant_id="cafe")
    write = FileSink.send

    def refusing(self: FileSink, event: OutboxRecord) -> None:
        if event.event_id == poison:
            raise RefusedEventError(f"{event.event_id} is too large")
        write(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(FileSink, "send", refusing)
        done = relay(to_files, 10)
    assert (done.sent, done.waiting, done.fault) == (3, 2, f"{poison} is too large")
    (alert,) = to_files.registry.alerts()
    assert (alert.kind, alert.tenant_id, alert.subject) == ("event_refused", "", f"event {poison} of bakery")
    assert alert.message == f"{poison} is too large; later ones wait behind it"
    assert f"`pipeline events drop {poison} --reason TEXT`" in alert.action
    *first, raised = lines(to_files)
    assert [one["event_id"] for one in first] == others
    assert (raised["event_type"], raised["alert_id"]) == ("alert_raised", alert.id)
    assert relay(to_files, 10).sent == 3
    *_, last, next_to_it, ended = lines(to_files)
    assert [last["event_id"], next_to_it["event_id"]] == [poison, behind]
    assert (ended["event_type"], ended["outcome"]) == ("alert_ended", "it was sent")
    assert to_files.registry.alerts() == []


def test_a_refused_event_that_is_dropped_holds_up_nothing(
    to_files: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused again and again it is one alert; dropped, it is never sent, its tenant's later ones are, in order."""
    poison, *behind = fail(to_files.registry, "a", "b", "c")
    write = FileSink.send

    def refusing(self: FileSink, event: OutboxRecord) -> None:
        if event.event_id == poison:
            raise RefusedEventError(f"{event.event_id} is too large")
        write(self, event)

    monkeypatch.setattr(FileSink, "send", refusing)
    for _ in range(3):
        relay(to_files, 10)
    assert [alert.times for alert in to_files.registry.alerts()] == [3]
    drop_event(to_files.registry, poison, actor="ana", reason="larger than the broker takes")
    assert relay(to_files, 10).fault is None
    assert [one["event_id"] for one in lines(to_files) if one["event_type"] == "training_failed"] == behind
    (alert,) = to_files.registry.alerts(ended=True)
    assert alert.outcome == "dropped by ana: larger than the broker takes"
    assert to_files.registry.waiting_events() == 0


def test_a_relay_keeps_to_its_time(to_files: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow sink is left when the time is over; what was sent is marked, the rest waits without a fault."""
    fail(to_files.registry, *(f"p{number}" for number in range(50)))
    write = FileSink.send

    def slow(self: FileSink, event: OutboxRecord) -> None:
        time.sleep(0.05)
        write(self, event)

    monkeypatch.setattr(FileSink, "send", slow)
    done = relay(to_files, 0.4)
    assert 0 < done.sent < 20
    assert (done.waiting, done.fault) == (50 - done.sent, None)
    assert len(lines(to_files)) == done.sent


def test_after_a_training_nothing_is_raised(
    to_files: Installation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong there is a warning, and the training's end stands."""
    fail(to_files.registry, "a")
    to_files.home.root.mkdir(exist_ok=True)
    to_files.home.events.write_text("in the way")
    relay_after_training(to_files)

    def broken(*_arguments: object) -> None:
        raise RuntimeError("something that nobody foresaw")

    monkeypatch.setattr(relay_module, "relay", broken)
    relay_after_training(to_files)
    first, second = (record.getMessage() for record in caplog.records)
    assert "0 events sent, 1 waiting: events cannot be written to" in first
    assert "nobody foresaw" in second


def test_a_training_goes_on_without_its_broker(fresh: Shop, way: Way, rabbit: Corner) -> None:
    """With the broker down products are trained as ever, at a bounded cost; once it is back all is told, in order."""
    way.set("closed")
    fresh.configure(rabbitmq_url=SecretStr(way.url()), rabbitmq_prefix=rabbit.prefix, events_seconds=2)
    done, job = fresh.train()
    assert sum(one.manifest is not None for one in done) == 5
    opened = fresh.installation
    assert opened.registry.job("bakery", job.trainer.job_id).status == "completed"
    way.set("open")
    assert relay(opened, 10).sent == 2
    short, completed = arrived(rabbit)
    assert (short["event_type"], short["error_type"]) == ("training_failed", "InsufficientDataError")
    assert short["error_message"] == "Product requires minimum 30 days of sales data. Currently: 15 days."
    assert completed["event_type"] == "training_completed"
    results = completed["results"]
    made = {one.manifest.product_id: one.manifest for one in done if one.manifest is not None}
    assert {one["product_id"]: one["model_version"] for one in results["models_created"]} == {
        product: manifest.version for product, manifest in made.items()
    }
    for one in results["models_created"]:
        assert one["mae"] == made[one["product_id"]].metrics.mae
    assert (results["successful_trainings"], results["failed_trainings"], results["total_products"]) == (5, 1, 7)
    fresh.train()
    assert [one["event_type"] for one in arrived(rabbit)] == ["training_completed"]
