"""Messages of other systems: read strictly, kept once, acknowledged when they are kept; rubbish blocks nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from pipeline.errors import MessageError, RegistryError
from pipeline.events.messages import LARGEST, read_message
from pipeline.events.receive import receive
from pipeline.installation import Installation
from pipeline_tests.events.broker import Corner, Way
from pipeline_tests.events.conftest import reached

TRIGGER = {"tenant_id": "bakery", "products": ["tart"], "priority": "high"}
IMPORTED = {"tenant_id": "bakery", "source": "till 3", "rows": 120}


def body(values: object = None, **changes: object) -> bytes:
    """A message as JSON."""
    return json.dumps(values if values is not None else {**TRIGGER, **changes}).encode()


def kept(installation: Installation) -> list[dict[str, Any]]:
    """The bodies in the inbox, the first first."""
    return [json.loads(one.body) for one in installation.registry.waiting_messages()]


@pytest.fixture
def told(to_rabbit: Installation, rabbit: Corner) -> Corner:
    """The broker, its queues declared, so that what is published is kept."""
    receive(to_rabbit, 10)
    return rabbit


def test_messages_become_inbox_rows(to_rabbit: Installation, told: Corner) -> None:
    """Both kinds are taken in under the sender's ids, acknowledged, and with the defaults filled in."""
    told.tell("training.trigger", body(), message_id="m-1")
    told.tell("training.trigger", body({"tenant": "cafe", "products": "all"}), message_id="m-1")
    told.tell("sales.imported", body(IMPORTED), message_id="m-2")
    done = receive(to_rabbit, 10)
    assert str(done) == "3 messages received, 0 repeats dropped, 0 put aside"
    rows = to_rabbit.registry.waiting_messages()
    assert [row.message_id for row in rows] == [
        "bakery/training_trigger/m-1",
        "cafe/training_trigger/m-1",
        "bakery/sales_imported/m-2",
    ]
    assert [(row["tenant_id"], row.get("priority")) for row in kept(to_rabbit)] == [
        ("bakery", "high"),
        ("cafe", "normal"),
        ("bakery", None),
    ]
    assert all(told.waiting(queue) == 0 for queue in ("pipeline.training.trigger", "pipeline.sales.imported"))
    assert receive(to_rabbit, 10).new == 0


def test_repeats_are_dropped(to_rabbit: Installation, told: Corner) -> None:
    """By the broker's id, by the event's own, and by what is said where there is neither; others are kept."""
    for _ in range(2):
        told.tell("training.trigger", body(), message_id="m-1")
        told.tell("training.trigger", body(event_id="e-1"))
        told.tell("training.trigger", body(priority="low"))
    told.tell("training.trigger", b'{"priority": "low",   "products":["tart"],\n "tenant_id": "bakery"}')
    told.tell("training.trigger", body(priority="urgent"))
    done = receive(to_rabbit, 10)
    assert (done.new, done.repeats) == (4, 4)


RUBBISH = [
    (b"", "EOF"),
    (b"\xff\xfe\x00", "JSON|UTF|expected"),
    (b"{", "EOF"),
    (b"[" * 5000, "recursion|EOF|JSON"),
    (b"null", "object"),
    (body(tenant_id="../etc"), "tenant_id"),
    (body(products=[]), "products"),
    (body(products="some"), "products"),
    (body(priority="now"), "priority"),
    (body(colour="blue"), "colour: Extra inputs"),
    (body(event_type="sales_imported"), "event_type"),
    (body({"products": "all"}), "tenant_id"),
    (b"x" * (LARGEST + 1), "bytes"),
]


def test_rubbish_is_put_aside_and_blocks_nothing(to_rabbit: Installation, told: Corner) -> None:
    """What cannot be read goes to the dead letters as it came, with its reason; what is behind it is taken in."""
    for number, (content, _) in enumerate(RUBBISH):
        told.tell("training.trigger", content, message_id=f"bad-{number}")
    told.tell("training.trigger", body(), message_id="good")
    done = receive(to_rabbit, 10)
    assert (done.new, len(done.unreadable)) == (1, len(RUBBISH))
    dead = told.take(f"{told.prefix}pipeline.dead")
    assert [content for _, _, content in dead] == [content for content, _ in RUBBISH]
    for (_, properties, _), (_, words) in zip(dead, RUBBISH, strict=True):
        assert properties.headers["queue"] == f"{told.prefix}pipeline.training.trigger"
        assert any(word in properties.headers["reason"] for word in words.split("|")), properties.headers
        assert properties.delivery_mode == 2
    assert dead[0][1].message_id == "bad-0"
    assert told.waiting("pipeline.training.trigger") == 0


def test_a_name_that_is_no_text_is_one_all_the_same(to_rabbit: Installation, told: Corner) -> None:
    """A message whose id is bytes that are no UTF-8 is taken in, and blocks nothing behind it."""
    told.tell("training.trigger", body(), message_id=b"\xff\xfe")
    told.tell("training.trigger", body(), message_id="good")
    assert receive(to_rabbit, 10).new == 2
    assert told.waiting("pipeline.training.trigger") == 0


def test_the_log_names_the_queue_as_the_broker_does(
    to_rabbit: Installation, told: Corner, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever looks for the queue of a message that was put aside finds it under the name in the log."""
    told.tell("training.trigger", b"{")
    receive(to_rabbit, 10)
    assert f"a message from {told.prefix}pipeline.training.trigger cannot be read" in caplog.text


def test_what_could_not_be_kept_comes_again(to_rabbit: Installation, told: Corner) -> None:
    """While the registry cannot be written nothing is acknowledged; afterwards each message is there, once."""
    for number in range(3):
        told.tell("training.trigger", body(), message_id=f"m-{number}")
    with to_rabbit.registry._writing() as connection:
        connection.execute(text("ALTER TABLE inbox RENAME TO away"))
    try:
        with pytest.raises(RegistryError):
            receive(to_rabbit, 10)
    finally:
        with to_rabbit.registry._writing() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO inbox"))
    assert kept(to_rabbit) == []
    assert receive(to_rabbit, 10).new == 3


def test_a_connection_lost_before_the_acknowledgement_doubles_nothing(
    to_rabbit: Installation, told: Corner, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that was committed and not acknowledged comes again, and is known."""
    told.tell("training.trigger", body(), message_id="m-1")
    installation = reached(to_rabbit, way.url())
    take_in = type(to_rabbit.registry).take_in

    def cut(*arguments: Any) -> bool:
        taken = take_in(*arguments)
        way.set("closed")
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(type(to_rabbit.registry), "take_in", cut)
        receive(installation, 5)
    assert len(kept(to_rabbit)) == 1
    done = receive(to_rabbit, 10)
    assert (done.new, done.repeats) == (0, 1)
    assert len(kept(to_rabbit)) == 1


def test_without_a_broker_nothing_is_received(to_files: Installation) -> None:
    """Without RABBITMQ_URL there is nowhere to look, and that is no fault."""
    done = receive(to_files, 5)
    assert (done.new, done.fault) == (0, None)


def test_a_broker_that_is_away_is_said(to_rabbit: Installation, way: Way) -> None:
    """It is a sentence, not a crash."""
    way.set("closed")
    assert "RabbitMQ at amqp://127.0.0.1" in str(receive(reached(to_rabbit, way.url()), 2))


def test_a_file_says_what_it_is(to_files: Installation) -> None:
    """Without a queue the kind stands in the message; one that says none, or another, is refused by name."""
    found = read_message(body({**IMPORTED, "event_type": "sales_imported", "event_id": "e"}))
    assert (found.type, found.message_id) == ("sales_imported", "bakery/sales_imported/e")
    with pytest.raises(MessageError, match="event_type: Field required"):
        read_message(body())
    with pytest.raises(MessageError, match="'bake'; it must be training_trigger or sales_imported"):
        read_message(body(event_type="bake"))


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_never_meet(one: str, other: str) -> None:
    """Whatever senders call their messages: the name fits its column, and different names stay different."""
    first, second = (read_message(body(), "training_trigger", name).message_id for name in (one, other))
    assert (first == second) == (one == other)
    assert max(len(first), len(second)) <= 200
    assert first != read_message(body(IMPORTED), "sales_imported", one).message_id
