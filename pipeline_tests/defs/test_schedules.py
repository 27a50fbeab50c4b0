"""What the clock starts: nights of tenants, and the nightly purge."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator

import dagster as dg
import pytest

from pipeline.defs import clock
from pipeline.defs.resources import InstallationResource
from pipeline.tenants import save_tenant
from pipeline_tests.defs.world import ODD, TWIN, World, definitions

MONDAY = dt.datetime(2024, 7, 22, 2, 0, tzinfo=dt.UTC)


@pytest.fixture
def weekly() -> Iterator[dg.ScheduleDefinition]:
    """The weekly schedule."""
    return definitions().resolve_schedule_def("weekly_retraining")


def scheduled(world: World, schedule: dg.ScheduleDefinition, at: dt.datetime) -> dg.ScheduleExecutionData:
    """Let a schedule tick."""
    with world.instance() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=at,
            repository_def=repository(),
            resources={"installation": InstallationResource()},
        )
        return schedule.evaluate_tick(context)


def repository() -> dg.RepositoryDefinition:
    """All definitions, for contexts that check requests against them."""
    return definitions().get_repository_def()


def test_the_schedule_retrains_every_tenant(copy: World, weekly: dg.ScheduleDefinition):
    """One request a tenant, with the configuration that makes every product with new sales due."""
    requests = scheduled(copy, weekly, MONDAY).run_requests or ()
    assert sorted(request.partition_key or "" for request in requests) == sorted([ODD, TWIN])
    for request in requests:
        assert request.run_config["ops"]["training_plan"]["config"] == {"scheduled": True}
        assert request.tags["cause"] == "schedule"


def test_the_schedule_asks_once_a_week(copy: World, weekly: dg.ScheduleDefinition):
    """A replayed tick has the same run keys, the next week's has others."""
    keys = [
        [request.run_key for request in scheduled(copy, weekly, at).run_requests or ()]
        for at in (MONDAY, MONDAY, MONDAY + dt.timedelta(days=7))
    ]
    assert keys[0] == keys[1]
    assert len({*keys[0], *keys[2]}) == 4


def test_the_schedule_keeps_to_each_tenants_night(copy: World, weekly: dg.ScheduleDefinition):
    """A tenant is retrained in its own quiet hours of the day, by its own clock; the others wait, and why is said."""
    with copy.entered() as installation:
        far = installation.tenant(TWIN).model_copy(update={"timezone": "America/New_York"})
        save_tenant(copy.home, far, replace=True)
    found = scheduled(copy, weekly, MONDAY)
    assert [request.partition_key for request in found.run_requests or ()] == [ODD]
    found = scheduled(copy, weekly, MONDAY + dt.timedelta(hours=4))
    assert [request.partition_key for request in found.run_requests or ()] == [TWIN]
    found = scheduled(copy, weekly, MONDAY + dt.timedelta(hours=12))
    assert "2 of 2 tenants: it is not their quiet hours of RETRAIN_WEEKDAY" in (found.skip_message or "")
    assert not scheduled(copy, weekly, MONDAY + dt.timedelta(days=1)).run_requests


@pytest.mark.parametrize(
    ("name", "at", "job"),
    [
        ("weekly_retraining", MONDAY, "train_and_forecast"),
        ("nightly_data_check", MONDAY, "check_data"),
        ("daily_forecasts", dt.datetime(2036, 7, 22, 9, 0, tzinfo=dt.UTC), "daily_forecast"),
    ],
)
def test_what_was_asked_for_is_not_asked_for_again(copy: World, name: str, at: dt.datetime, job: str):
    """However often a schedule ticks in a night, whichever daemon: a run of that night is not asked for twice."""
    schedule = definitions().resolve_schedule_def(name)
    first, second = scheduled(copy, schedule, at).run_requests or ()
    with copy.instance() as instance:
        instance.create_run_for_job(definitions().resolve_job_def(job), tags=dict(first.tags))
    found = scheduled(copy, schedule, at + dt.timedelta(minutes=10))
    assert [request.run_key for request in found.run_requests or ()] == [second.run_key]
    with copy.instance() as instance:
        instance.create_run_for_job(definitions().resolve_job_def(job), tags=dict(second.tags))
    found = scheduled(copy, schedule, at + dt.timedelta(minutes=20))
    assert "2 were asked for before" in (found.skip_message or "")


def test_what_failed_is_asked_for_again_after_a_while(
    copy: World, weekly: dg.ScheduleDefinition, monkeypatch: pytest.MonkeyPatch
):
    """A run of this night that has failed counts for an hour, and one that succeeded for good."""
    requests = scheduled(copy, weekly, MONDAY).run_requests or ()
    tags = {request.partition_key: dict(request.tags) for request in requests}
    with copy.instance() as instance:
        job = definitions().resolve_job_def("purge_dagster_history")
        instance.report_run_failed(instance.create_run_for_job(job, tags=tags[ODD]))
        instance.create_run_for_job(job, tags=tags[TWIN], status=dg.DagsterRunStatus.SUCCESS)
    assert not scheduled(copy, weekly, MONDAY).run_requests
    monkeypatch.setattr(clock, "AGAIN_AFTER", dt.timedelta(days=-10_000))  # The night is of 2024, its runs of today.
    again = scheduled(copy, weekly, MONDAY).run_requests or ()
    assert [request.partition_key for request in again] == [ODD]


def test_forecasts_of_today_are_not_made_again(copy: World):
    """A forecast that is younger than the tenant's last night stands; without any the first run makes one."""
    daily = definitions().resolve_schedule_def("daily_forecasts")
    found = scheduled(copy, daily, dt.datetime.now(dt.UTC))
    assert "their forecasts are of today" in (found.skip_message or "")
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    copy.home.table(ODD, "forecasts").unlink()
    assert [request.partition_key for request in scheduled(copy, daily, later).run_requests or ()] == [TWIN]


def test_the_schedule_without_tenants_says_why(empty: World, weekly: dg.ScheduleDefinition):
    """Without a tenant nothing is asked for, with the reason."""
    found = scheduled(empty, weekly, MONDAY)
    assert not found.run_requests
    assert "no tenant is registered yet" in (found.skip_message or "")


def test_the_purge_deletes_old_finished_runs_alone(copy: World):
    """Finished runs older than DAGSTER_HISTORY_DAYS go, with their events; younger and unfinished ones stay."""
    with copy.instance() as instance:
        old, young = (run.run_id for run in instance.get_runs())
        job = definitions().resolve_job_def("train_and_forecast")
        waiting = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED).run_id
    backdate(copy, {old: 61, young: 59, waiting: 90})
    before = registry(copy)
    with copy.instance() as instance:
        result = definitions().resolve_job_def("purge_dagster_history").execute_in_process(instance=instance)
        left = {run.run_id for run in instance.get_runs()}
        assert result.success
        assert result.output_for_node("delete_old_runs") == 1
        assert left == {young, waiting, result.run_id}
        assert instance.all_logs(young)
    assert not (copy.home.dagster / "history" / "runs" / f"{old}.db").exists()
    assert registry(copy) == before


def test_the_purge_keeps_as_long_as_it_is_told(copy: World):
    """DAGSTER_HISTORY_DAYS says how old a run may become."""
    with copy.instance() as instance:
        ids = [run.run_id for run in instance.get_runs()]
    backdate(copy, {ids[0]: 8, ids[1]: 6})
    with copy.entered(DAGSTER_HISTORY_DAYS="7"), dg.DagsterInstance.get() as instance:
        result = definitions().resolve_job_def("purge_dagster_history").execute_in_process(instance=instance)
        assert {run.run_id for run in instance.get_runs()} == {ids[1], result.run_id}


def test_the_purge_runs_every_night(empty: World):
    """The nightly schedule asks for one purge a night."""
    nightly = definitions().resolve_schedule_def("nightly_purge")
    keys = [
        request.run_key
        for at in (MONDAY, MONDAY, MONDAY + dt.timedelta(days=1))
        for request in scheduled(empty, nightly, at).run_requests or ()
    ]
    assert len(keys) == 3
    assert len(set(keys)) == 2


def backdate(world: World, ages: dict[str, int]) -> None:
    """Let runs look as if they had been created so many days ago."""
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with sqlite3.connect(world.home.dagster / "history" / "runs.db") as connection:
        for run_id, days in ages.items():
            created = str(now - dt.timedelta(days=days))
            changed = connection.execute("UPDATE runs SET create_timestamp = ? WHERE run_id = ?", (created, run_id))
            assert changed.rowcount == 1
    connection.close()


def registry(world: World) -> list[object]:
    """All that the registry knows of models, jobs and decisions."""
    with world.entered() as installation:
        known = installation.registry
        return [
            [known.models(tenant), known.jobs(tenant), known.promotions(tenant, limit=None)] for tenant in (ODD, TWIN)
        ]
