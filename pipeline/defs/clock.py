"""What is asked for once a night or once a week, each tenant by its own clock.

The schedules tick every few minutes and ask for what is due and was not asked for before: a run says by its tags which
night it is for. So a daemon that was away makes up for it while the night lasts, and one that ticks twice asks once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from contracts import Tenant
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.installation import Installation
from pipeline.settings import get_settings
from pipeline.tenants import list_tenants

NIGHT_TAG = "pipeline/night"
NAMED = 5
AGAIN_AFTER = dt.timedelta(hours=1)
"""After this what has failed is asked for again, as long as it is due: a till may have been down for a while."""


@dataclass(frozen=True)
class Chore:
    """What is done for each tenant by its clock.

    `due` gives the day that a tenant's run would be for, or None; `not_now` says why there is none.
    """

    cause: str
    due: Callable[[Installation, Tenant, dt.datetime], dt.date | None]
    not_now: str
    tags: Mapping[str, str]
    run_config: Mapping[str, Any] | None = None


def schedule_of(name: str, job: Any, chore: Chore, description: str) -> dg.ScheduleDefinition:
    """Return the schedule that asks for a chore: it ticks by CLOCK_CRON, and each tenant's own clock decides.

    Args:
        name: the schedule's.
        job: what it starts; an asset job, of whose type Dagster exports no name.
        chore: for whom, when, and with what.
        description: what people read.
    """

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=get_settings().clock_cron,
        execution_timezone="UTC",
        description=description,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def ask(
        context: dg.ScheduleEvaluationContext, installation: InstallationResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        yield from asked(context, installation.open(), chore)

    return ask


def asked(
    context: dg.ScheduleEvaluationContext, opened: Installation, chore: Chore
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Yield a request for each tenant whose turn it is, or the reason why there is none."""
    now = context.scheduled_execution_time.astimezone(dt.UTC)
    registered = set(context.instance.get_dynamic_partitions(TENANTS.name or ""))
    tenants, broken = list_tenants(opened.home)
    days = {one.id: day for one in tenants if one.id in registered and (day := chore.due(opened, one, now)) is not None}
    before = _asked_before(context.instance, chore, set(days.values()), now)
    due = {tenant_id: day for tenant_id, day in days.items() if (tenant_id, str(day)) not in before}
    if broken:
        context.log.warning(f"{len(broken)} tenants cannot be looked at: {', '.join(sorted(broken)[:NAMED])}")
    if not due:
        yield dg.SkipReason(_why_nothing(len(registered), len(days), chore))
    for tenant_id, day in due.items():
        yield dg.RunRequest(
            run_key=f"{chore.cause} {tenant_id} {day}",
            partition_key=tenant_id,
            run_config=chore.run_config,
            tags={**chore.tags, "cause": chore.cause, "tenant": tenant_id, NIGHT_TAG: str(day)},
        )


def _asked_before(
    instance: dg.DagsterInstance, chore: Chore, days: set[dt.date], now: dt.datetime
) -> set[tuple[str, str]]:
    """The tenants and days that a run is there for; what failed a while ago may be mended, and is no such run."""
    found = set()
    for day in days:
        records = instance.get_run_records(dg.RunsFilter(tags={"cause": chore.cause, NIGHT_TAG: str(day)}))
        runs = [one.dagster_run for one in records if not _failed_before(one, now - AGAIN_AFTER)]
        found |= {(run.tags["tenant"], str(day)) for run in runs}
    return found


def _failed_before(record: dg.RunRecord, moment: dt.datetime) -> bool:
    failed = record.dagster_run.status is dg.DagsterRunStatus.FAILURE
    return failed and record.end_time is not None and record.end_time < moment.timestamp()


def _why_nothing(registered: int, due: int, chore: Chore) -> str:
    if not registered:
        return "no tenant is registered yet; add one with `pipeline tenants add`"
    done = f"; {due} were asked for before" if due else ""
    return f"{registered - due} of {registered} tenants: {chore.not_now}{done}"
