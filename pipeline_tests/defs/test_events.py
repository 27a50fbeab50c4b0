"""The sensors that speak with other systems: events go out, messages become runs, each once."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import update

from contracts import Outcome
from pipeline.defs.events import sensors
from pipeline.defs.events.sensors import AGAIN_AFTER
from pipeline.defs.resources import InstallationResource
from pipeline.events.messages import read_message
from pipeline.registry.inbox import InboxRecord
from pipeline.registry.tables import InboxMessage
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, World, definitions
from pipeline_tests.registry.builders import ledger_row, start

SOLD = tills.STEADY[0]
RUN_KEY = "dagster/run_key"


def send(world: World, event_type: str, **fields: Any) -> str:
    """Put a message into the inbox, and return its name."""
    message = read_message(json.dumps({"event_type": event_type, **fields}).encode())
    with world.entered() as installation:
        installation.registry.take_in(message)
    return message.message_id


def trigger(world: World, tenant_id: str, products: object = "all", **fields: Any) -> str:
    """Put a trigger into the inbox."""
    return send(world, "training_trigger", tenant_id=tenant_id, products=products, **fields)


def tick(world: World, sensor: str = "messages") -> Any:
    """Let a sensor look once."""
    with world.instance() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"installation": InstallationResource()})
        return definitions().resolve_sensor_def(sensor)(context)


def asked(found: Any) -> list[dg.RunRequest]:
    """What a tick asks for."""
    return list(found.run_requests or ())


def inbox(world: World) -> dict[str, InboxRecord]:
    """The messages by name."""
    with world.entered() as installation:
        return {one.message_id: one for one in installation.registry.messages()}


@pytest.fixture
def two(empty: World) -> World:
    """A world with two tenants, of which nothing was trained."""
    for tenant_id in (TWIN, ODD):
        empty.add(tenant_id, tills.write(tills.steady("Bun", days=40), empty.root / f"{tenant_id}.csv"))
    return empty


def key(world: World, name: str) -> str:
    """The run key of a message."""
    return inbox(world)[name].key


def launched(world: World, request: dg.RunRequest) -> str:
    """Make the run that was asked for, as the daemon does, and return its id."""
    job = definitions().resolve_job_def(request.job_name or "")
    with world.instance() as instance:
        return instance.create_run_for_job(job, tags={**request.tags, RUN_KEY: request.run_key or ""}).run_id


def test_a_trigger_for_products_becomes_their_training(copy: World):
    """The named products are asked for at once, in the queue's place that their priority has."""
    name = trigger(copy, ODD, [SOLD, SOLD], priority="urgent")
    (request,) = asked(tick(copy))
    assert (request.job_name, request.partition_key, request.run_key) == ("retrain_products", ODD, key(copy, name))
    assert request.run_config == {"ops": {"training_plan": {"config": {"products": [SOLD]}}}}
    assert request.tags["dagster/priority"] == "20"
    assert (request.tags["tenant"], request.tags["cause"]) == (ODD, "training trigger")
    assert request.tags["pipeline/correlation"] == name


def test_a_trigger_for_all_becomes_a_scheduled_training(copy: World):
    """All products with new sales are due, as every week; without a priority it is an ordinary run."""
    trigger(copy, TWIN)
    (request,) = asked(tick(copy))
    assert (request.job_name, request.partition_key) == ("train_and_forecast", TWIN)
    assert request.run_config == {"ops": {"training_plan": {"config": {"scheduled": True}}}}
    assert request.tags["dagster/priority"] == "0"


def test_imported_sales_become_a_run(copy: World):
    """The tenant's whole way from sales to forecasts is asked for, and trains what is due by itself."""
    send(copy, "sales_imported", tenant_id=TWIN, source="till 3", rows=120)
    (request,) = asked(tick(copy))
    assert (request.job_name, request.partition_key, request.run_config) == ("train_and_forecast", TWIN, {})


def test_the_urgent_are_asked_for_first(copy: World):
    """In one tick the order is that of the priorities, among equals that of the messages."""
    names = {
        priority: trigger(copy, ODD, [SOLD], priority=priority) for priority in ("low", "high", "normal", "urgent")
    }
    later = trigger(copy, TWIN, priority="high")
    assert [request.run_key for request in asked(tick(copy))] == [
        key(copy, name) for name in (names["urgent"], names["high"], later, names["normal"], names["low"])
    ]


def test_the_urgent_come_first_whatever_waits(copy: World, monkeypatch: pytest.MonkeyPatch):
    """An urgent message is asked for in the next tick, however many of less came before it."""
    monkeypatch.setattr(sensors, "AT_ONCE", 2)
    low = [trigger(copy, ODD, [SOLD], priority="low", event_id=str(number)) for number in range(3)]
    urgent = trigger(copy, TWIN, priority="urgent")
    high = trigger(copy, ODD, [SOLD], priority="high")
    assert [request.run_key for request in asked(tick(copy))][:2] == [key(copy, urgent), key(copy, high)]
    tick(copy)
    assert [inbox(copy)[name].asked_at is not None for name in (*low, urgent, high)] == [True] * 5


def test_a_trigger_in_the_same_words_is_another_once_the_first_is_forgotten(copy: World):
    """After its row was purged it is asked for anew, and its outcome is the new run and not the old one."""
    name = trigger(copy, ODD, [SOLD])
    (first,) = asked(tick(copy))
    old = launched(copy, first)
    tick(copy)
    with copy.entered() as installation:
        installation.registry.delete_events(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1))
    assert trigger(copy, ODD, [SOLD]) == name
    (second,) = asked(tick(copy))
    assert second.run_key != first.run_key
    new = launched(copy, second)
    tick(copy)
    assert new != old
    assert inbox(copy)[name].outcome == f"run {new} of retrain_products: 1 products"


def test_imported_sales_that_wait_together_are_one_run(two: World):
    """All of a tenant, however many, become one run that each names; what comes after it was asked for is another."""
    told = [send(two, "sales_imported", tenant_id=TWIN, source="till", rows=number) for number in range(60)]
    other = send(two, "sales_imported", tenant_id=ODD, source="till", rows=1)
    (first,), (second,) = asked(tick(two)), asked(tick(two))
    assert (first.partition_key, second.partition_key) == (TWIN, ODD)
    late = send(two, "sales_imported", tenant_id=TWIN, source="till", rows=99)
    (third,) = asked(tick(two))
    assert (third.partition_key, third.run_key) == (TWIN, key(two, late))
    runs = {request.run_key: launched(two, request) for request in (first, second, third)}
    for _ in range(2):
        assert asked(tick(two)) == []
    with two.entered() as installation:
        found = {one.message_id: one for one in installation.registry.messages(limit=100)}
    assert all(one.handled_at for one in found.values())
    assert {found[name].run_key for name in told} == {first.run_key}
    assert found[told[7]].outcome == f"run {runs[first.run_key]} of train_and_forecast: 7 rows imported from 'till'"
    assert f"run {runs[second.run_key]} of" in (found[other].outcome or "")
    assert f"run {runs[third.run_key]} of" in (found[late].outcome or "")


def test_imported_sales_whose_run_was_never_made_are_asked_for_together_again(two: World):
    """What waits for a lost run is asked for under its key; what came since does not join, for it may be there yet."""
    told = [send(two, "sales_imported", tenant_id=TWIN, source="till", rows=number) for number in range(3)]
    (lost,) = asked(tick(two))
    with two.entered() as installation, installation.registry._writing() as connection:
        earlier = dt.datetime.now(dt.UTC) - AGAIN_AFTER - dt.timedelta(seconds=1)
        connection.execute(update(InboxMessage).values(asked_at=earlier))
    late = send(two, "sales_imported", tenant_id=TWIN, source="till", rows=9)
    assert [request.run_key for request in asked(tick(two))] == [lost.run_key, key(two, late)]
    assert {key(two, name) for name in told} == {lost.run_key}
    assert key(two, late) != lost.run_key


def test_a_message_is_handled_once_its_run_is_there(copy: World):
    """Until then it waits, and is not asked for again; then its outcome names the run, and it is done with."""
    name = trigger(copy, ODD, [SOLD])
    (request,) = asked(tick(copy))
    again = tick(copy)
    assert asked(again) == []
    assert "its run was asked for and is not there yet" in again.skip_reason.skip_message
    assert inbox(copy)[name].handled_at is None
    run_id = launched(copy, request)
    assert asked(tick(copy)) == []
    handled = inbox(copy)[name]
    assert handled.handled_at is not None
    assert handled.outcome == f"run {run_id} of retrain_products: 1 products"
    assert tick(copy).skip_reason.skip_message == "no message waits"


def test_a_run_that_was_never_made_is_asked_for_again(copy: World):
    """A daemon that dies after asking loses nothing: after a while the message is asked for under the same key."""
    name = trigger(copy, ODD, [SOLD])
    assert len(asked(tick(copy))) == 1
    with copy.entered() as installation, installation.registry._writing() as connection:
        earlier = dt.datetime.now(dt.UTC) - AGAIN_AFTER - dt.timedelta(seconds=1)
        connection.execute(update(InboxMessage).values(asked_at=earlier))
    (request,) = asked(tick(copy))
    assert request.run_key == key(copy, name)


def test_of_two_daemons_one_asks(copy: World):
    """Two that look at the same message at the same time: one of them is told that it is claimed."""
    trigger(copy, ODD, [SOLD])
    with copy.entered() as installation:
        (message,) = installation.registry.waiting_messages()
        claims = [installation.registry.claim_request(message, AGAIN_AFTER) for _ in range(2)]
    assert claims == [True, False]
    assert asked(tick(copy)) == []


@pytest.mark.parametrize(
    ("tenant_id", "products", "why"),
    [
        ("nobody", "all", "nobody"),
        (ODD, ["Moon cake"], f"tenant '{ODD}' does not sell 'Moon cake'"),
        (ODD, [f"Moon cake {n}" for n in range(9)], "'Moon cake 4' and 4 more"),
    ],
)
def test_what_cannot_be_run_is_an_outcome(copy: World, tenant_id: str, products: object, why: str):
    """An unknown tenant or product is handled with the reason, and others are asked for in the same tick."""
    name, sound = trigger(copy, tenant_id, products), trigger(copy, TWIN)
    (request,) = asked(tick(copy))
    assert request.run_key == key(copy, sound)
    outcome = inbox(copy)[name].outcome or ""
    assert outcome.startswith("nothing was run: ")
    assert why in outcome


def test_unknown_products_are_left_out_and_named(copy: World):
    """Those that are sold are trained; the outcome names the others."""
    name = trigger(copy, ODD, [SOLD, "Moon cake"])
    (request,) = asked(tick(copy))
    assert request.run_config == {"ops": {"training_plan": {"config": {"products": [SOLD]}}}}
    launched(copy, request)
    tick(copy)
    assert f"tenant '{ODD}' does not sell 'Moon cake'" in (inbox(copy)[name].outcome or "")


def test_a_tenant_that_never_ran(empty: World):
    """Its imported sales register it and start it; a trigger for its products says that there are none yet."""
    empty.add("bakery", tills.write(tills.steady("Bun", days=40), empty.root / "b.csv"), register=False)
    send(empty, "sales_imported", tenant_id="bakery", source="till", rows=40)
    name = trigger(empty, "bakery", ["Bun"])
    found = tick(empty)
    assert [request.partition_key for request in asked(found)] == ["bakery"]
    assert [key for one in found.dynamic_partitions_requests for key in one.partition_keys] == ["bakery"]
    assert "has no products yet" in (inbox(empty)[name].outcome or "")


def test_a_message_of_another_release_stops_no_other(copy: World):
    """A body that this code does not understand is handled with the reason."""
    name = trigger(copy, ODD, [SOLD])
    with copy.entered() as installation, installation.registry._writing() as connection:
        connection.execute(update(InboxMessage).values(body='{"tenant_id": "odd-till", "colour": "blue"}'))
    trigger(copy, TWIN)
    assert len(asked(tick(copy))) == 1
    assert "nothing was run: " in (inbox(copy)[name].outcome or "")


def test_the_relay_says_what_it_did(empty: World):
    """Each tick counts what was sent and what waits, and why."""
    with empty.entered() as installation:
        registry = installation.registry
        job_id = start(registry)
        registry.record(ledger_row(job_id, "tart", outcome=Outcome.FAILED, version=None))
    assert tick(empty, "event_relay").skip_message == "1 events sent, 0 waiting"
    assert tick(empty, "event_relay").skip_message == "0 events sent, 0 waiting"
    with empty.entered() as installation:
        installation.registry.finish_job(job_id, "completed", counts={})
    with empty.around(RABBITMQ_URL="amqp://ana:s3cret@127.0.0.1:1/"), dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"installation": InstallationResource()})
        told = definitions().resolve_sensor_def("event_relay")(context).skip_message
    assert told.startswith("0 events sent, 1 waiting: RabbitMQ at amqp://127.0.0.1:1/ cannot be reached")
    assert "s3cret" not in told
    with empty.entered() as installation:
        (alert,) = installation.registry.alerts()
        assert (alert.kind, "s3cret" in alert.message) == ("messages_held_up", False)
    tick(empty, "event_relay")
    with empty.entered() as installation:
        assert installation.registry.alerts() == []


def test_a_training_knows_the_priority_that_was_wanted(copy: World):
    """The job's row has it."""
    trigger(copy, TWIN, priority="high")
    (request,) = asked(tick(copy))
    with copy.entered() as installation:
        with dg.DagsterInstance.get() as instance:
            job = definitions().resolve_job_def("train_and_forecast")
            result = job.execute_in_process(
                {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **request.run_config},
                instance=instance,
                partition_key=TWIN,
                tags=request.tags,
            )
        assert result.success
        assert installation.registry.jobs(TWIN)[0].priority == "high"
