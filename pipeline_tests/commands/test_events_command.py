"""`pipeline events`: what is told, what waits, and messages by file."""

from __future__ import annotations

import datetime as dt
import json

from contracts import Outcome, Severity
from pipeline.registry.alerts import Subject, Trouble
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.registry.builders import ledger_row, start

TRIGGER = {"event_type": "training_trigger", "tenant_id": "bakery", "products": "all"}


def tell(fresh: Terminal) -> None:
    """Let a product of two tenants fail."""
    with fresh.world.entered() as installation:
        for tenant_id in ("bakery", "cafe"):
            job_id = start(installation.registry, tenant_id)
            failed = ledger_row(job_id, "tart", tenant_id, outcome=Outcome.FAILED, version=None, reason="no flour")
            installation.registry.record(failed, "Tarte")


def test_events_are_listed_and_relayed(fresh: Terminal):
    """A list says what waits; after the relay the line is in the file, and nothing waits."""
    assert "no event yet" in fresh("events", "list").out
    tell(fresh)
    listed = fresh("events", "list", "--waiting")
    assert listed.out.count("training_failed") == 2
    assert "Tarte: no flour" in " ".join(listed.out.split())
    rows = json.loads(fresh("events", "list", "--tenant", "cafe", "--json").out)
    assert [(row["tenant_id"], row["body"]["product_id"], row["published_at"]) for row in rows] == [
        ("cafe", "tart", None)
    ]
    relayed = fresh("events", "relay")
    assert (relayed.status, relayed.out) == (0, f"2 events sent, 0 waiting ({fresh.world.home.events})\n")
    (path,) = fresh.world.home.events.iterdir()
    assert [json.loads(line)["tenant_id"] for line in path.read_text().splitlines()] == ["bakery", "cafe"]
    assert "no event waits" in fresh("events", "list", "--waiting").out


def test_alerts_are_listed_among_the_events(fresh: Terminal):
    """What was wrong, and what ended it, stand beside the job that it is about."""
    night = dt.datetime(2024, 7, 20, 2, 0, tzinfo=dt.UTC)
    subject = Subject("run_failed", "bakery", "daily_forecast")
    with fresh.world.entered() as installation:
        installation.registry.note_trouble(subject, Trouble(Severity.HIGH, "the disk is full", "Make room."), night)
        installation.registry.note_well(subject, "run 7 succeeded", night + dt.timedelta(hours=1))
    listed = " ".join(fresh("events", "list").out.split())
    assert "alert_raised daily_forecast: the disk is" in listed
    assert listed.index("run 7") < listed.index("the disk is")


def test_a_relay_that_cannot_send_fails(fresh: Terminal):
    """Exit status 1, with the reason, and no password."""
    tell(fresh)
    answer = fresh("events", "relay", RABBITMQ_URL="amqp://ana:s3cret@127.0.0.1:1/")
    assert answer.status == 1
    assert "0 events sent, 2 waiting: RabbitMQ at amqp://127.0.0.1:1/ cannot be reached" in answer.out
    assert "s3cret" not in answer.out + answer.err


def test_messages_of_a_file_are_taken_in(fresh: Terminal):
    """One object over several lines, or one a line; a repeat is dropped; the inbox lists them as waiting."""
    assert "no message yet" in fresh("events", "inbox").out
    place = fresh.world.root / "trigger.json"
    fresh.world.root.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(TRIGGER, indent=2))
    for taken in (1, 0):
        answer = fresh("events", "send", str(place))
        assert answer.out == f"{taken} messages taken in, {1 - taken} were there already\n"
    place.write_text("\n".join(json.dumps({**TRIGGER, "event_id": str(n)}) for n in range(3)) + "\n\n")
    assert fresh("events", "send", str(place)).out == "3 messages taken in, 0 were there already\n"
    assert "bakery/training_trigger/2" in fresh("events", "inbox", "--waiting").out.replace("\n", "")
    rows = json.loads(fresh("events", "inbox", "--json").out)
    assert [(row["body"]["products"], row["handled_at"], row["outcome"]) for row in rows] == [("all", None, None)] * 4


def test_a_file_that_cannot_be_used_changes_nothing(fresh: Terminal):
    """The fault is named with file and line, and not one of its messages is taken in."""
    fresh.world.root.mkdir(parents=True, exist_ok=True)
    place = fresh.world.root / "messages.json"
    place.write_text(json.dumps(TRIGGER) + "\n" + json.dumps({**TRIGGER, "priority": "now"}))
    answer = fresh("events", "send", str(place))
    assert answer.status == 1
    said = " ".join(answer.err.split())
    assert "MessageError" in said
    assert "line 2: priority" in said
    assert "no message yet" in fresh("events", "inbox").out
    place.unlink()
    gone = fresh("events", "send", str(place))
    assert (gone.status, "cannot be read" in " ".join(gone.err.split())) == (1, True)


def test_an_event_that_waits_can_be_dropped(fresh: Terminal):
    """It is listed as dropped and not sent, the audit says by whom and why; what does not wait is an error."""
    tell(fresh)
    (event,) = json.loads(fresh("events", "list", "--tenant", "cafe", "--json").out)
    assert fresh("events", "drop", event["event_id"]).status == 2
    answer = fresh("events", "drop", event["event_id"], "--reason", "larger than the broker takes")
    assert (answer.status, answer.out) == (0, f"event {event['event_id']} is dropped: training_failed of cafe\n")
    assert "dropped" in fresh("events", "list", "--tenant", "cafe").out
    assert fresh("events", "relay").out.startswith("1 events sent, 0 waiting")
    with fresh.world.entered() as installation:
        (entry,) = installation.registry.audit("cafe")
    assert (entry.action, entry.reason) == ("drop_event", "larger than the broker takes")
    again = fresh("events", "drop", event["event_id"], "--reason", "again")
    assert again.status == 1
    assert "pipeline events list --waiting" in " ".join(again.err.split())


def test_messages_of_a_file_are_all_kept_or_none(fresh: Terminal):
    """Where the database stumbles over the last one those before it are not there either."""
    fresh.world.root.mkdir(parents=True, exist_ok=True)
    place = fresh.world.root / "messages.json"
    place.write_text("\n".join(json.dumps({**TRIGGER, "tenant_id": name}) for name in ("bakery", "cafe", "full")))
    assert "no message yet" in fresh("events", "inbox").out
    stumble(fresh, "full")
    answer = fresh("events", "send", str(place))
    assert (answer.status, "RegistryError" in answer.err) == (1, True)
    assert "no message yet" in fresh("events", "inbox").out


def stumble(terminal: Terminal, tenant_id: str) -> None:
    """Let the database refuse a tenant's messages."""
    with terminal.world.entered() as installation, installation.registry._writing() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER stumble BEFORE INSERT ON inbox WHEN NEW.tenant_id = "
            f"'{tenant_id}' BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
