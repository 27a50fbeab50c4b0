"""Chosen products now: `product_model` by hand, and the job `retrain_products`."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from pipeline.defs.training import assets
from pipeline.keys import partition_key, split_key
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, ONE_STEP, TWIN, World, definitions, keys

BUTTER, PAIN = tills.STEADY[:2]


def models_made(world: World, run_id: str) -> list[str | None]:
    """The partitions of `product_model` that a run materialized, in order."""
    with world.instance() as instance:
        entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    events = [entry.asset_materialization for entry in entries]
    assert all(event and event.asset_key == dg.AssetKey("product_model") and event.metadata for event in events)
    return [event.partition for event in events if event]


def newest(world: World, tenant_id: str) -> dict[str, str]:
    """Each product's newest version."""
    with world.entered() as installation:
        return {product: record.version for product, record in installation.registry.latest(tenant_id).items()}


def pooled_files(world: World, tenant_id: str, product: str) -> list[str]:
    """The SHA-256 of the pooled member's files in a product's newest model."""
    with world.entered() as installation:
        record = installation.registry.latest(tenant_id)[product]
        manifest = installation.registry.manifest(tenant_id, product, record.version)
    return [ref.sha256 for member in manifest.members if member.scope == "tenant" for ref in member.files]


def test_one_product_by_hand(copy: World):
    """One partition trains one product, whatever the plan says, and the tenant's pooled fit is reused."""
    before, pooled = newest(copy, TWIN), pooled_files(copy, TWIN, PAIN)
    result = copy.by_hand(keys(TWIN, [PAIN]))
    assert result.success
    assert models_made(copy, result.run_id) == keys(TWIN, [PAIN])
    after = newest(copy, TWIN)
    assert after[PAIN] > before[PAIN]
    assert after[BUTTER] == before[BUTTER]
    assert pooled
    assert pooled_files(copy, TWIN, PAIN) == pooled


def test_products_of_two_tenants_by_hand_with_one_that_cannot_be_trained(copy: World):
    """In one run the good products of both tenants are materialized, and the run fails with the bad one's name."""
    with copy.instance() as instance:
        known = instance.get_dynamic_partitions("products")
    chosen = known[known.index(partition_key(ODD, tills.SHORT)) : known.index(partition_key(TWIN, BUTTER)) + 1]
    assert {key.partition("/")[0] for key in chosen} == {ODD, TWIN}
    before = newest(copy, ODD)
    result = copy.by_hand(chosen)
    assert not result.success
    good = [key for key in chosen if key != partition_key(ODD, tills.SHORT)]
    assert len(good) >= 3
    assert sorted(key or "" for key in models_made(copy, result.run_id)) == sorted(good)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None
    assert f"1 of {len(chosen)} products were not trained" in error.message
    assert partition_key(ODD, tills.SHORT) in error.message
    assert "Currently: 15 days." in error.message
    after = newest(copy, ODD)
    trained = {split_key(key) for key in good}
    assert {(ODD, product) for product in after if after[product] != before[product]} == trained - {(TWIN, BUTTER)}


def test_retrain_products_trains_those_alone(copy: World):
    """The job takes the products of its launchpad form, trains them at once, promotes and forecasts; no other."""
    before = newest(copy, TWIN)
    run = copy.retrain(TWIN, [BUTTER])
    assert run.success, run.errors
    after = newest(copy, TWIN)
    assert after[BUTTER] > before[BUTTER]
    assert after[PAIN] == before[PAIN]
    ledger = pd.read_parquet(copy.home.table(TWIN, "training_ledger")).set_index("product_id")
    assert ledger["outcome"].to_dict() == {BUTTER: "trained", PAIN: "skipped"}
    assert ledger["cause"].to_dict() == {BUTTER: "request", PAIN: None}
    assert ledger.loc[PAIN, "reason"] == "not among the products asked for"
    frame = pd.read_parquet(copy.home.table(TWIN, "forecasts")).drop_duplicates("product_id").set_index("product_id")
    assert frame["model_version"].to_dict() == after


def test_a_run_trains_what_it_was_asked_for(copy: World, monkeypatch: pytest.MonkeyPatch):
    """Another run that overwrites the tenant's plan, as one from the command line may, changes nothing about it."""
    plan, write = copy.home.table(TWIN, "training_plan"), assets.write_table
    others, before = plan.read_bytes(), newest(copy, TWIN)

    def overtaken(path: Path, frame: pd.DataFrame) -> None:
        write(path, frame)
        if path == plan:
            path.write_bytes(others)

    monkeypatch.setattr(assets, "write_table", overtaken)
    run = copy.retrain(TWIN, [BUTTER])
    assert run.success, run.errors
    assert set(pd.read_parquet(plan)["cause"]) == {"never_trained"}
    ledger = pd.read_parquet(copy.home.table(TWIN, "training_ledger")).set_index("product_id")
    assert ledger["cause"].to_dict() == {BUTTER: "request", PAIN: None}
    assert newest(copy, TWIN)[PAIN] == before[PAIN]


def test_a_plan_made_by_hand_is_trained_by_the_next_step(copy: World):
    """Materialized one after the other, the plan with its products and then the training, those are trained."""
    job, before = definitions().resolve_implicit_global_asset_job_def(), newest(copy, TWIN)
    form = {"ops": {"training_plan": {"config": {"products": [BUTTER]}}}}
    with copy.instance() as instance:
        for names, config in ((["training_plan"], form), (["training_ledger", "evaluation"], {})):
            chosen = [dg.AssetKey(name) for name in names]
            done = job.execute_in_process(
                {**ONE_STEP, **config}, instance=instance, asset_selection=chosen, partition_key=TWIN
            )
            assert done.success
    after = newest(copy, TWIN)
    assert after[BUTTER] > before[BUTTER]
    assert after[PAIN] == before[PAIN]


def test_retrain_products_refuses_a_product_that_is_not_sold(copy: World):
    """An unknown product fails the plan, by its name; nothing is trained, and the known one is left alone too."""
    before = newest(copy, TWIN)
    run = copy.retrain(TWIN, [BUTTER, "Crossaint", "Brettzel"])
    assert not run.success
    (error,) = run.errors
    assert error.startswith("training_plan: ")
    assert f"tenant '{TWIN}' does not sell 'Brettzel' nor 1 more of those asked for" in error
    assert newest(copy, TWIN) == before
