"""The rounds of the feedback layer."""

import dagster as dg

from pipeline.defs.jobs import feedback
from pipeline.settings import get_settings

ENDS = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
AT_WORK = [status for status in dg.DagsterRunStatus if status not in ENDS]


@dg.schedule(
    job=feedback,
    cron_schedule=get_settings().feedback_cron,
    execution_timezone="UTC",
    description="Looks what is late, broken or unwell, all through the day.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def feedback_rounds(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Look what is late, broken or unwell; not while the round before still waits or works."""
    if before := context.instance.get_runs(dg.RunsFilter(job_name=feedback.name, statuses=AT_WORK), limit=1):
        return dg.SkipReason(f"the round before, run {before[0].run_id}, still waits or works")
    return dg.RunRequest(run_key=f"feedback {context.scheduled_execution_time:%Y-%m-%d %H:%M}")
