"""Takes up what a training's time limit left over, and lets no low training wait for ever."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from contracts import Priority
from pipeline.defs.jobs import retrain_products
from pipeline.defs.resources import InstallationResource
from pipeline.queue import LANE_TAG, LOW, NUMBERS, PRIORITY_TAG, priority_tags
from pipeline.settings import get_settings
from pipeline.training.experiment import terms_of

LOOKBACK = dt.timedelta(days=1)
LONG_WAIT = dt.timedelta(hours=1)
BEGUN = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


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

    The run key is the job that left them: however often this looks, the rest is asked for once, under the same terms
    and with the same priority. What that run does not come to either, it leaves itself.
    """
    registry = installation.open().registry
    left = registry.left(dt.datetime.now(dt.UTC) - LOOKBACK)
    if not left:
        yield dg.SkipReason("no training of the last day left a product over")
    for (tenant_id, job_id), products in left.items():
        job = registry.job(tenant_id, job_id)
        asked = {"products": products, "scheduled": False, **terms_of(job)}
        yield dg.RunRequest(
            run_key=f"rest of {job_id}",
            partition_key=tenant_id,
            run_config={"ops": {"training_plan": {"config": asked}}},
            tags={"cause": f"the rest of job {job_id}", "tenant": tenant_id, **priority_tags(job.priority)},
        )


@dg.sensor(
    minimum_interval_seconds=get_settings().watch_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Lets a low training that has waited for an hour go first, where none got on. It starts no run.",
)
def long_waits(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Make the oldest low training urgent where low ones have waited for an hour and none was at work meanwhile.

    Several places leave one for low ones; with a single place, MAX_CONCURRENT_JOBS = 1, others could always come first.
    One at a time is raised: a night's low trainings that were all raised would hold up the urgent.
    """
    now, instance = dt.datetime.now(dt.UTC), context.instance
    low = {LANE_TAG: LOW}
    queued = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED], tags=low, created_before=now - LONG_WAIT)
    waiting = instance.get_run_records(queued, ascending=True)
    if not waiting:
        return dg.SkipReason("no low training has waited for an hour")
    told = f"{len(waiting)} low trainings have waited for an hour"
    urgent = str(NUMBERS[Priority.URGENT])
    if any(one.dagster_run.tags.get(PRIORITY_TAG) == urgent for one in waiting):
        return dg.SkipReason(f"{told}; one of them goes first already")
    if instance.get_run_records(dg.RunsFilter(statuses=BEGUN, tags=low, updated_after=now - LONG_WAIT), limit=1):
        return dg.SkipReason(f"{told}; low ones got on meanwhile")
    first = waiting[0].dagster_run
    instance.add_run_tags(first.run_id, {PRIORITY_TAG: urgent})
    return dg.SkipReason(f"{told}; the oldest, run {first.run_id}, goes first now")
