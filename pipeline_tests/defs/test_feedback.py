"""The rounds of the feedback layer, really run: late sales, broken metadata and old data sets are failed checks."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from contracts import CheckReport
from pipeline.defs.monitoring.freshness import worst
from pipeline.forecasting.stale import stale
from pipeline.tables import write_table
from pipeline_tests.defs import tills
from pipeline_tests.defs.test_schedules import MONDAY, scheduled
from pipeline_tests.defs.world import World, definitions
from pipeline_tests.monitoring.foreign import bundle, document, parquet

WELL, LATE = "well", "late"
BREAD, TART = "bread", "tart"


@dataclass(frozen=True)
class Round:
    """What one run of the job made and found."""

    made: Mapping[str, Mapping[str, Any]]
    checks: Mapping[str, dg.AssetCheckEvaluation]

    def named(self, check: str, table: str = "named") -> list[Mapping[str, Any]]:
        """The rows that a check names."""
        value: Any = self.checks[check].metadata[table]
        return [record.data for record in value.records]


def round_of(world: World, **settings: str) -> Round:
    """Run the job once."""
    with world.entered(**settings), dg.DagsterInstance.get() as instance:
        result = definitions().resolve_job_def("feedback").execute_in_process(instance=instance)
        assert result.success
        names = ("freshness", "contract_validation")
        made = {name: result.asset_materializations_for_node(name)[0].metadata for name in names}
        return Round(made, {one.check_name: one for one in result.get_asset_check_evaluations()})


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two tenants whose sales were taken in by their jobs: one's reach to yesterday, the other's till has stopped."""
    world = World(tmp_path_factory.mktemp("feedback") / "world")
    yesterday = pd.Timestamp.now(tz="Europe/Madrid").tz_localize(None).normalize() - pd.Timedelta(days=1)
    for tenant, last in ((WELL, yesterday), (LATE, yesterday - pd.Timedelta(days=9))):
        days = pd.date_range(end=last, periods=60)
        sold = pd.concat([tills.sold(product, days, 20) for product in (BREAD, TART)])
        world.add(tenant, tills.write(sold, world.root / "exports" / f"{tenant}.csv"))
        assert world.run(tenant, "check_data").success
        forecast(world, tenant)
    return world


def forecast(world: World, tenant: str) -> None:
    """Write forecasts of an hour ago."""
    today = pd.Timestamp.now().normalize()
    row = {
        "tenant_id": tenant, "date": today, "origin": today - pd.Timedelta(days=1), "horizon": 1, "y_hat": 20.0,
        "lower": 10.0, "upper": 30.0, "q10": 12.0, "q25": 15.0, "q50": 20.0, "q75": 25.0, "q90": 28.0,
        "model_version": None, "rung": "seasonal_naive", "reason": "no model", "stale": False,
        "issued_at": pd.Timestamp.now(tz="UTC") - pd.Timedelta(hours=1),
    }  # fmt: skip
    rows = pd.DataFrame([{**row, "product_id": product} for product in (BREAD, TART)])
    write_table(world.home.table(tenant, "forecasts"), rows)


@pytest.fixture
def world(taken_in: World, tmp_path: Path) -> World:
    """The same, to be changed."""
    return taken_in.copied(tmp_path / "world")


def forget(world: World, tenant: str) -> None:
    """Take a tenant away."""
    (world.home.tenants / f"{tenant}.toml").unlink()
    shutil.rmtree(world.home.tenant(tenant))


def test_all_is_well(world: World) -> None:
    """With sales to yesterday, young forecasts and good metadata every check passes, and the figures are numbers."""
    forget(world, LATE)
    found = round_of(world)
    assert {name: one.passed for name, one in found.checks.items()} == {
        "products_fresh": True, "datasets_fresh": True, "contracts_kept": True, "lineage_whole": True,
        "deployments_healthy": True, "deployment_healthy": True,
    }  # fmt: skip
    figures = {name: entry.value for name, entry in found.made["freshness"].items()}
    assert figures["dagster/row_count"] == 6
    assert {figures[f"stale_{clock}"] for clock in ("data", "model", "forecast", f"data_{WELL}")} == {0}


def test_a_till_that_has_stopped_is_named(world: World) -> None:
    """Each product of the tenant is named with the days that are missing, no other is; the numbers chart by tenant."""
    found = round_of(world)
    check = found.checks["products_fresh"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    named = [(one["tenant_id"], one["product_id"], one["clock"], one["lag"]) for one in found.named("products_fresh")]
    assert named == [(LATE, BREAD, "data", 9.0), (LATE, TART, "data", 9.0)]
    assert check.description
    assert check.description.startswith(f"{LATE}/{BREAD}: data: sales up to")
    assert check.description.endswith("(and 1 more)")
    figures = {name: entry.value for name, entry in found.made["freshness"].items()}
    assert (figures["stale_data"], figures[f"stale_data_{LATE}"], figures[f"stale_data_{WELL}"]) == (2, 2, 0)
    stored = pd.read_parquet(world.home.monitoring / "freshness.parquet")
    assert len(stored) == figures["dagster/row_count"] == 12
    assert round_of(world, FRESHNESS_DATA_OPEN_DAYS="9").checks["products_fresh"].passed


def test_a_forecast_that_stands_since_sales_are_blocked_is_named(world: World) -> None:
    """Rows that were marked as stale fail the check with the reason."""
    forget(world, LATE)
    path = world.home.table(WELL, "forecasts")
    write_table(path, stale(pd.read_parquet(path), "new sales are blocked"))
    found = round_of(world)
    assert {(one["clock"], one["product_id"]) for one in found.named("products_fresh")} == {
        ("forecast", BREAD), ("forecast", TART),
    }  # fmt: skip
    assert "new sales are blocked" in str(found.checks["products_fresh"].description)


def test_a_broken_tenant_hides_no_other(world: World) -> None:
    """It is named first, with its fault; the rows of the others are there; one without sales yet is a warning."""
    forget(world, LATE)
    world.add("waiting", world.root / "exports" / "none.csv")
    found = round_of(world)
    check = found.checks["products_fresh"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    (world.home.tenants / "broken.toml").write_text("id = ")
    found = round_of(world)
    check = found.checks["products_fresh"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert [one["tenant_id"] for one in found.named("products_fresh")] == ["broken", "waiting"]
    assert "broken.toml" in str(check.description)
    assert found.made["freshness"]["dagster/row_count"].value == 6


def test_data_sets_of_other_systems_are_watched(world: World, tmp_path: Path) -> None:
    """A stale one is named with its age, as a warning; one far too old, or of the future, is an error."""
    forget(world, LATE)
    folder = tmp_path / "foreign"
    settings = {"METADATA_PATHS": str(folder)}
    stamp = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=45)
    parquet(folder / "stations.parquet", build_timestamp=f"{stamp:%Y%m%d_%H%M%S}")
    bundle(folder / "run")
    found = round_of(world, **settings)
    check = found.checks["datasets_fresh"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    (row,) = found.named("datasets_fresh")
    assert (row["data set"], row["threshold"]) == ("stations", 1800)
    assert 2700 <= float(row["seconds"]) < 3500
    assert found.checks["contracts_kept"].passed
    assert round_of(world, **settings, FRESHNESS_SECONDS="7200").checks["datasets_fresh"].passed
    document(folder / "ahead.json", built_at="2126-03-02T04:05:06Z")
    found = round_of(world, **settings, FRESHNESS_SECONDS="7200")
    assert found.checks["datasets_fresh"].severity is dg.AssetCheckSeverity.ERROR
    assert "in the future" in str(found.checks["datasets_fresh"].description)
    assert [one["check"] for one in found.named("contracts_kept", "faults")] == ["freshness_computable"]


def test_broken_metadata_is_named(world: World, tmp_path: Path) -> None:
    """The file, the check and what was found are told, and stored as reports that are as their contract says."""
    forget(world, LATE)
    document(world.home.tenant(WELL) / "sales.json", dataset_name="well/sales", row_count=-1)
    (world.home.tenant(WELL) / "training_metadata.ndjson").write_text('{"run_id": ""}\n')
    found = round_of(world, METADATA_PATHS=str(tmp_path / "gone"))
    check = found.checks["contracts_kept"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    told = {(Path(str(one["file"])).name, one["check"]) for one in found.named("contracts_kept", "faults")}
    assert told == {
        ("sales.json", "freshness_computable"), ("training_metadata.ndjson", "contract_kept"), ("gone", "file_exists"),
    }  # fmt: skip
    stored = json.loads((world.home.monitoring / "contract_reports.json").read_text())["reports"]
    reports = [CheckReport.model_validate_json(json.dumps(one)) for one in stored]
    assert sum(not one.all_passed for one in reports) == 3


def test_the_worst_come_first() -> None:
    """What is not there at all goes before what is late, and that by how many times its threshold it is."""
    lags = {"a bit": 3.0, "far": 40.0, "not there": float("nan"), "none allowed": 7.0}
    table = pd.DataFrame({"product_id": list(lags), "lag": list(lags.values()), "threshold": [2.0, 2.0, 2.0, 0.0]})
    assert list(worst(table)["product_id"]) == ["not there", "far", "none allowed", "a bit"]


def test_rounds_are_asked_for_all_day_and_never_two_at_once(empty: World) -> None:
    """Each tick asks for one run; none is asked for while the one before still waits or works, and that is said."""
    rounds = definitions().resolve_schedule_def("feedback_rounds")
    moments = [MONDAY + dt.timedelta(minutes=minutes) for minutes in (0, 10)]
    keys = {request.run_key for at in moments for request in scheduled(empty, rounds, at).run_requests or ()}
    assert len(keys) == 2
    job = definitions().resolve_job_def("feedback")
    with empty.instance() as instance:
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    tick = scheduled(empty, rounds, moments[0])
    assert not tick.run_requests
    assert run.run_id in (tick.skip_message or "")


def test_dagster_watches_the_tenants_assets() -> None:
    """What is made daily and what is made by trainings has a freshness policy with a window for it."""
    specs = {spec.key.to_user_string(): spec.freshness_policy for spec in definitions().resolve_all_asset_specs()}
    windows: dict[str, Any] = {name: policy for name, policy in specs.items() if policy is not None}
    hours = {name: policy.fail_window.to_timedelta() / dt.timedelta(hours=1) for name, policy in windows.items()}
    assert hours == {"sales": 36, "calendar": 36, "forecasts": 36, "features": 192}
