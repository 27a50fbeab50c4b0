"""The level of sales after a day against the weeks up to it, and the same at every week of the past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.engine.panel import Bools, Floats, Ints
from pipeline.engine.shifts import Stretch

SEASON = 7
REFERENCE_DAYS = 28
"""Days up to the origin that the days after it are held against."""
LEAST_REFERENCE_DAYS = 14
JUDGED_DAYS = 10
"""The last days after the origin that are judged: a shift is looked for in as many as it has had to show itself."""
LEAST_DAYS = 5
LEAST_UNITS = 10.0
"""Units expected of the judged days below which nothing is told of a product."""
WEEKDAY_DAYS = 182
"""Days up to the origin that say how a product's weekdays differ."""
PAST_WEEKS = 52


def levels(units: Floats, origin: int, last: int) -> tuple[Stretch, list[Stretch]]:
    """Return the days after an origin against the weeks up to it, and the same for up to a year of weeks before.

    The units that are expected of a day are the mean of the reference, times how its weekday usually differs. No past
    stretch reaches beyond the origin, so that what is judged is in none of them.

    Args:
        units: (n, t) sold; NaN on days that are not to count.
        origin: column of the last day that counts as seen.
        last: column of the last day that is judged, after the origin.
    """
    first = max(0, origin - max(WEEKDAY_DAYS, SEASON * PAST_WEEKS + (last - origin) + REFERENCE_DAYS) + 1)
    units, origin, last = units[:, first : last + 1], origin - first, last - first
    days = _Days.of(units, origin)
    gap = last - origin
    count = min(gap, JUDGED_DAYS)
    ends = range(origin, gap + REFERENCE_DAYS - 2, -SEASON)[:PAST_WEEKS]
    past = [days.stretch(end - gap, end, count, (min(count, LEAST_DAYS), LEAST_UNITS / 2)) for end in ends]
    return days.stretch(origin, last, count, (LEAST_DAYS, LEAST_UNITS)), past


def judged_days(units: Floats, origin: int, last: int) -> Ints:
    """Return (n,) how many days after the origin count, of those that are judged."""
    return np.asarray(np.isfinite(units[:, max(origin, last - JUDGED_DAYS) + 1 : last + 1]).sum(axis=1))


@dataclass(frozen=True)
class _Days:
    """Sums over the first columns, (n, t + 1): units, the weekdays' weights, and days that count."""

    units: Floats
    weights: Floats
    days: Floats

    @classmethod
    def of(cls, units: Floats, origin: int) -> _Days:
        weights = np.where(np.isfinite(units), _weekdays(units, origin), 0.0)
        counts: Bools = weights > 0
        return cls(_sums(np.where(counts, units, 0.0)), _sums(weights), _sums(counts.astype(float)))

    def stretch(self, origin: int, last: int, count: int, least: tuple[int, float]) -> Stretch:
        """The last `count` days up to `last`, against the reference up to `origin`; `least` days and units expected."""
        reference = _between(self.units, origin, REFERENCE_DAYS)
        weight = _between(self.weights, origin, REFERENCE_DAYS)
        level = np.divide(reference, weight, out=np.zeros_like(weight), where=weight > 0)
        expected = level * _between(self.weights, last, count)
        enough = _between(self.days, origin, REFERENCE_DAYS) >= LEAST_REFERENCE_DAYS
        enough &= (_between(self.days, last, count) >= least[0]) & (expected >= least[1])
        noise = 1 / np.maximum(expected, 1.0) + 1 / np.maximum(reference, 1.0)
        return Stretch(_between(self.units, last, count), expected, noise, enough)


def _weekdays(units: Floats, origin: int) -> Floats:
    """(n, t): how many times its product's usual day each day sells by its weekday; 0 where that is not known."""
    seen = units[:, max(0, origin - WEEKDAY_DAYS + 1) : origin + 1]
    start = origin + 1 - seen.shape[1]
    mean = np.zeros((len(units), SEASON))
    for weekday in range(SEASON):
        same = seen[:, (weekday - start) % SEASON :: SEASON]
        known = np.isfinite(same).sum(axis=1)
        mean[:, weekday] = np.where(known >= 2, np.nan_to_num(same).sum(axis=1) / np.maximum(known, 1), 0.0)
    sold = (mean > 0).sum(axis=1, keepdims=True)
    usual = mean.sum(axis=1, keepdims=True) / np.maximum(sold, 1)
    weights = np.divide(mean, usual, out=np.zeros_like(mean), where=usual > 0)
    return np.asarray(weights[:, np.arange(units.shape[1]) % SEASON])


def _sums(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), values.cumsum(axis=1)], axis=1)


def _between(sums: Floats, last: int, count: int) -> Floats:
    return np.asarray(sums[:, last + 1] - sums[:, max(last + 1 - count, 0)])
