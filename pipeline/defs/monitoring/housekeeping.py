"""Purges Dagster's own history: the truth is in the registry, event logs are a view that must not grow for ever."""

import datetime as dt
import shutil
from pathlib import Path

import dagster as dg

from pipeline.settings import get_settings

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
BATCH = 200


@dg.op
def delete_old_runs(context: dg.OpExecutionContext) -> int:
    """Delete finished runs, with their events, that are older than DAGSTER_HISTORY_DAYS; return how many."""
    days = get_settings().dagster_history_days
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    old = dg.RunsFilter(statuses=FINISHED, created_before=before)
    deleted = 0
    while runs := context.instance.get_runs(old, limit=BATCH):
        for run in runs:
            context.instance.delete_run(run.run_id)
            _remove_files(Path(context.instance.root_directory), run.run_id)
        deleted += len(runs)
    context.log.info(f"deleted {deleted} runs from before {before:%Y-%m-%d} ({days} days are kept)")
    context.add_output_metadata({"deleted": deleted, "before": before.isoformat()})
    return deleted


def _remove_files(home: Path, run_id: str) -> None:
    """Remove what the embedded instance keeps of a run beside its rows: its event file and its logs."""
    for path in (home / "history" / "runs").glob(f"{run_id}.db*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(home / "storage" / run_id, ignore_errors=True)


@dg.job(executor_def=dg.in_process_executor)
def purge_dagster_history() -> None:
    """Delete Dagster's old runs and events; models, ledger and forecasts are not touched."""
    delete_old_runs()


@dg.schedule(
    job=purge_dagster_history,
    cron_schedule=get_settings().purge_cron,
    execution_timezone="UTC",
    description="Purges Dagster's history every night; how long it is kept is DAGSTER_HISTORY_DAYS.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_purge(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Purge Dagster's history every night."""
    return dg.RunRequest(run_key=f"purge {context.scheduled_execution_time:%Y-%m-%d %H:%M}")
