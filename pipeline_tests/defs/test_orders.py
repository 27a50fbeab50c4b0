"""What a run says about its training: tags that a person gave it, and how often it was tried."""

from __future__ import annotations

import dagster as dg

from pipeline.defs.training.order import PARENT, retries
from pipeline_tests.defs.world import ONE_STEP, TWIN, World, definitions


def test_a_runs_tags_and_retries_are_its_trainings(copy: World) -> None:
    """Tags that a person wrote in the launchpad are the training's, Dagster's own are not; a run again is counted.

    `evaluation` shows the error of the last trainings beside the naive's, in an event that stays small.
    """
    with copy.entered() as installation, dg.DagsterInstance.get() as instance:
        (first,) = installation.registry.jobs(TWIN)
        tags = {"idea": "fewer trees", "cause": "schedule", PARENT: str(first.run_id)}
        job = definitions().resolve_job_def("train_and_forecast")
        done = job.execute_in_process(run_config=ONE_STEP, instance=instance, partition_key=TWIN, tags=tags)
        (found,) = installation.registry.experiments(TWIN, tags={"idea": "fewer trees"})
        logs = instance.all_logs(done.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        assert retries(instance, {PARENT: done.run_id}) == 2
    assert (first.tags, first.retry_count) == ({}, 0)
    assert (found.job.run_id, found.job.tags) == (done.run_id, {"idea": "fewer trees"})
    assert (found.job.retry_count, found.job.requested_by) == (1, "schedule")
    shown = {one.asset_key.to_user_string(): one for e in logs if (one := e.asset_materialization)}
    plot = shown["evaluation"].metadata["trainings"]
    assert isinstance(plot, dg.MarkdownMetadataValue)
    assert "data:image/svg+xml" in str(plot.md_str)
    assert len(str(plot.md_str)) < 15_000


def test_dagsters_own_retries_are_counted_as_it_does() -> None:
    """Where Dagster says which retry a run is, that is it; a run that was deleted ends the chain."""
    with dg.DagsterInstance.ephemeral() as instance:
        assert retries(instance, {"dagster/retry_number": "3", "dagster/parent_run_id": "gone"}) == 3
        assert retries(instance, {"dagster/parent_run_id": "gone"}) == 1
        assert retries(instance, {}) == 0
