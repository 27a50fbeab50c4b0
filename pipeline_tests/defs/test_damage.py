"""Stored things that were torn or changed: each costs what it holds, and is named; the rest goes on."""

from __future__ import annotations

import datetime as dt
import logging

import dagster as dg
import pandas as pd
import pytest
from sqlalchemy import delete, update

from pipeline.defs.resources import InstallationResource
from pipeline.registry.tables import PromotionDecision, TrainedModel
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import TWIN, World, definitions

BUTTER, PAIN = tills.STEADY[:2]


def check_of(world: World, run_id: str, name: str) -> dg.AssetCheckEvaluation:
    """A check's evaluation in a run."""
    with world.instance() as instance:
        entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    (found,) = [e.asset_check_evaluation for e in entries if e.asset_check_evaluation.check_name == name]
    return found


def checked(world: World, name: str, asset: str) -> dg.AssetCheckEvaluation:
    """Evaluate a check of the twin's asset alone, as the UI's button does."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), name)
    job = definitions().resolve_implicit_global_asset_job_def()
    with world.instance() as instance:
        alone = job.get_subset(asset_check_selection={key})
        run = alone.execute_in_process(instance=instance, tags={"dagster/partition": TWIN})
        return check_of(world, run.run_id, name)


def test_a_torn_forecast_blocks_no_later_one(copy: World):
    """A last forecast that cannot be read is done without; the new one is whole, and says which file, and why."""
    path = copy.home.table(TWIN, "forecasts")
    path.write_bytes(path.read_bytes()[:1000])
    run = copy.run(TWIN, "daily_forecast")
    assert run.success, run.errors
    told = str(copy.metadata(run.run_id, "forecasts")["previous_forecast"])
    assert str(path) in told
    assert "cannot be read: " in told
    with copy.instance() as instance:
        warned = [
            e for e in instance.all_logs(run.run_id) if e.level == logging.WARNING and str(path) in e.user_message
        ]
    assert len(warned) == 1
    assert set(pd.read_parquet(path)["rung"]) == {"champion"}
    again = copy.run(TWIN, "daily_forecast")
    assert "previous_forecast" not in copy.metadata(again.run_id, "forecasts")


def test_a_torn_evaluation_blocks_no_run(copy: World):
    """Where nothing is due and the stored evaluation cannot be read, an empty one takes its place."""
    path = copy.home.table(TWIN, "evaluation")
    path.write_bytes(path.read_bytes()[:1000])
    for kept in (copy.home.tenant(TWIN) / "evaluated").glob("*.npz"):
        kept.unlink()
    run = copy.run(TWIN)
    assert run.success, run.errors
    assert pd.read_parquet(path).empty
    told = copy.metadata(run.run_id, "evaluation")
    assert (told["dagster/row_count"], "wape" in told) == (0, False)
    assert str(told["nesting"]).startswith(f"not evaluated: the evaluation: {path} cannot be read: ")


def test_a_changed_manifest_costs_its_product_alone(copy: World):
    """One changed manifest is refused and named, in the ledger of decisions and by the check; the run succeeds."""
    with copy.entered() as installation:
        latest = installation.registry.latest(TWIN)[BUTTER].version
        with installation.registry._engine.begin() as connection:
            broken = (TrainedModel.tenant_id == TWIN) & (TrainedModel.product_id == BUTTER)
            connection.execute(update(TrainedModel).where(broken).values(manifest="{}"))
            connection.execute(delete(PromotionDecision).where(PromotionDecision.tenant_id == TWIN))
    run = copy.run(TWIN, "daily_forecast")
    assert run.success, run.errors
    decided = pd.read_parquet(copy.home.table(TWIN, "champions")).set_index("product_id")
    assert decided["promoted"].to_dict() == {BUTTER: False, PAIN: True}
    assert f"not whole: the manifest of {TWIN}/{BUTTER} {latest} was changed" in decided.loc[BUTTER, "reason"]
    rungs = pd.read_parquet(copy.home.table(TWIN, "forecasts")).drop_duplicates("product_id").set_index("product_id")
    assert rungs["rung"].to_dict() == {BUTTER: "seasonal_naive", PAIN: "champion"}
    found = checked(copy, "artefacts_whole", "training_ledger")
    (named,) = found.metadata["products"].records
    assert not found.passed
    assert named.data["product"] == BUTTER
    assert "was changed after it was registered" in str(named.data["fault"])


@pytest.mark.parametrize(
    ("column", "value"),
    [("y_hat", -1.0), ("y_hat", float("nan")), ("upper", float("inf")), ("q50", 0.0), ("date", dt.date(2020, 1, 1))],
)
def test_a_forecast_that_was_changed_by_hand_is_found(copy: World, column: str, value: object):
    """A row of the stored file that is no forecast any more leaves its product without a whole plan, by name."""
    path = copy.home.table(TWIN, "forecasts")
    frame = pd.read_parquet(path)
    assert checked(copy, "every_product_has_a_plan", "forecasts").passed
    frame.loc[frame.index[frame["product_id"] == PAIN][3], column] = value
    frame.to_parquet(path)
    found = checked(copy, "every_product_has_a_plan", "forecasts")
    assert not found.passed
    assert [record.data["product"] for record in found.metadata["named"].records] == [PAIN]


def test_the_resource_opens_the_folder_that_it_is_given(copy: World):
    """A folder given as text, as in a launchpad, is opened like that of the settings."""
    with copy.entered():
        opened = InstallationResource(pipeline_home=str(copy.root / "elsewhere")).open()
        assert opened.home.root == copy.root / "elsewhere"
        assert InstallationResource(pipeline_home=None).open().home.root == copy.home.root
