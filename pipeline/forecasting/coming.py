"""Which of the days that are forecast is the one to bake for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo


def today_in(timezone: str) -> dt.date:
    """Return the day that it is now in a time zone such as Europe/Madrid."""
    return dt.datetime.now(ZoneInfo(timezone)).date()


def first_to_come(days: Iterable[dt.date], today: dt.date) -> dt.date | None:
    """Return the first day from today on, else the first of all; None where there is none.

    A forecast begins after the last day of sales that is whole, which may be days ago; for old sales every day is over.
    """
    ordered = sorted(set(days))
    return next((day for day in ordered if day >= today), ordered[0] if ordered else None)
