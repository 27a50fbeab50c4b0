"""What happens after the first run: nothing new, new days, unusable files, and a missing column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from contracts import CovariateSource
from pipeline.sources.extract import extract_sales
from pipeline.tenants import save_tenant
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, Finished, World

MARKS = ["rung", "stale", "reason"]
LOOSE = {"mase", "rmsse"}
"""What the stored table tells in other words, or not at all."""
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


def sell_on(world: World, days: int) -> None:
    """Add some days of sales to the twin's till."""
    longer = pd.concat([tills.steady(product, days=60) for product in tills.STEADY[:2]])
    shift = pd.to_datetime(longer["date"]) + pd.Timedelta(days=days)
    longer = longer.assign(date=shift.dt.strftime("%Y-%m-%d"))[shift > tills.LAST]
    place = Path(world.root / "exports" / "twin.csv")
    tills.write(pd.concat([pd.read_csv(place), longer]), place)
    world.add(TWIN, place, country="FR")


def test_a_day_on_which_nothing_is_due_tells_of_the_evaluation_that_stands(copy: World, finished: Finished):
    """With a new day and nothing to train the metadata are those of the stored table, said to be kept."""
    before = pd.read_parquet(copy.home.table(TWIN, "evaluation"))
    first = copy.metadata(finished.runs[TWIN].run_id, "evaluation")
    sell_on(copy, 1)
    run = copy.run(TWIN)
    assert run.success, run.errors
    told = copy.metadata(run.run_id, "evaluation")
    pd.testing.assert_frame_equal(pd.read_parquet(copy.home.table(TWIN, "evaluation")), before)
    assert told["nesting"] == first["nesting"]
    assert told["nesting"].startswith("2 rolling origins; ")
    assert str(before["origin"].max().date()) in told["kept"]
    figures = {name: value for name, value in first.items() if isinstance(value, float) and name not in LOOSE}
    assert {"wape", "mae", "coverage", "naive_wape", "naive_mae"} <= figures.keys()
    assert {name: told[name] for name in figures} == pytest.approx(figures)
    assert told["mase"] == pytest.approx(first["mase"], rel=0.02)


def test_new_days_move_the_forecast_without_training(copy: World):
    """`daily_forecast` takes two new days in, and the standing champions forecast from the later origin."""
    known = versions(copy, TWIN)
    sell_on(copy, 2)
    run = copy.run(TWIN, "daily_forecast")
    assert run.success, run.errors
    frame = pd.read_parquet(copy.home.table(TWIN, "forecasts"))
    assert set(frame["origin"].astype(str)) == {"2024-07-20"}
    assert set(frame["rung"]) == {"champion"}
    assert versions(copy, TWIN) == known


def test_unusable_rows_stop_a_tenant_before_training(copy: World):
    """A broken export blocks the run: nothing is trained, sales and forecasts stay; other tenants are untouched."""
    exports = copy.root / "exports" / "twin"
    broken = pd.read_csv(copy.root / "exports" / "twin.csv", dtype=str)
    broken["quantity"] = np.where(np.arange(len(broken)) % 5 < 4, "n/a", broken["quantity"])
    tills.write(broken, exports / "torn.csv")
    (copy.root / "exports" / "twin.csv").rename(exports / "twin.csv")
    copy.add(TWIN, exports, country="FR")
    sales = pd.read_parquet(copy.home.table(TWIN, "sales"))
    forecasts, other, known = (
        pd.read_parquet(copy.home.table(TWIN, "forecasts")),
        stored(copy, ODD),
        versions(copy, TWIN),
    )
    run = copy.run(TWIN)
    assert not run.success
    pd.testing.assert_frame_equal(pd.read_parquet(copy.home.table(TWIN, "sales")), sales)
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
    assert "sales: required_fields (blocking)" in " ".join(run.failed_checks)
    assert not copy.run(TWIN).success


def test_another_tills_sales_begin_anew(copy: World):
    """A tenant that is pointed at another business's file forecasts that one's products alone, and says so."""
    other = tills.write(tills.steady("Bun", days=60), copy.root / "exports" / "other.csv")
    before = copy.add(TWIN, copy.root / "exports" / "twin.csv", country="FR")
    with copy.entered() as installation:
        extract_sales(before, copy.home, installation.settings)
    copy.add(TWIN, other, country="FR")
    run = copy.run(TWIN, "daily_forecast")
    assert run.success, run.errors
    assert set(pd.read_parquet(copy.home.table(TWIN, "forecasts"))["product_id"]) == {"Bun"}
    with copy.instance() as instance:
        made = instance.get_latest_materialization_event(dg.AssetKey("sales"))
    assert made is not None
    assert made.asset_materialization is not None
    assert made.asset_materialization.metadata["replaced_source"].value == before.source.path


def gone(world: World) -> None:
    """Let the twin's sales be gone."""
    world.add(TWIN, world.root / "exports" / "gone.csv", country="FR")


def torn_tenant(world: World) -> None:
    """Let the twin's own file be broken."""
    (world.home.tenants / f"{TWIN}.toml").write_text("id = [", encoding="utf-8")


def bad_covariates(world: World) -> None:
    """Let the twin's covariates be words."""
    made = world.add(TWIN, world.root / "exports" / "twin.csv", country="FR")
    place = world.root / "weather.csv"
    place.write_text("date,rain\n2024-07-18,wet\n", encoding="utf-8")
    save_tenant(world.home, made.model_copy(update={"covariates": CovariateSource(path=str(place))}), replace=True)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (gone, "sales: SourceNotFoundError: there is no"),
        (torn_tenant, "sales: TenantError: tenant file"),
        (bad_covariates, "calendar: DataError: covariates file 'weather.csv', row 1: 'wet'"),
    ],
)
@pytest.mark.parametrize("torn", [False, True])
def test_what_stops_the_sales_marks_the_last_forecast(
    copy: World, harm: Callable[[World], None], said: str, torn: bool
):
    """Whatever keeps new sales out, the last forecast says that it is stale; where it is torn, the cause is told."""
    place = copy.home.table(TWIN, "forecasts")
    harm(copy)
    if torn:
        place.write_bytes(b"PAR1 torn")
    run = copy.run(TWIN)
    assert not run.success
    (error,) = run.errors
    assert error.startswith(said)
    if not torn:
        forecasts = pd.read_parquet(place)
        assert set(forecasts["stale"]) == {True}
        assert set(forecasts["reason"].str.contains("new sales are blocked: ")) == {True}


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
    assert {name for name in after if after[name] != before[name]} == {"forecasts.json", "forecasts.parquet"}
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
