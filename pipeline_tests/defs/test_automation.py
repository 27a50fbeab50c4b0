"""What starts runs by itself: the sensor on sales files, the weekly schedule, and the nightly purge."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline.defs.resources import InstallationResource
from pipeline.sources.extract import remember, source_fingerprint
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, World, definitions

MONDAY = dt.datetime(2024, 7, 22, 2, 0, tzinfo=dt.UTC)


def tick(world: World) -> dg.SensorResult:
    """Let the sensor look once."""
    sensor = definitions().resolve_sensor_def("new_sales_files")
    with world.instance() as instance:
        resources = {"installation": InstallationResource()}
        found = sensor(dg.build_sensor_context(instance=instance, resources=resources))
    assert isinstance(found, dg.SensorResult)
    return found


def reason(found: dg.SensorResult) -> str:
    """Why a tick asks for nothing."""
    skipped = found.skip_reason
    return (skipped.skip_message if isinstance(skipped, dg.SkipReason) else skipped) or ""


def asked(found: dg.SensorResult) -> dict[str, str]:
    """Run key by partition of what a tick asks for."""
    return {request.partition_key or "": request.run_key or "" for request in found.run_requests or ()}


def added(found: dg.SensorResult) -> list[str]:
    """The tenants that a tick registers."""
    return [key for request in found.dynamic_partitions_requests or () for key in request.partition_keys]


def till(world: World, name: str, *, days: int = 40) -> Path:
    """A tenant's file, and the tenant, not yet registered with Dagster."""
    place = tills.write(tills.steady("Bun", days=days), world.root / "exports" / f"{name}.csv")
    world.add(name, place, register=False)
    return place


def taken(world: World, name: str) -> None:
    """Note that a tenant's files have been taken in, as the asset `sales` does."""
    with world.entered() as installation:
        remember(world.home, name, source_fingerprint(installation.tenant(name)))


def later(place: Path) -> None:
    """Let a file look as if it was written a minute later."""
    stat = place.stat()
    os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns + 60 * 10**9))


def test_the_sensor_asks_for_a_new_tenant_and_registers_it(empty: World):
    """A tenant that was added as a file alone becomes a partition, and its run is asked for once."""
    till(empty, "bakery")
    found = tick(empty)
    assert added(found) == ["bakery"]
    assert list(asked(found)) == ["bakery"]
    (request,) = found.run_requests or ()
    assert request.tags["tenant"] == "bakery"
    assert request.tags["cause"] == "new sales files"


def test_a_replayed_tick_asks_with_the_same_run_key(empty: World):
    """Before the run has taken the files in, every tick asks with the same key, which Dagster runs once."""
    till(empty, "bakery")
    assert asked(tick(empty)) == asked(tick(empty)) != {}


def test_the_sensor_rests_once_the_files_are_taken_in(copy: World):
    """After the runs nothing is asked for, and the skip reason says so."""
    found = tick(copy)
    assert asked(found) == {}
    assert added(found) == []
    assert reason(found) == "no sales file of 2 tenants has changed"


def test_the_sensor_asks_again_when_a_file_changes(copy: World):
    """A touched file of one tenant asks for that tenant's run, with a key of its own."""
    later(copy.root / "exports" / "twin.csv")
    copy.add(TWIN, copy.root / "exports" / "twin.csv", country="FR")
    taken(copy, TWIN)
    later(copy.root / "exports" / "twin.csv")
    first = asked(tick(copy))
    assert list(first) == [TWIN]
    later(copy.root / "exports" / "twin.csv")
    assert asked(tick(copy))[TWIN] != first[TWIN]


def test_a_file_that_is_put_back_is_taken_in_again(empty: World):
    """Dagster remembers run keys for ever: a file restored with its old time stamp must not meet its old key."""
    place = till(empty, "bakery")
    content, stat = place.read_bytes(), place.stat()
    first = asked(tick(empty))["bakery"]
    taken(empty, "bakery")
    place.write_bytes(b"date,product_id,quantity\n")
    second = asked(tick(empty))["bakery"]
    taken(empty, "bakery")
    place.write_bytes(content)
    os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    third = asked(tick(empty))["bakery"]
    assert len({first, second, third}) == 3


def test_an_unreadable_tenant_is_named_and_stops_no_other(empty: World):
    """A tenant whose file is gone, and one whose own TOML is broken, are named; a sound one is asked for."""
    till(empty, "gone").unlink()
    empty.home.tenants.joinpath("torn.toml").write_text("id = [", encoding="utf-8")
    message = reason(tick(empty))
    assert "2 cannot be looked at" in message
    assert "gone: " in message
    assert "gone.csv" in message
    assert "torn: tenant file" in message
    till(empty, "bakery")
    found = tick(empty)
    assert list(asked(found)) == ["bakery"]
    assert sorted(added(found)) == ["bakery", "gone"]


def test_the_sensor_without_tenants_says_what_to_do(empty: World):
    """With nobody to watch, the skip reason names the command that adds a tenant."""
    assert "pipeline tenants add" in reason(tick(empty))


@pytest.fixture
def weekly() -> Iterator[dg.ScheduleDefinition]:
    """The weekly schedule."""
    return definitions().resolve_schedule_def("weekly_retraining")


def scheduled(world: World, schedule: dg.ScheduleDefinition, at: dt.datetime) -> dg.ScheduleExecutionData:
    """Let a schedule tick."""
    with world.instance() as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=repository())
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
