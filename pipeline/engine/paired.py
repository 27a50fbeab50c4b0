"""Two forecasts of the same days: is one worse than the other by more than chance?

Errors of neighbouring days err together, and so do those of one shop's products on a bad day. So it is weeks that are
counted, not days: the standard error of the mean difference is that of clustered data (Liang and Zeger 1986), which
asks the same as the test of Diebold and Mariano (1995) without a guess of how long an error lasts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.engine.panel import Floats, Ints

MIN_WEEKS = 4
"""Weeks below which a standard error says nothing."""


@dataclass(frozen=True)
class Difference:
    """The mean of a loss less another one's on the same days: above 0, the first is worse.

    `standard_error` is None where there are too few weeks to tell; `mean` is 0 where there is no day.
    """

    mean: float
    standard_error: float | None
    days: int
    weeks: int

    def beyond(self, margin: float, negligible: float = 0.0) -> bool:
        """Whether the first is worse by more than `margin` standard errors, and by more than what is `negligible`."""
        if self.standard_error is None:
            return False
        return self.mean > max(margin * self.standard_error, negligible)


def difference(losses: Floats, others: Floats, weeks: Ints) -> Difference:
    """Compare two losses day by day.

    Args:
        losses: (n,) of one forecast; NaN where a day is not scored.
        others: (n,) of the other one, likewise.
        weeks: (n,) the week that each day belongs to, any whole numbers.
    """
    apart = losses - others
    known = np.isfinite(apart)
    apart, (found, of_week) = apart[known], np.unique(weeks[known], return_inverse=True)
    if not apart.size:
        return Difference(0.0, None, 0, 0)
    mean, count = float(apart.mean()), len(found)
    if count < MIN_WEEKS:
        return Difference(mean, None, apart.size, count)
    sums = np.bincount(of_week, weights=apart - mean, minlength=count)
    error = math.sqrt(float((sums**2).sum()) * count / (count - 1)) / apart.size
    return Difference(mean, error, apart.size, count)
