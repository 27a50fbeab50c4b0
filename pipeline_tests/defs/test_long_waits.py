"""The sensor `long_waits`: where nothing leaves a place for low trainings, one an hour goes first."""

from __future__ import annotations

import datetime as dt
import time

import dagster as dg
import pytest

from contracts import Priority
from pipeline.commands.dagster_runs import queued_runs
from pipeline.defs.training import sensors
from pipeline.queue import priority_of, priority_tags
from pipeline_tests.commands.test_jobs_command import queued
from pipeline_tests.defs.world import World, definitions


@pytest.fixture
def world(empty: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world in which any wait is a long one."""
    monkeypatch.setattr(sensors, "LONG_WAIT", dt.timedelta(0))
    with empty.entered():  # Dagster's folder with its dagster.yaml is there from now on.
        return empty


def look(instance: dg.DagsterInstance) -> str:
    """Let the sensor look once; return what it says."""
    found = definitions().resolve_sensor_def("long_waits")(dg.build_sensor_context(instance=instance))
    assert isinstance(found, dg.SkipReason)
    return found.skip_message or ""


def test_the_oldest_low_training_goes_first(world: World) -> None:
    """It is taken before all others, and the other low one stays where it was until the first has gone."""
    first, second = queued(world, "one", Priority.LOW), queued(world, "two", Priority.LOW)
    high = queued(world, "three", Priority.HIGH)
    with world.instance() as instance:
        assert look(instance) == f"2 low trainings have waited for an hour; the oldest, run {first}, goes first now"
        places = [(run.run_id, priority_of(run.tags)) for run in queued_runs(instance)]
        assert places == [(first, Priority.URGENT), (high, Priority.HIGH), (second, Priority.LOW)]
        assert look(instance).endswith("; one of them goes first already")
        assert [run.run_id for run in queued_runs(instance)] == [first, high, second]


def test_no_low_training_is_raised_where_low_ones_get_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a low training was at work within the time that is long, the queue keeps its order."""
    monkeypatch.setattr(sensors, "LONG_WAIT", dt.timedelta(seconds=10))
    low = queued(world, "one", Priority.LOW)
    time.sleep(10)
    with world.instance() as instance:
        job = definitions().resolve_job_def("train_and_forecast")
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=priority_tags(Priority.LOW))
        assert look(instance) == "1 low trainings have waited for an hour; low ones got on meanwhile"
        assert [(run.run_id, priority_of(run.tags)) for run in queued_runs(instance)] == [(low, Priority.LOW)]


def test_others_are_left_alone(world: World) -> None:
    """However long a training of another class waits, its place is that of its class."""
    normal = queued(world, "one", Priority.NORMAL)
    with world.instance() as instance:
        assert look(instance) == "no low training has waited for an hour"
        assert [(run.run_id, priority_of(run.tags)) for run in queued_runs(instance)] == [(normal, Priority.NORMAL)]
