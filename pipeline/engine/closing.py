"""Which coming days a product's shop will be closed, learnt from the days it was.

The shop's days count, not the product's: what was put on sale last week rests on the shop's next holiday, too.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.engine.panel import Bools, Outlook, Panel, Status, is_observed

RECENT_WEEKS = 8
"""Weeks whose same weekdays decide about a weekday: long enough to be sure, short enough to follow a change."""
MOSTLY = 0.6


def closed_ahead(panel: Panel, outlook: Outlook, horizon: int) -> Bools:
    """Return (n, horizon): the days after the panel's last on which each product's shop is taken to be closed.

    A day is closed when the tenant's configuration says so, when the shop was shut on most of the same
    weekdays of the last eight weeks, or when it was shut on most past days of the same public holiday.
    """
    ahead = pd.date_range(panel.last + pd.Timedelta(days=1), periods=horizon, freq="D")
    at = outlook.dates.get_indexer(ahead)
    closed = np.zeros((len(panel.products), horizon), bool)
    if outlook.closed is not None:
        closed |= np.where(at >= 0, outlook.closed[at], False)
    was_closed = panel.shop_status == Status.CLOSED
    counted = was_closed | is_observed(panel.shop_status)
    rest_days = _rest_days(panel, was_closed, counted)
    # A holiday that fell on a day of rest says nothing of the holiday.
    counted = counted & ~rest_days[:, panel.dates.dayofweek]
    return closed | rest_days[:, ahead.dayofweek] | _by_holiday(panel, outlook, was_closed & counted, counted, at)


def _rest_days(panel: Panel, was_closed: Bools, counted: Bools) -> Bools:
    """(n, 7): the weekdays on which each product's shop does not open."""
    shut = np.zeros((len(panel.products), 7), bool)
    for weekday in range(7):
        same = np.flatnonzero(panel.dates.dayofweek == weekday)[-RECENT_WEEKS:]
        days = counted[:, same].sum(axis=1)
        shut[:, weekday] = (days >= 2) & (was_closed[:, same].sum(axis=1) > MOSTLY * days)
    return shut


def _by_holiday(panel: Panel, outlook: Outlook, was_closed: Bools, counted: Bools, at: np.ndarray) -> Bools:
    closed = np.zeros((len(panel.products), len(at)), bool)
    past = outlook.dates.get_indexer(panel.dates)
    known = past >= 0
    for days in outlook.holidays.values():
        coming = np.where(at >= 0, days[at], False)
        if not coming.any():
            continue
        on = np.flatnonzero(known & days[past])
        seen = counted[:, on].sum(axis=1)
        shut = (seen >= 1) & (was_closed[:, on].sum(axis=1) > MOSTLY * seen)
        closed |= shut[:, None] & coming[None, :]
    return closed
