"""The nightly look at each tenant's data."""

from __future__ import annotations

from contracts import Priority
from pipeline.defs.clock import Chore, schedule_of
from pipeline.defs.jobs import check_data
from pipeline.nights import night_now
from pipeline.queue import NUMBERS, PRIORITY_TAG

CHECK = Chore(
    cause="nightly check",
    due=lambda _opened, tenant, now: night_now(tenant, now),
    not_now="it is not their quiet hours",
    tags={PRIORITY_TAG: str(NUMBERS[Priority.LOW])},
)

nightly_data_check = schedule_of(
    "nightly_data_check",
    check_data,
    CHECK,
    "Takes each tenant's sales in and checks them, once in its quiet hours.",
)
