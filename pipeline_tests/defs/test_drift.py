"""Sales that shift after a training, and forecasts that turn wrong: found, named, trained, and quiet again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from contracts import Cause
from pipeline.defs.resources import InstallationResource
from pipeline.forecasting.ladder import QUANTILE_COLUMNS
from pipeline.monitoring.causes import findings, findings_path
from pipeline.tables import read_table, write_table
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import World, definitions

TENANT = "shifting"
FIRST = pd.Timestamp("2024-01-01")
BEFORE, AFTER = 240, 9
PRODUCTS = ("bun", "cake", "pie", "roll", "rye", "tart")
SHIFTED = "pie"


def sales_of(days: int, factors: Mapping[str, float], since: int = BEFORE) -> pd.DataFrame:
    """Daily sales of six products; from day `since` on some sell so many times as much. Earlier days stay the same."""
    frames = []
    for number, product in enumerate(PRODUCTS):
        level = 40 + 10 * number
        week = 1 + 0.2 * np.sin(2 * np.pi * np.arange(days) / 7)
        units = np.random.default_rng([3, number]).poisson(level * week).astype(float)
        units[since:] = np.round(units[since:] * factors.get(product, 1.0))
        frames.append(
            pd.DataFrame({"product_id": product, "date": pd.date_range(FIRST, periods=days), "quantity": units})
        )
    return pd.concat(frames, ignore_index=True)


def as_if_made_in_time(world: World) -> None:
    """Say of every issued forecast that it was made in the night after its origin, as in a shop that runs daily."""
    for path in world.home.issued(TENANT).glob("*.parquet"):
        frame = pd.read_parquet(path)
        made = pd.to_datetime(frame["origin"]) + pd.Timedelta(hours=27)
        write_table(path, frame.assign(issued_at=made.dt.tz_localize("UTC")))


def causes(world: World, name: str) -> dict[str, str]:
    """The causes of what a stored plan or ledger trained, by product."""
    table = read_table(world.home.table(TENANT, name), name)
    return dict(table.loc[table["cause"].notna(), ["product_id", "cause"]].itertuples(index=False))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A tenant that was trained on 240 stable days."""
    world = World(tmp_path_factory.mktemp("drift"))
    world.add(TENANT, tills.write(sales_of(BEFORE, {}), world.root / "exports" / "sales.csv"))
    assert world.run(TENANT).success
    as_if_made_in_time(world)
    return world


def sell(world: World, days: int, factors: Mapping[str, float]) -> None:
    """Let the till's file grow."""
    tills.write(sales_of(days, factors), world.root / "exports" / "sales.csv")
    world.add(TENANT, world.root / "exports" / "sales.csv")


def tick(world: World) -> tuple[list[dg.RunRequest], str]:
    """Let the sensor look once: what it asks for, and why for nothing."""
    sensor = definitions().resolve_sensor_def("watched_models")
    with world.instance() as instance:
        found = list(
            sensor(dg.build_sensor_context(instance=instance, resources={"installation": InstallationResource()}))
        )
    asked = [one for one in found if isinstance(one, dg.RunRequest)]
    return asked, "; ".join(one.skip_message or "" for one in found if isinstance(one, dg.SkipReason))


def checks(world: World, run_id: str) -> dict[str, dg.AssetCheckEvaluation]:
    """The check evaluations of a run, by name."""
    with world.instance() as instance:
        entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.asset_check_evaluation for entry in entries]
    return {one.check_name: one for one in found if one}


def test_before_anything_is_over_nothing_is_found(trained: World) -> None:
    """A first run leaves an accuracy without rows, a drift without models, no finding, and nothing is asked for."""
    found = findings(trained.home, TENANT)
    assert found is not None
    assert found.found == ()
    assert read_table(trained.home.table(TENANT, "forecast_accuracy"), "accuracy").empty
    assert tick(trained) == ([], "nothing was found in any tenant's models that no training has answered")


def test_a_shift_is_found_trained_and_then_quiet(trained: World, tmp_path: Path) -> None:
    """A product that sells 40 % more is named by the daily run, asked for once, trained with the cause, and quiet."""
    world = trained.copied(tmp_path / "world")
    sell(world, BEFORE + AFTER, {SHIFTED: 1.4})
    run = world.run(TENANT, "daily_forecast")
    assert run.success
    told = checks(world, run.run_id)["no_drift"]
    assert not told.passed
    assert {row.data["product"] for row in told.metadata["products"].records} == {SHIFTED}
    (asked,), _ = tick(world)
    ((again,), _) = tick(world)
    assert (asked.partition_key, asked.run_key) == (TENANT, again.run_key)
    assert world.run(TENANT).success
    assert causes(world, "training_plan") == causes(world, "training_ledger") == {SHIFTED: Cause.DRIFT.value}
    ledger = read_table(world.home.table(TENANT, "training_ledger"), "ledger").set_index("product_id")
    assert ledger.loc[SHIFTED, "outcome"] == "trained"
    assert tick(world)[0] == []
    quiet = world.run(TENANT, "daily_forecast")
    assert checks(world, quiet.run_id)["no_drift"].passed
    assert findings(world.home, TENANT).found == ()


def test_forecasts_that_are_far_off_are_a_cause(trained: World, tmp_path: Path) -> None:
    """Forecasts far off on twelve days that a model has not seen are a cause in the plan and the ledger."""
    world = trained.copied(tmp_path / "world")
    for path in world.home.issued(TENANT).glob("*.parquet"):
        frame = pd.read_parquet(path)
        off = frame["product_id"] == SHIFTED
        columns = ["y_hat", *QUANTILE_COLUMNS]
        frame.loc[off, columns] = frame.loc[off, columns] * 1.6
        write_table(path, frame)
    sell(world, BEFORE + 12, {})
    run = world.run(TENANT)
    assert run.success
    assert causes(world, "training_plan") == causes(world, "training_ledger") == {SHIFTED: Cause.LIVE_ACCURACY.value}
    told = checks(world, run.run_id)["forecasts_hold"]
    assert not told.passed
    assert told.metadata["falling"].value == 1


def test_broken_files_stop_no_training(trained: World, tmp_path: Path) -> None:
    """Issued forecasts and tables of former runs that cannot be read are told of, and the tenant goes on."""
    world = trained.copied(tmp_path / "world")
    tables = [world.home.table(TENANT, name) for name in ("evaluation", "drift", "forecast_accuracy")]
    for path in (*world.home.issued(TENANT).glob("*.parquet"), *tables):
        path.write_bytes(b"torn")
    findings_path(world.home, TENANT).write_bytes(b"{")
    assert "cannot be read" in tick(world)[1]
    sell(world, BEFORE + 6, {})
    run = world.run(TENANT)
    assert run.success
    assert len(world.metadata(run.run_id, "drift")["faults"]) == 2
