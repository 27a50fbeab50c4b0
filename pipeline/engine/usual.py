"""What a product usually sells on a day like this one: robust, and from the weeks around the day itself.

A day is held against the same weekdays of the eight weeks before and after it, itself left out, by their
median; its spread is the median absolute deviation of the days around (Hampel 1974). How busy the whole shop
was is told apart, so that a street market is nobody's outlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.engine.panel import Bools, Floats, Outlook, Panel

SEASON = 7
WEEKS = 8
LEAST_WEEKS = 4
"""Other weeks with the same weekday observed that make anything usual."""
AROUND = 28
"""Days on either side that a day is held against."""
SPREAD_DAYS = 2 * AROUND + 1
LEAST_SPREAD_DAYS = 14
NORMAL = 1.4826
"""Of a median absolute deviation to a standard deviation, where errors are normal."""
JUDGES = 3
"""Products of a shop that must sell to say how busy it was."""
JUDGE_UNITS = 3.0
BLOCK = 256
"""Products that are worked on at once; more would only take more memory."""
RARE = 0.2
"""An indicator that is on more often than so many days is no event, but how things are."""


@dataclass(frozen=True)
class Usual:
    """What n products usually sell on each of t days, NaN where too few weeks are known.

    `units` (n, t); `spread` (n, t) units that an ordinary day lies off, at least the root of the usual units, as
    for a count; `busy` (n, t) how many times its usual sales the median product of the same shop sold that day.
    """

    units: Floats
    spread: Floats
    busy: Floats


def usual(panel: Panel) -> Usual:
    """Return what is usual on each day of a panel; nothing beyond its last day is known to it."""
    units, spread = np.full(panel.quantity.shape, np.nan), np.full(panel.quantity.shape, np.nan)
    for first in range(0, len(units), BLOCK):
        rows = slice(first, first + BLOCK)
        units[rows] = same_weekdays(panel.quantity[rows])
        off = pd.DataFrame(np.abs(panel.quantity[rows] - units[rows]).T)
        around = off.rolling(SPREAD_DAYS, center=True, min_periods=LEAST_SPREAD_DAYS).median().to_numpy().T
        spread[rows] = np.fmax(NORMAL * around, np.sqrt(np.maximum(units[rows], 1.0)))
    return Usual(units, spread, _busy(panel, units))


def same_weekdays(values: Floats) -> Floats:
    """Return (n, t) medians of the same weekdays of the weeks around, each day itself left out; NaN with too few."""
    found = np.full(values.shape, np.nan)
    for weekday in range(min(SEASON, values.shape[1])):
        found[:, weekday::SEASON] = _median_of_others(values[:, weekday::SEASON])
    return found


def largest_other(values: Floats) -> Floats:
    """Return (n, t): the largest of the 28 days before and the 28 after each day; NaN where none is observed."""
    days = pd.DataFrame(values.T)
    before = days.shift(1).rolling(AROUND, min_periods=1).max()
    after = days[::-1].shift(1).rolling(AROUND, min_periods=1).max()[::-1]
    return np.asarray(np.fmax(before.to_numpy().T, after.to_numpy().T))


def explained(panel: Panel, outlook: Outlook) -> Bools:
    """Return (n, t): days of which something was known beforehand that sells more or less than usual.

    Public holidays and the days beside them, and days on which an indicator (a covariate of zeros and ones that is
    rarely one) is on: a promotion, a fair.
    """
    at = outlook.dates.get_indexer(panel.dates)
    holiday = np.zeros(len(outlook.dates), bool)
    for days in outlook.holidays.values():
        holiday |= days
    holiday[1:] |= holiday[:-1].copy()
    holiday[:-1] |= holiday[1:].copy()
    found = np.broadcast_to(np.where(at >= 0, holiday[at], False), panel.quantity.shape).copy()
    for values in _indicators(panel, outlook):
        found |= np.where(at >= 0, values[:, at] > 0, False)
    return found


def _median_of_others(weeks: Floats) -> Floats:
    """(n, w) median of up to eight values on either side of each; NaN with fewer than four."""
    padded = np.pad(weeks, ((0, 0), (WEEKS, WEEKS)), constant_values=np.nan)
    windows = sliding_window_view(padded, 2 * WEEKS + 1, axis=1)
    others = np.sort(np.delete(windows, WEEKS, axis=2), axis=2)  # NaN last
    count = np.isfinite(others).sum(axis=2)
    low, high = (np.take_along_axis(others, at[..., None], 2)[..., 0] for at in ((count - 1).clip(0) // 2, count // 2))
    high = np.where(count % 2 == 1, low, high)
    return np.where(count >= LEAST_WEEKS, (low + high) / 2, np.nan)


def _busy(panel: Panel, units: Floats) -> Floats:
    """(n, t): the median over a shop's products of sold to usual; 1 where too few products sell to tell."""
    ratio = np.where(units >= JUDGE_UNITS, panel.quantity / np.where(units > 0, units, 1.0), np.nan)
    busy = np.ones(ratio.shape)
    shops = pd.factorize(np.array([place or "" for place in panel.location], object))[0]
    for shop in np.unique(shops):
        rows = shops == shop
        judged = np.sort(ratio[rows], axis=0)
        count = np.isfinite(judged).sum(axis=0)
        middle = np.take_along_axis(judged, (count - 1).clip(0)[None] // 2, 0)[0]
        busy[rows] = np.where(count >= JUDGES, middle, 1.0)
    return busy


def _indicators(panel: Panel, outlook: Outlook) -> Iterator[Floats]:
    """Yield the covariates that mark rare days, (1, t) or (n, t) in the order of the panel."""
    past = outlook.dates <= panel.last
    rows = pd.Index(outlook.products).get_indexer(pd.Index(panel.products)) if outlook.by_product else np.empty(0, int)
    blocks = [values[None] for values in outlook.covariates.values()]
    blocks += [np.where((rows >= 0)[:, None], values[rows], np.nan) for values in outlook.by_product.values()]
    for values in blocks:
        known = values[:, past][np.isfinite(values[:, past])]
        if known.size and np.isin(known, (0.0, 1.0)).all() and known.mean() <= RARE:
            yield values
