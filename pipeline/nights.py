"""A tenant's nights: its quiet hours as moments, whatever its time zone does with its clocks."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from contracts import Tenant

SHORTEST = dt.timedelta(hours=1)
"""Of a night that a change of clocks swallowed."""
DAY = dt.timedelta(days=1)


def night(tenant: Tenant, evening: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """Return the first and the last moment, UTC, of the quiet hours that begin on a local day.

    Hours that end before they begin go on into the next day; equal ones last from one day's to the next day's.
    """
    hours, zone = tenant.quiet_hours, ZoneInfo(tenant.timezone)
    morning = evening if hours.start < hours.end else evening + DAY
    start = dt.datetime.combine(evening, hours.start, zone).astimezone(dt.UTC)
    end = dt.datetime.combine(morning, hours.end, zone).astimezone(dt.UTC)
    return start, max(end, start + SHORTEST)


def night_now(tenant: Tenant, now: dt.datetime) -> dt.date | None:
    """Return the local day on which the quiet hours of now began; None outside of them."""
    today = _local(tenant, now)
    for evening in (today - DAY, today):
        start, end = night(tenant, evening)
        if start <= now < end:
            return evening
    return None


def last_night(tenant: Tenant, now: dt.datetime) -> dt.date:
    """Return the local day on which the quiet hours began that ended last."""
    today = _local(tenant, now)
    return next(evening for evening in (today, today - DAY, today - 2 * DAY) if night(tenant, evening)[1] <= now)


def _local(tenant: Tenant, now: dt.datetime) -> dt.date:
    return now.astimezone(ZoneInfo(tenant.timezone)).date()
