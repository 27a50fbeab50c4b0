"""Takes up what a training's time limit left over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from contracts import Priority
from pipeline.defs.jobs import retrain_products
from pipeline.defs.resources import InstallationResource
from pipeline.queue import priority_tags
from pipeline.settings import get_settings

LOOKBACK = dt.timedelta(days=1)


@dg.sensor(
    job=retrain_products,
    minimum_interval_seconds=get_settings().watch_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the products that a training did not come to within MAX_TRAINING_TIME_MINUTES.",
)
def unfinished_trainings(
    context: dg.SensorEvaluationContext, installation: InstallationResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the products that a training did not come to within MAX_TRAINING_TIME_MINUTES.

    The run key is the job that left them: however often this looks, the rest is asked for once. What that run does not
    come to either, it leaves itself.
    """
    left = installation.open().registry.left(dt.datetime.now(dt.UTC) - LOOKBACK)
    if not left:
        yield dg.SkipReason("no training of the last day left a product over")
    for (tenant_id, job_id), products in left.items():
        yield dg.RunRequest(
            run_key=f"rest of {job_id}",
            partition_key=tenant_id,
            run_config={"ops": {"training_plan": {"config": {"products": products, "scheduled": False}}}},
            tags={"cause": f"the rest of job {job_id}", "tenant": tenant_id, **priority_tags(Priority.NORMAL)},
        )
