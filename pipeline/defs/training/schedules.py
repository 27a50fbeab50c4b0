"""The weekly retraining, in each tenant's own night."""

from __future__ import annotations

import datetime as dt

from contracts import Priority, Tenant
from pipeline.defs.clock import Chore, schedule_of
from pipeline.defs.jobs import train_and_forecast
from pipeline.installation import Installation
from pipeline.nights import night_now
from pipeline.queue import priority_tags
from pipeline.settings import get_settings

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _retraining_night(_opened: Installation, tenant: Tenant, now: dt.datetime) -> dt.date | None:
    evening, wanted = night_now(tenant, now), get_settings().retrain_weekday
    return evening if evening is not None and wanted in ("every", WEEKDAYS[evening.weekday()]) else None


RETRAINING = Chore(
    cause="schedule",
    due=_retraining_night,
    not_now="it is not their quiet hours of RETRAIN_WEEKDAY",
    tags=priority_tags(Priority.LOW),
    run_config={"ops": {"training_plan": {"config": {"scheduled": True}}}},
)

weekly_retraining = schedule_of(
    "weekly_retraining",
    train_and_forecast,
    RETRAINING,
    "Retrains each tenant once a week in its quiet hours: each product with new sales is due.",
)
