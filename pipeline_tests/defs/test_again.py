"""What happens after the first run: nothing new, new days, unusable files, and a missing column."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd

from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, Finished, World

MARKS = ["rung", "stale", "reason"]
TRAINS_FROM = {"training_plan", "training_ledger", "evaluation", "champions", "forecasts", "report"}


def materialized(world: World, run_id: str) -> list[tuple[str, str | None]]:
    """(asset, partition) of a run's materializations, in order."""
    with world.instance() as instance:
        entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    events = [entry.asset_materialization for entry in entries]
    return [(one.asset_key.to_user_string(), one.partition) for one in events if one]


def versions(world: World, tenant_id: str) -> set[tuple[str, str]]:
    """(product, version) of a tenant's registered models."""
    with world.entered() as installation:
        return {(record.product_id, record.version) for record in installation.registry.models(tenant_id)}


def stored(world: World, tenant_id: str) -> dict[str, bytes]:
    """Everything that is stored for a tenant but locks, by path."""
    folder = world.home.tenant(tenant_id)
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_sales_train_nothing_and_still_forecast(copy: World):
    """A second run of the same sales skips every product with its reason, and writes the forecasts anew."""
    before = pd.read_parquet(copy.home.table(ODD, "forecasts"))
    known = versions(copy, ODD)
    run = copy.run(ODD)
    assert run.success, run.errors
    ledger = pd.read_parquet(copy.home.table(ODD, "training_ledger")).set_index("product_id")
    assert set(ledger.index) == set(tills.ODD)
    assert ledger["outcome"].to_dict() == {**dict.fromkeys(tills.ODD, "skipped"), tills.SHORT: "insufficient"}
    assert set(ledger.loc[list(tills.TRAINED), "reason"]) == {"unchanged since the last training"}
    assert versions(copy, ODD) == known
    assert "product_model" not in {asset for asset, _ in materialized(copy, run.run_id)}
    after = pd.read_parquet(copy.home.table(ODD, "forecasts"))
    assert after["issued_at"].min() > before["issued_at"].max()
    pd.testing.assert_frame_equal(after.drop(columns="issued_at"), before.drop(columns="issued_at"))


def test_new_days_move_the_forecast_without_training(copy: World, tmp_path: Path):
    """`daily_forecast` takes two new days in, and the standing champions forecast from the later origin."""
    known = versions(copy, TWIN)
    longer = pd.concat([tills.steady(product, days=60) for product in tills.STEADY[:2]])
    shift = pd.to_datetime(longer["date"]) + pd.Timedelta(days=2)
    longer = longer.assign(date=shift.dt.strftime("%Y-%m-%d"))[shift > tills.LAST]
    place = Path(copy.root / "exports" / "twin.csv")
    tills.write(pd.concat([pd.read_csv(place), longer]), place)
    copy.add(TWIN, place, country="FR")
    run = copy.run(TWIN, "daily_forecast")
    assert run.success, run.errors
    frame = pd.read_parquet(copy.home.table(TWIN, "forecasts"))
    assert set(frame["origin"].astype(str)) == {"2024-07-20"}
    assert set(frame["rung"]) == {"champion"}
    assert versions(copy, TWIN) == known


def test_unusable_rows_stop_a_tenant_before_training(copy: World):
    """Mostly unusable rows block the run: nothing is trained, earlier forecasts stay, marked; others are untouched."""
    place = copy.root / "exports" / "torn.csv"
    broken = pd.read_csv(copy.root / "exports" / "twin.csv", dtype=str)
    broken["quantity"] = np.where(np.arange(len(broken)) % 5 < 4, "n/a", broken["quantity"])
    copy.add(TWIN, tills.write(broken, place), country="FR")
    forecasts, other, known = (
        pd.read_parquet(copy.home.table(TWIN, "forecasts")),
        stored(copy, ODD),
        versions(copy, TWIN),
    )
    run = copy.run(TWIN)
    assert not run.success
    assert not TRAINS_FROM & {asset for asset, _ in materialized(copy, run.run_id)}
    after = pd.read_parquet(copy.home.table(TWIN, "forecasts"))
    pd.testing.assert_frame_equal(after.drop(columns=MARKS), forecasts.drop(columns=MARKS))
    assert (set(after["rung"]), set(after["stale"])) == ({"last_forecast"}, {True})
    assert set(after["reason"].str.contains("new sales are blocked: .*lack a usable date")) == {True}
    assert versions(copy, TWIN) == known
    assert stored(copy, ODD) == other
    (failed,) = [one for one in evaluations(copy, run.run_id) if not one.passed and one.blocking]
    assert (failed.check_name, failed.partition, failed.severity) == (
        "required_fields",
        TWIN,
        dg.AssetCheckSeverity.ERROR,
    )
    total, *by_product = failed.metadata["faults"].records
    assert (total.data["product"], total.data["rows"]) == ("(all)", 320)
    assert "torn.csv row 1: bad_quantity 'n/a'" in str(total.data["examples"])
    assert sum(int(one.data["rows"]) for one in by_product) == 320
    assert all("torn.csv row" in str(one.data["examples"]) for one in by_product)
    assert "required_fields" in " ".join(run.errors)


def evaluations(world: World, run_id: str) -> list[dg.AssetCheckEvaluation]:
    """The check evaluations of a run."""
    with world.instance() as instance:
        entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return [entry.asset_check_evaluation for entry in entries]


def test_a_missing_column_fails_sales_with_its_name(copy: World):
    """A structural fault fails `sales` and says which column is missing; the last forecast is marked stale."""
    place = copy.root / "exports" / "other-till.csv"
    renamed = pd.read_csv(copy.root / "exports" / "twin.csv").rename(columns={"quantity": "Menge"})
    copy.add(TWIN, tills.write(renamed, place), country="FR")
    before = stored(copy, TWIN)
    run = copy.run(TWIN)
    assert not run.success
    (error,) = run.errors
    assert error.startswith("sales: MissingColumnsError: ")
    assert "'quantity'" in error
    assert "Menge" in error
    assert materialized(copy, run.run_id) == []
    after = stored(copy, TWIN)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"forecasts.parquet"}
    forecasts = pd.read_parquet(copy.home.table(TWIN, "forecasts"))
    assert set(forecasts["stale"]) == {True}
    assert set(forecasts["reason"].str.contains("MissingColumns|no column 'quantity'")) == {True}


def test_a_first_run_that_is_blocked_forecasts_nothing(empty: World):
    """A new tenant whose dates cannot be read is told so, with what was found, and gets no forecast."""
    place = empty.root / "exports" / "new.csv"
    empty.add("new", tills.write(tills.steady("Bun", days=40).assign(date="some day"), place))
    run = empty.run("new")
    assert not run.success
    (error,) = run.errors
    assert error.startswith("sales: DataError: file 'new.csv': column 'date' holds no date")
    assert "'some day'" in error
    assert not empty.home.table("new", "forecasts").exists()


def test_finished_runs_show_what_they_were(finished: Finished):
    """A run from the command line carries its tenant and cause as tags, to be found by in the UI."""
    with finished.world.instance() as instance:
        runs = {run.run_id: run for run in instance.get_runs()}
    for tenant, run in finished.runs.items():
        tags = runs[run.run_id].tags
        assert (tags["tenant"], tags["dagster/partition"], tags["cause"]) == (tenant, tenant, "command line")
