"""The nightly look at each tenant's data."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from contracts import Priority
from pipeline.defs.clock import Chore, asked
from pipeline.defs.jobs import check_data
from pipeline.defs.resources import InstallationResource
from pipeline.nights import night_now
from pipeline.queue import NUMBERS, PRIORITY_TAG
from pipeline.settings import get_settings

CHECK = Chore(
    cause="nightly check",
    due=lambda _opened, tenant, now: night_now(tenant, now),
    not_now="it is not their quiet hours",
    tags={PRIORITY_TAG: str(NUMBERS[Priority.LOW])},
)


@dg.schedule(
    job=check_data,
    cron_schedule=get_settings().clock_cron,
    execution_timezone="UTC",
    description="Takes each tenant's sales in and checks them, once in its quiet hours.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_data_check(
    context: dg.ScheduleEvaluationContext, installation: InstallationResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Take each tenant's sales in and check them, once in its quiet hours."""
    yield from asked(context, installation.open(), CHECK)
