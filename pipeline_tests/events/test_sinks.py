"""What every sink promises, held to by files and by a real RabbitMQ; and what each does in its own trouble."""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.errors import ConfigurationError, EventError, RefusedEventError
from pipeline.events.file import FileSink
from pipeline.events.relay import relay
from pipeline.events.sinks import opened_sink, place
from pipeline.installation import Installation
from pipeline.registry.outbox import OutboxRecord
from pipeline.settings import Settings
from pipeline_tests.events.broker import Corner, Way
from pipeline_tests.events.conftest import reached
from pipeline_tests.events.telling import fail, lines

EVENT = OutboxRecord(1, "a" * 32, "bakery", "training_failed", '{"n": "é"}', dt.datetime.now(dt.UTC), None, None)


@pytest.fixture(params=["files", "rabbitmq"])
def sinking(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Settings, Callable[[], list[dict[str, Any]]]]:
    """Settings that name a sink, and a look at what it has got."""
    settings = Settings(pipeline_home=tmp_path)
    if request.param == "files":
        return settings, lambda: lines(Installation(settings))
    rabbit: Corner = request.getfixturevalue("rabbit")
    named = settings.model_copy(update={"rabbitmq_url": SecretStr(rabbit.url), "rabbitmq_prefix": rabbit.prefix})
    return named, lambda: [json.loads(body) for _, _, body in rabbit.take(rabbit.heard)]


def test_a_sink_keeps_what_it_is_given(
    sinking: tuple[Settings, Callable[[], list[dict[str, Any]]]],
) -> None:
    """Events arrive whole, in their order, over several openings, and a repeat is there twice: consumers drop it."""
    settings, got = sinking
    for number in (1, 2):
        with opened_sink(settings, 10) as sink:
            sink.send(replace(EVENT, body=json.dumps({"n": number, "product": "Tarte 'é\n\u2028"})))
            sink.send(replace(EVENT, body=json.dumps({"n": number, "product": "Tarte 'é\n\u2028"})))
    assert [one["n"] for one in got()] == [1, 1, 2, 2]


def test_a_sink_takes_large_events(sinking: tuple[Settings, Callable[[], list[dict[str, Any]]]]) -> None:
    """What ten thousand models make, two megabytes, arrives whole."""
    settings, got = sinking
    with opened_sink(settings, 10) as sink:
        sink.send(replace(EVENT, body=json.dumps({"models": "x" * 2_000_000})))
    assert [len(one["models"]) for one in got()] == [2_000_000]


def test_the_place_shows_no_secret(sinking: tuple[Settings, Callable[[], list[dict[str, Any]]]]) -> None:
    """Where events go can be shown: the folder, or the broker without its login."""
    settings, _ = sinking
    assert "guest" not in place(settings)
    assert place(settings) == str(settings.home / "events") or place(settings).startswith("amqp://127.0.0.1")


def test_a_file_is_named_by_the_day_of_writing(tmp_path: Path) -> None:
    """One file a UTC day, one line an event."""
    FileSink(tmp_path).send(EVENT)
    assert (tmp_path / f"events-{dt.datetime.now(dt.UTC):%Y-%m-%d}.ndjson").read_text() == EVENT.body + "\n"


def test_a_torn_line_stays_alone(tmp_path: Path) -> None:
    """After a line that was never finished the next event begins on its own line."""
    sink = FileSink(tmp_path)
    sink.send(EVENT)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text() + '{"torn": ')
    sink.send(EVENT)
    assert path.read_text().split("\n") == [EVENT.body, '{"torn": ', EVENT.body, ""]


def test_a_full_disk_is_told_and_the_event_comes_again(to_files: Installation) -> None:
    """What did not fit is told with the file's name and waits; with room again it is there, whole, once."""
    ids = fail(to_files.registry, "a")
    to_files.home.events.mkdir(parents=True)
    code = (
        "import sys, resource, signal\nfrom pipeline.errors import EventError\n"
        "from pipeline.installation import open_installation\nfrom pipeline.events.file import FileSink\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\ninstallation = open_installation()\n"
        "(event,) = installation.registry.unpublished(5)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))\n"
        "try:\n    FileSink(installation.home.events).send(event)\n"
        "except EventError as error:\n    print(error)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    world = {
        **os.environ,
        "PIPELINE_HOME": str(to_files.settings.home),
        **({"DATABASE_URL": to_files.settings.database_url} if to_files.settings.database_url else {}),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=world, check=True)
    assert "40 of" in done.stdout
    assert ".ndjson" in done.stdout
    assert lines(to_files) == []
    assert relay(to_files, 10).sent == 1
    assert [one["event_id"] for one in lines(to_files)] == ids


def test_a_folder_without_rights_is_told(tmp_path: Path) -> None:
    """A file where the folder should be is an error that names it."""
    (tmp_path / "events").write_text("in the way")
    with pytest.raises(EventError, match=r"events-.*\.ndjson"):
        FileSink(tmp_path / "events").send(EVENT)


def test_messages_carry_what_consumers_need(to_rabbit: Installation, rabbit: Corner) -> None:
    """Persistent, with the event's id, kind and time, under its routing key; one that nobody wants is no fault."""
    job_id = to_rabbit.registry.start_job("bakery", name="weekly", cause="c", requested_by="r")
    to_rabbit.registry.finish_job(job_id, "completed", counts={})
    fail(to_rabbit.registry, "tart")
    assert relay(to_rabbit, 10).sent == 2
    completed, failed = rabbit.take(rabbit.heard)
    assert [one[0].routing_key for one in (completed, failed)] == ["training.completed", "training.failed"]
    for _, properties, body in (completed, failed):
        told = json.loads(body)
        assert (properties.delivery_mode, properties.content_type) == (2, "application/json")
        assert (properties.message_id, properties.type) == (told["event_id"], told["event_type"])
        assert properties.headers == {"tenant_id": "bakery"}
        assert properties.timestamp == pytest.approx(dt.datetime.now(dt.UTC).timestamp(), abs=60)
    rabbit.channel.queue_delete(rabbit.heard)
    fail(to_rabbit.registry, "tart")
    assert relay(to_rabbit, 10).fault is None


def test_exchange_and_queues_last(to_rabbit: Installation, rabbit: Corner) -> None:
    """They are durable: another declaration that says otherwise is refused by the broker."""
    from pika.exceptions import ChannelClosedByBroker

    fail(to_rabbit.registry, "tart")
    relay(to_rabbit, 10)
    with pytest.raises(ChannelClosedByBroker, match="durable"):
        rabbit.channel.exchange_declare(rabbit.prefix + "training", "topic", durable=False)
    with pytest.raises(ChannelClosedByBroker, match="durable"):
        rabbit.channel.connection.channel().queue_declare(rabbit.prefix + "pipeline.dead", durable=False)


def test_a_refused_event_is_told(rabbit: Corner, tmp_path: Path) -> None:
    """An event that the broker does not take is an error of its own, by whichever way it is refused."""
    rabbit.channel.queue_delete(rabbit.heard)
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    rabbit.channel.queue_declare(rabbit.heard, durable=True, arguments=full)
    rabbit.channel.queue_bind(rabbit.heard, rabbit.prefix + "training", "training.failed")
    settings = Settings(pipeline_home=tmp_path, rabbitmq_url=SecretStr(rabbit.url), rabbitmq_prefix=rabbit.prefix)
    with opened_sink(settings, 10) as sink:
        for _ in range(2):  # The broker looks at the length as it stands, a moment behind.
            sink.send(EVENT) if not rabbit.waiting("heard") else None
        with pytest.raises(RefusedEventError, match=r"'bakery'.*not taken by a queue"):
            sink.send(EVENT)
        with pytest.raises(RefusedEventError, match="larger than"):
            sink.send(replace(EVENT, body="x" * 140_000_000))
        rabbit.take(rabbit.heard)
        sink.send(EVENT)
    assert len(rabbit.take(rabbit.heard)) == 1


@pytest.mark.parametrize(
    "url",
    ["amqp://ana:s3cret@127.0.0.1:1/", "amqp://ana:s3cret@no-such-host.invalid/", "amqp://ana:s3cret@127.0.0.1:99999/"],
)
def test_a_broker_that_is_not_there_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    """The error names the place and shows neither user nor password, in its text or in what it came from."""
    with (
        pytest.raises((EventError, ConfigurationError), match=r"RabbitMQ|RABBITMQ_URL") as caught,
        opened_sink(Settings(pipeline_home=tmp_path, rabbitmq_url=SecretStr(url)), 2),
    ):
        pass
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__} {caught.value.args}"


def test_a_wrong_password_is_told_without_it(to_rabbit: Installation, way: Way) -> None:
    """A broker that refuses the login is told so."""
    fail(to_rabbit.registry, "a")
    done = relay(reached(to_rabbit, way.url("guest:s3cret")), 5)
    assert (done.sent, done.waiting) == (0, 1)
    assert "ACCESS_REFUSED" in str(done) or "Authentication" in str(done)
    assert "s3cret" not in str(done)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "broker:5672", "ana:s3cret@broker"])
def test_what_is_no_address_of_a_broker_is_refused_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting's fault is named without its value, which may hold a password."""
    from pipeline.settings import get_settings

    monkeypatch.setenv("RABBITMQ_URL", url)
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match=r"RABBITMQ_URL: .*amqp://") as caught:
        get_settings()
    get_settings.cache_clear()
    assert url not in str(caught.value)
    assert "s3cret" not in repr(Settings(rabbitmq_url=SecretStr("amqp://ana:s3cret@h/")))
