"""The sensor `long_waits`: where nothing leaves a place for low trainings, one an hour goes first."""

from __future__ import annotations

import datetime as dt
import time

import dagster as dg
import pytest

from contracts import Priority
from pipeline.commands.dagster_runs import queued_runs
from pipeline.defs.training import sensors
from pipeline.queue import PRIORITY_TAG, priority_of, priority_tags
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


def begun(instance: dg.DagsterInstance, tenant_id: str, priority: Priority) -> dg.DagsterRun:
    """A training that is at work."""
    job = definitions().resolve_job_def("train_and_forecast")
    tags = {**priority_tags(priority), "dagster/partition": tenant_id}
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTING, tags=tags)
    started = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name, message="it begins")
    instance.report_dagster_event(started, run.run_id)
    return run


def test_the_oldest_low_training_goes_first(world: World) -> None:
    """It is taken before all others, and the other low one stays where it was until the first has gone."""
    first, second = queued(world, "one", Priority.LOW), queued(world, "two", Priority.LOW)
    high = queued(world, "three", Priority.HIGH)
    with world.instance() as instance:
        assert (
            look(instance)
            == f"2 low trainings have waited for an hour; the oldest that can begin, run {first}, goes first now"
        )
        places = [(run.run_id, priority_of(run.tags)) for run in queued_runs(instance)]
        assert places == [(first, Priority.URGENT), (high, Priority.HIGH), (second, Priority.LOW)]
        assert look(instance).endswith("; one of them goes first already")
        assert [run.run_id for run in queued_runs(instance)] == [first, high, second]


def test_no_low_training_is_raised_while_one_is_at_work(world: World) -> None:
    """However long ago it began: the place that low ones have is in use."""
    low = queued(world, "one", Priority.LOW)
    with world.instance() as instance:
        begun(instance, "two", Priority.LOW)
        assert look(instance) == "1 low trainings have waited for an hour; a low one is at work"
        assert [(run.run_id, priority_of(run.tags)) for run in queued_runs(instance)] == [(low, Priority.LOW)]


def test_no_low_training_is_raised_where_low_ones_got_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one has ended within the time that is long the queue keeps its order; one that never began is none."""
    monkeypatch.setattr(sensors, "LONG_WAIT", dt.timedelta(seconds=10))
    first, second = queued(world, "one", Priority.LOW), queued(world, "two", Priority.LOW)
    time.sleep(10)
    with world.instance() as instance:
        ended = begun(instance, "three", Priority.LOW)
        instance.report_run_failed(ended)
        assert look(instance) == "2 low trainings have waited for an hour; low ones got on meanwhile"
        instance.delete_run(ended.run_id)
        instance.report_run_canceled(instance.get_run_by_id(first))  # type: ignore[arg-type]  # it is there
        assert look(instance).endswith(f"; the oldest that can begin, run {second}, goes first now")


def test_one_whose_tenant_is_at_work_holds_up_no_other(world: World) -> None:
    """The oldest whose tenant has no run under way is raised, though an older one was raised and waits for its own."""
    held, free = queued(world, "one", Priority.LOW), queued(world, "two", Priority.LOW)
    with world.instance() as instance:
        instance.add_run_tags(held, {PRIORITY_TAG: sensors.URGENT})
        other = begun(instance, "one", Priority.HIGH)
        assert look(instance).endswith(f"; the oldest that can begin, run {free}, goes first now")
        assert look(instance).endswith("; one of them goes first already")
        begun(instance, "two", Priority.HIGH)
        assert look(instance).endswith("; their tenants have other runs under way")
        instance.report_run_failed(other)
        assert look(instance).endswith("; one of them goes first already")


def test_others_are_left_alone(world: World) -> None:
    """However long a training of another class waits, its place is that of its class."""
    normal = queued(world, "one", Priority.NORMAL)
    with world.instance() as instance:
        assert look(instance) == "no low training has waited for an hour"
        assert [(run.run_id, priority_of(run.tags)) for run in queued_runs(instance)] == [(normal, Priority.NORMAL)]
