"""Takes up what a training's time limit left over, and lets no low training wait for ever."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from contracts import Priority
from pipeline.defs.ends import tenant_of
from pipeline.defs.jobs import retrain_products
from pipeline.defs.resources import InstallationResource
from pipeline.queue import LANE_TAG, LOW, NUMBERS, PRIORITY_TAG, priority_tags
from pipeline.settings import get_settings
from pipeline.training.experiment import terms_of

LOOKBACK = dt.timedelta(days=1)
LOW_ONES, URGENT = {LANE_TAG: LOW}, str(NUMBERS[Priority.URGENT])
LONG_WAIT = dt.timedelta(hours=1)
UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


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
    """Make a low training urgent where low ones have waited for an hour and none was at work meanwhile.

    Several places leave one for low ones; with a single place, MAX_CONCURRENT_JOBS = 1, others could always come first.
    It is the oldest whose tenant has no run under way: another would wait for that however urgent it were. One at a
    time is raised: a night's low trainings that were all raised would hold up the urgent.
    """
    since, instance = dt.datetime.now(dt.UTC) - LONG_WAIT, context.instance
    queued = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED], tags=LOW_ONES, created_before=since)
    waiting = [one.dagster_run for one in instance.get_run_records(queued, ascending=True)]
    if not waiting:
        return dg.SkipReason("no low training has waited for an hour")
    told = f"{len(waiting)} low trainings have waited for an hour"
    under_way = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))
    if any(run.tags.get(LANE_TAG) == LOW for run in under_way):
        return dg.SkipReason(f"{told}; a low one is at work")
    if _ended_since(instance, since):
        return dg.SkipReason(f"{told}; low ones got on meanwhile")
    busy = {tenant_of(run) for run in under_way}
    free = [run for run in waiting if tenant_of(run) not in busy]
    if not free:
        return dg.SkipReason(f"{told}; their tenants have other runs under way")
    if any(run.tags.get(PRIORITY_TAG) == URGENT for run in free):
        return dg.SkipReason(f"{told}; one of them goes first already")
    instance.add_run_tags(free[0].run_id, {PRIORITY_TAG: URGENT})
    return dg.SkipReason(f"{told}; the oldest that can begin, run {free[0].run_id}, goes first now")


def _ended_since(instance: dg.DagsterInstance, since: dt.datetime) -> bool:
    """Whether a low training has ended since; one that was taken out of the queue was never at work."""
    ended = instance.get_run_records(dg.RunsFilter(statuses=ENDED, tags=LOW_ONES, updated_after=since))
    return any(one.start_time is not None and (one.end_time or 0) >= since.timestamp() for one in ended)
