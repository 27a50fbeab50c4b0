"""Theta: simple exponential smoothing of weekday-adjusted sales, drifting by half of their trend.

Assimakopoulos and Nikolopoulos (2000); that their method comes to this was shown by Hyndman and Billah (2003). It is
`ets` with a season and a trend that stay as they are.
"""

from __future__ import annotations

import numpy as np

from pipeline.engine.families.ets import BEGINNING, ETS, LEVELS, PROFILE_PRIOR
from pipeline.engine.families.smoothing import SEASON, Grid, Setting, State, held, week_of
from pipeline.engine.panel import Floats

PROFILE_DAYS = 364
"""Last days whose weekdays the sales are adjusted by."""


class Theta(ETS):
    """Smooths as `ets` does, from a weekday profile and a drift that are read off the history."""

    name = "theta"
    grid = Grid([Setting(level) for level in LEVELS])

    def begin(self, units: Floats, grid: Grid) -> State:
        """Return the state before the first of the (n, t) units."""
        units, days, k = held(units), units.shape[1], len(grid.settings)
        mean, week = week_of(units[:, max(days - PROFILE_DAYS, 0) // SEASON * SEASON :], PROFILE_PRIOR)
        season = week - mean
        adjusted = units - season[np.arange(days) % SEASON].T
        seen, drift = np.isfinite(units), slope(adjusted) / 2
        level, _ = week_of(np.where(seen.cumsum(axis=1) <= BEGINNING, adjusted, np.nan), PROFILE_PRIOR)
        # The drift goes on through the days before a product's first, too: the level is where it must begin for that.
        level -= drift * seen.argmax(axis=1)
        level, drift = (np.repeat(of[None], k, axis=0) for of in (level, drift))
        return State(level, drift, np.repeat(season[:, None], k, axis=1))


def slope(units: Floats) -> Floats:
    """Return (n,) least-squares slopes, units a day, of (n, t) units over the observed days; 0 with fewer than two."""
    seen = np.isfinite(units)
    day = np.where(seen, np.arange(units.shape[1], dtype=float), 0.0)
    middle = day.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    apart = np.where(seen, day - middle[:, None], 0.0)
    square = (apart**2).sum(axis=1)
    return np.asarray((apart * np.nan_to_num(units)).sum(axis=1) / np.where(square > 0, square, 1.0))
