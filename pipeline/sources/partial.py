"""Is the last day of the data a whole day? A day that was seen only in part must not be an origin."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import pandas as pd

WEEKS_BEFORE = 4
_DAYS_NEEDED = 14
_SLACK = dt.timedelta(hours=2)


def closing_times(moments: pd.Series) -> dict[dt.date, dt.time]:
    """Return the time of the last ticket by day, for the last four weeks; empty where tickets have no times."""
    days = moments.dt.normalize()
    if moments.empty or (days == moments).all():
        return {}
    recent = moments[days >= days.max() - pd.Timedelta(weeks=WEEKS_BEFORE)]
    last = recent.groupby(recent.dt.normalize()).max()
    return {day.date(): moment.time().replace(microsecond=0) for day, moment in last.items()}


def recent(closing: Mapping[dt.date, dt.time]) -> dict[dt.date, dt.time]:
    """Return the closing times of the last four weeks that have any."""
    since = max(closing, default=dt.date.min + dt.timedelta(weeks=WEEKS_BEFORE)) - dt.timedelta(weeks=WEEKS_BEFORE)
    return {day: time for day, time in closing.items() if day >= since}


def partial_last_day(
    last: dt.date, today: dt.date, seen_on: Iterable[dt.date], closing: Mapping[dt.date, dt.time]
) -> dt.date | None:
    """Return `last` when it was seen only in part, else None.

    Today is always partial. An earlier day is, too, when its tickets stop before the shop stopped on any
    day of the four weeks before (two hours before, when the file was read on a later day). Where tickets
    have no times, it stays partial while what gave it (`seen_on`, local days) was last read on that day.
    """
    if last >= today:
        return last
    read_that_day = any(day <= last for day in seen_on)
    since = last - dt.timedelta(weeks=WEEKS_BEFORE)
    usual = [time for day, time in closing.items() if since <= day < last]
    if last not in closing or len(usual) < _DAYS_NEEDED:
        return last if read_that_day else None
    missing = _length(min(usual)) - _length(closing[last])
    return last if missing > (dt.timedelta(0) if read_that_day else _SLACK) else None


def _length(time: dt.time) -> dt.timedelta:
    return dt.timedelta(hours=time.hour, minutes=time.minute, seconds=time.second)
