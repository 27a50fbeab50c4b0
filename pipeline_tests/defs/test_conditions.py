"""The sensor `conditions`, and the metrics that a run leaves behind."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from contracts import Priority
from pipeline.defs.resources import InstallationResource
from pipeline.defs.waiting import waiting
from pipeline.monitoring.conditions import Memory
from pipeline_tests.commands.test_jobs_command import queued
from pipeline_tests.defs.world import TWIN, Finished, World, definitions
from pipeline_tests.monitoring.metrics.scraped import find, parsed, trained, value


def look(world: World, cursor: str | None = None, **settings: str) -> tuple[str, str]:
    """Let the sensor look once; return why it asks for no run, and its cursor."""
    sensor = definitions().resolve_sensor_def("conditions")
    with world.entered(**settings), dg.DagsterInstance.get() as instance:
        resources = {"installation": InstallationResource()}
        context = dg.build_sensor_context(instance=instance, resources=resources, cursor=cursor)
        found = sensor(context)
    assert isinstance(found, dg.SkipReason)
    return found.skip_message or "", context.cursor or ""


@pytest.fixture
def world(empty: World) -> World:
    """A world with a tenant of whom nothing is known."""
    with empty.entered():  # Dagster's folder with its dagster.yaml is there from now on.
        empty.home.tenants.mkdir(parents=True, exist_ok=True)
        (empty.home.tenants / f"{TWIN}.toml").touch()
    return empty


def test_it_raises_what_holds_and_says_so(world: World) -> None:
    """The tick tells what was raised, then that nothing has changed, then what has ended."""
    assert look(world)[0] == "nothing has changed; 0 conditions hold"
    with world.entered() as installation:
        trained(installation, TWIN, "rye")
    find(world.home, TWIN, drift={"rye": "sells more"})
    raised = "an alert was raised: demand_drift: products: 1 product: rye; rye: sells more; 1 conditions hold"
    assert look(world)[0] == raised
    with world.entered() as installation:
        (alert,) = installation.registry.alerts()
    assert (alert.kind, alert.tenant_id) == ("demand_drift", TWIN)
    assert look(world)[0] == "nothing has changed; 1 conditions hold"
    find(world.home, TWIN)
    assert look(world)[0] == "an alert has ended: demand_drift: products; 0 conditions hold"


def test_the_queue_is_read_and_followed(world: World) -> None:
    """A run that waits has its priority and moment; since when too many wait is in the cursor, and becomes an alert."""
    begun = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    queued(world, TWIN, Priority.HIGH)
    with world.instance() as instance:
        (one,) = waiting(instance)
    assert one.priority is Priority.HIGH
    assert begun <= one.since <= dt.datetime.now(dt.UTC)
    told, cursor = look(world, ALERT_QUEUE_DEPTH="0", ALERT_QUEUE_MINUTES="5")
    assert told == "nothing has changed; 0 conditions hold"
    found = parsed(world.home.metrics_file.read_text())
    assert value(found, "pipeline_queue_depth", priority="high") == 1
    since = Memory.read(cursor).queue_long_since
    assert since is not None
    earlier = Memory(queue_long_since=since - dt.timedelta(minutes=6)).model_dump_json()
    assert "queue_long" in look(world, earlier, ALERT_QUEUE_DEPTH="0", ALERT_QUEUE_MINUTES="5")[0]


def test_each_look_leaves_the_metrics(world: World) -> None:
    """The file has the alert that the look raised; where it cannot be written that is said."""
    with world.entered() as installation:
        trained(installation, TWIN, "rye")
    find(world.home, TWIN, drift={"rye": "sells more"})
    look(world)
    found = parsed(world.home.metrics_file.read_text())
    assert value(found, "pipeline_open_alerts", kind="demand_drift", severity="low") == 1
    world.home.metrics_file.unlink()
    world.home.metrics_file.mkdir()
    assert "pipeline.prom" in look(world)[0]


def test_a_run_leaves_its_metrics(finished: Finished) -> None:
    """After the runs of two tenants the file holds both: trainings, models by category, forecasts, training tables."""
    found = parsed(finished.world.home.metrics_file.read_text())
    for tenant in finished.runs:
        assert value(found, "training_jobs_total", tenant_id=tenant, status="completed") == 1
    assert value(found, "ml_training_duration_seconds_count") == len(finished.runs)
    assert value(found, "ml_dataset_build_duration_seconds_count") == len(finished.runs)
    assert (value(found, "ml_prediction_total") or 0) >= 3
    assert value(found, "pipeline_queue_depth", priority="normal") == 0
    assert 0 < (value(found, "ml_feature_freshness_seconds") or 0) < 3600
    with finished.world.entered() as installation:
        models = sum(len(installation.registry.models(tenant)) for tenant in finished.runs)
    assert sum(number for (name, _), number in found.items() if name == "models_trained_total") == models


def test_a_run_that_fails_leaves_them_too(copy: World) -> None:
    """The file is that of the run's end; where it cannot be written the run ends as it would."""
    copy.home.metrics_file.unlink()
    copy.add(TWIN, copy.root / "exports" / "nowhere.csv")
    assert not copy.run(TWIN).success
    assert value(parsed(copy.home.metrics_file.read_text()), "pipeline_registry_up") == 1


def test_metrics_that_cannot_be_written_fail_no_run(copy: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log."""
    copy.home.metrics_file.unlink()
    copy.home.metrics_file.mkdir()
    assert copy.run(TWIN, "check_data").success
    assert "the metrics of this run's end could not be written" in caplog.text
