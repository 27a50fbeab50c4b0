"""Watches how runs end: one that fails raises an alert, the next of its kind that succeeds ends it."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from contracts import Severity
from pipeline.defs.ends import failed_checks, faults, subject_of, tenant_of
from pipeline.defs.resources import InstallationResource
from pipeline.places import presentable
from pipeline.registry.alerts import Subject, Trouble
from pipeline.registry.failures import advice_on
from pipeline.registry.registry import Registry
from pipeline.settings import get_settings

RUN_FAILED = "run_failed"
LOOKBACK = dt.timedelta(days=1)
"""How far a first look goes back, and one whose cursor was lost."""
OVERLAP = dt.timedelta(minutes=5)
"""Looked at again each time: runs of other machines may be written down a little late."""
AT_ONCE = 50
"""Failures whose logs one look reads; Dagster gives a look a minute, and keeps no cursor of one that takes longer."""
ENDS = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
TOLD = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.RUN_FAILURE}


@dg.sensor(
    minimum_interval_seconds=get_settings().watch_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Raises an alert for a run that failed, and ends it when the same succeeds. It starts no run.",
)
def failed_runs(context: dg.SensorEvaluationContext, installation: InstallationResource) -> dg.SkipReason:
    """Raise an alert for a run that failed, and end it when the same job of the same tenant succeeds.

    The cursor only saves work: a run is told apart by the moment of its end, so that one that is looked at again, by a
    restarted daemon or by a second one, raises nothing twice, and one that ended while no daemon ran is found later.
    """
    begun = dt.datetime.now(dt.UTC)
    registry = installation.open().registry
    with registry:
        runs = _ended(context.instance, _since(context.cursor, begun))
        changed, last = _noted(context, registry, runs)
        still = len(registry.alerts(limit=None))
    context.update_cursor((last or begun).isoformat())
    told = "; ".join(changed) or "no run has failed since"
    told += f"; the ends after {last:%Y-%m-%d %H:%M:%S} are looked at next" if last else ""
    return dg.SkipReason(f"{told}; open alerts: {still}, see `pipeline alerts list`" if still else told)


def _since(cursor: str | None, now: dt.datetime) -> dt.datetime:
    return dt.datetime.fromisoformat(cursor) - OVERLAP if cursor else now - LOOKBACK


def _ended(instance: dg.DagsterInstance, since: dt.datetime) -> list[tuple[dt.datetime, dg.DagsterRun]]:
    """The runs that have ended since, with the moment of their end, the first first."""
    records = instance.get_run_records(dg.RunsFilter(statuses=ENDS, updated_after=since))
    ends = [(dt.datetime.fromtimestamp(one.end_time, dt.UTC), one.dagster_run) for one in records if one.end_time]
    return sorted(ends, key=lambda one: one[0])


def _noted(
    context: dg.SensorEvaluationContext, registry: Registry, runs: list[tuple[dt.datetime, dg.DagsterRun]]
) -> tuple[list[str], dt.datetime | None]:
    """Note the ends; return in words what has changed, and the last end that was noted where there are more."""
    open_ = {(one.tenant_id, one.subject) for one in registry.alerts(limit=None) if one.kind == RUN_FAILED}
    changed: list[str] = []
    noted: list[dt.datetime] = []
    for at, run in runs:
        subject = Subject(RUN_FAILED, tenant_of(run), subject_of(run))
        whose = f"{subject.name} of {subject.tenant_id}" if subject.tenant_id else subject.name
        if run.status is dg.DagsterRunStatus.FAILURE:
            if not registry.is_news(subject, at):  # Its log, which takes long to read, would say nothing more.
                continue
            if len(noted) == AT_ONCE:
                return changed, noted[-1]
            noted.append(at)
            open_.add((subject.tenant_id, subject.name))
            trouble = _trouble(context.instance, run)
            if registry.note_trouble(subject, trouble, at):
                context.log.error(f"alert, {trouble.severity}: {whose} failed: {trouble.message}")
                changed.append(f"an alert was raised: {whose} failed")
        elif (subject.tenant_id, subject.name) in open_ and registry.note_well(
            subject, f"run {run.run_id} succeeded", at
        ):
            changed.append(f"an alert has ended: {whose} succeeded")
    return changed, None


def _trouble(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Trouble:
    """What a run ended of; its first fault says how severe that is."""
    entries = instance.all_logs(run.run_id, of_type=TOLD)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    failed, checks = faults(events), failed_checks(events)
    if failed:
        advice = advice_on(failed[0].kind)
        severity, action = advice.severity, advice.action
    elif checks:
        severity, action = Severity.MEDIUM, "Mend what the checks name, then run it again."
    else:
        advice = advice_on("Interrupted")
        severity, action = advice.severity, advice.action
    ends = [event.message or "" for event in events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
    told = "; ".join([*map(str, failed), *(f"check failed: {check}" for check in checks)] or ends)
    return Trouble(severity, f"{presentable(told)} (run {run.run_id})", action)
