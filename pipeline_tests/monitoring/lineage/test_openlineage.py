"""Lineage as OpenLineage events, by its own client, to a real server and into a file."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
import types
import typing
import uuid
from enum import Enum
from pathlib import Path
from typing import Any

import attr
import pytest
from openlineage.client.generated import (
    base,
    dataset_type_dataset,
    dataset_version_dataset,
    output_statistics_output_dataset,
)

from pipeline.home import Home
from pipeline.monitoring.lineage.openlineage import PRODUCER, run_event
from pipeline.monitoring.lineage.sending import send_waiting
from pipeline.settings import Settings
from pipeline_tests.monitoring.lineage.events import BREAD, CHAIN, FORECAST, MODEL, SALES, TRAINED, receiver, written

FACETS: dict[str, type[Any]] = {
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}
OF_FACETS = (base.DatasetFacet, base.InputDatasetFacet, base.OutputDatasetFacet, base.JobFacet, base.RunFacet)


def conforms(value: Any, kind: Any, where: str = "event", name: str = "") -> None:
    """Hold a parsed JSON value to a class that the client generates from OpenLineage's JSON Schema, strictly.

    Every field that the class demands is there, none that it does not know, and each has the type that it says. A facet
    is held to the class of its own name, and says which schema it follows.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [one for one in typing.get_args(kind) if one is not type(None)]
        conforms(value, inner, where, name)
    elif origin is list:
        assert isinstance(value, list), where
        for number, one in enumerate(value):
            conforms(one, typing.get_args(kind)[0], f"{where}[{number}]")
    elif origin is dict:
        assert isinstance(value, dict), where
        for key, one in value.items():
            conforms(one, typing.get_args(kind)[1], f"{where}.{key}", key)
    elif kind in OF_FACETS and name:
        assert issubclass(FACETS[name], kind), where
        conforms(value, FACETS[name], where)
    elif attr.has(kind):
        assert isinstance(value, dict), where
        hints = typing.get_type_hints(kind, vars(sys.modules[kind.__module__]) | vars(base))
        fields = {field.name: field for field in attr.fields(kind)}
        assert set(value) <= set(fields), f"{where} has {set(value) - set(fields)}"
        needed = {field.name for field in fields.values() if field.default is attr.NOTHING}
        needed |= {one for one in ("producer", "schemaURL", "_producer", "_schemaURL") if one in fields}
        assert needed <= set(value), f"{where} lacks {needed - set(value)}"
        for key, one in value.items():
            conforms(one, hints[key], f"{where}.{key}")
        if "_schemaURL" in fields or "schemaURL" in fields:
            assert value.get("_schemaURL", value.get("schemaURL")) == kind._get_schema(), where
    elif isinstance(kind, type) and issubclass(kind, Enum):
        assert value in {member.value for member in kind}, where
    else:
        assert isinstance(value, kind), f"{where}: {value!r}"
        assert kind is not int or not isinstance(value, bool), where


def right(event: dict[str, Any]) -> None:
    """Hold an event to the schema's classes, and to the formats that they leave to texts."""
    conforms(event, base.RunEvent)
    uuid.UUID(event["run"]["runId"])
    assert dt.datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert event["producer"] == PRODUCER


def settings(home: Home, **further: Any) -> Settings:
    """Settings of an installation."""
    return Settings(pipeline_home=home.root, **further)


@pytest.mark.parametrize(
    "broken",
    [
        {"run": {"runId": "x"}, "surplus": 1},
        {"eventType": "DONE"},
        {"job": {"namespace": "n"}},
        {"inputs": [{"namespace": "n", "name": 3}]},
        {"outputs": [{"namespace": "n", "name": "x", "facets": {"version": {"datasetVersion": "1"}}}]},
    ],
)
def test_what_holds_events_to_the_schema_finds_faults(broken: dict[str, Any]) -> None:
    """A surplus or missing field, a wrong type, an unknown value, a facet without its schema: none passes."""
    from openlineage.client.serde import Serde

    good = Serde.to_dict(run_event(TRAINED, "demand"))
    right(good)
    with pytest.raises((AssertionError, ValueError)):
        right({**good, **broken})


def test_events_arrive_at_a_server_and_conform(tmp_path: Path) -> None:
    """Each event is posted once, in order, is what OpenLineage's schema wants, and tells names and versions."""
    home = Home(tmp_path)
    written(home.lineage, CHAIN, dt.datetime.now(dt.UTC))
    with receiver() as server:
        chosen = settings(home, openlineage_url=server.address, openlineage_api_key="the-key-of-tests")
        done = send_waiting(home, chosen)
        again = send_waiting(home, chosen)
    assert done is not None
    assert again is not None
    assert (done.sent, done.waiting, done.fault, again.sent) == (len(CHAIN), 0, None, 0)
    assert set(server.paths) == {"/api/v1/lineage"}
    assert set(server.keys) == {"Bearer the-key-of-tests"}
    for body in server.bodies:
        right(body)
    trained, forecast = server.bodies[2], server.bodies[4]
    assert [one["name"] for one in trained["outputs"]] == [BREAD.name]
    assert trained["outputs"][0]["namespace"] == "demand-forecast/models"
    assert trained["outputs"][0]["facets"]["datasetType"]["datasetType"] == "MODEL"
    assert trained["outputs"][0]["facets"]["version"]["datasetVersion"] == MODEL
    assert [(one["name"], one["facets"]["version"]["datasetVersion"]) for one in forecast["inputs"]] == [SALES, BREAD]
    assert forecast["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 14
    assert forecast["job"] == {
        "namespace": "demand-forecast",
        "name": "shop/forecasts/forecast_completed",
        "facets": {},
    }
    assert len({body["run"]["runId"] for body in server.bodies}) == len(CHAIN)


def test_events_are_written_to_a_file(tmp_path: Path) -> None:
    """The file transport appends a line an event, the same events under the same run ids as over HTTP."""
    home, place = Home(tmp_path / "home"), tmp_path / "openlineage.ndjson"
    written(home.lineage, CHAIN, dt.datetime.now(dt.UTC))
    with receiver() as server:
        done = send_waiting(home, settings(home, openlineage_file=place, openlineage_url=server.address))
    assert str(done) == f"{2 * len(CHAIN)} lineage events sent, 0 waiting"
    found = [json.loads(line) for line in place.read_text().splitlines()]
    assert found == server.bodies
    for event in found:
        right(event)


def test_nobody_asked_for_it(tmp_path: Path) -> None:
    """Without a receiver and without a file nothing is sent or written."""
    home = Home(tmp_path)
    written(home.lineage, CHAIN, dt.datetime.now(dt.UTC))
    assert send_waiting(home, settings(home)) is None
    assert len(list(home.lineage.iterdir())) == 1


@pytest.mark.parametrize("trouble", ["down", "500", "slow", "drops"])
def test_a_receiver_that_fails_stops_nothing(tmp_path: Path, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    """Down, failing, silent or answering drop by drop: it takes no longer than allowed, is logged, and all waits."""
    home = Home(tmp_path)
    written(home.lineage, CHAIN, dt.datetime.now(dt.UTC))
    with receiver() as server:
        server.status, server.seconds, server.drops = 500 if trouble == "500" else 201, 0, trouble == "drops"
        server.seconds = 30 if trouble == "slow" else 0
        address = "http://user:secret-of-tests@127.0.0.1:9" if trouble == "down" else server.address
        begun = time.monotonic()
        done = send_waiting(home, settings(home, openlineage_url=address, openlineage_seconds=1))
        seconds = time.monotonic() - begun
        assert done is not None
        assert (done.sent, done.waiting) == (0, len(CHAIN))
        assert seconds < 5
        assert done.fault
        assert "secret-of-tests" not in done.fault + caplog.text
        assert "lineage events wait" in caplog.text
        server.status, server.seconds, server.drops = 201, 0, False
        server.bodies.clear()
        later = send_waiting(home, settings(home, openlineage_url=server.address, openlineage_seconds=30))
    assert later is not None
    assert (later.sent, later.waiting) == (len(CHAIN), 0)


def test_what_is_refused_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An event that the receiver will never take is logged, and holds up no other."""
    home = Home(tmp_path)
    written(home.lineage, CHAIN[:1], dt.datetime.now(dt.UTC))
    with receiver() as server:
        server.status = 422
        done = send_waiting(home, settings(home, openlineage_url=server.address))
        assert done is not None
        assert (done.sent, done.waiting, done.fault) == (0, 0, None)
        assert "was refused, and is left out" in caplog.text
        server.status = 201
        written(home.lineage, [FORECAST], dt.datetime.now(dt.UTC))
        more = send_waiting(home, settings(home, openlineage_url=server.address))
    assert more is not None
    assert more.sent == 1


def test_garbage_and_torn_lines_are_passed_over(tmp_path: Path) -> None:
    """A line that is no event is not sent; a torn last one waits until its writer is through."""
    home = Home(tmp_path)
    path = written(home.lineage, CHAIN[:2], dt.datetime.now(dt.UTC))
    line = TRAINED.model_dump_json().encode()
    with path.open("ab") as file:
        edge = json.dumps({**json.loads(line), "event_time": "0001-01-01T00:00:00+14:00"}).encode()
        file.write(b"garbage\n" + edge + b"\n" + line[:40])
    with receiver() as server:
        chosen = settings(home, openlineage_url=server.address)
        first = send_waiting(home, chosen)
        with path.open("ab") as file:
            file.write(line[40:] + b"\n")
        second = send_waiting(home, chosen)
    assert first is not None
    assert second is not None
    assert (first.sent, second.sent) == (2, 1)


def test_a_new_receiver_begins_with_today(tmp_path: Path) -> None:
    """What was noted before today is not sent to a receiver that was never sent to; what was left of yesterday is."""
    home, now = Home(tmp_path), dt.datetime.now(dt.UTC)
    written(home.lineage, CHAIN[:3], now - dt.timedelta(days=1))
    written(home.lineage, CHAIN[3:], now)
    with receiver() as server:
        chosen = settings(home, openlineage_url=server.address)
        first = send_waiting(home, chosen)
        kept = home.lineage / "openlineage-url.json"
        yesterday = {"day": str(now.date() - dt.timedelta(days=1)), "offset": 0}
        kept.write_text(json.dumps({**json.loads(kept.read_text()), **yesterday}))
        second = send_waiting(home, chosen)
    assert first is not None
    assert second is not None
    assert (first.sent, second.sent) == (2, 5)


def test_without_the_client_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed nothing fails, and the message names it."""
    home = Home(tmp_path)
    written(home.lineage, CHAIN, dt.datetime.now(dt.UTC))
    monkeypatch.setitem(sys.modules, "openlineage.client.transport.http", None)
    done = send_waiting(home, settings(home, openlineage_url="http://127.0.0.1:9"))
    assert done is not None
    assert "demand-forecast-pipeline[openlineage]" in str(done)
