"""The daily forecast, when each tenant's night is over."""

from __future__ import annotations

import datetime as dt

from contracts import Priority, Tenant
from pipeline.defs.clock import Chore, schedule_of
from pipeline.defs.jobs import daily_forecast
from pipeline.installation import Installation
from pipeline.nights import last_night, night
from pipeline.queue import NUMBERS, PRIORITY_TAG


def _day_without_forecast(opened: Installation, tenant: Tenant, now: dt.datetime) -> dt.date | None:
    """A tenant's first forecast is made by the run that takes its first sales in."""
    evening, path = last_night(tenant, now), opened.home.table(tenant.id, "forecasts")
    made = path.stat().st_mtime if path.exists() else None
    return evening if made is not None and made < night(tenant, evening)[1].timestamp() else None


FORECAST = Chore(
    cause="daily forecast",
    due=_day_without_forecast,
    not_now="their forecasts are of today, or they have none yet",
    tags={PRIORITY_TAG: str(NUMBERS[Priority.URGENT])},
)

daily_forecasts = schedule_of(
    "daily_forecasts",
    daily_forecast,
    FORECAST,
    "Forecasts for each tenant once a day, when its quiet hours are over.",
)
