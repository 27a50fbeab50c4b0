"""Exponential smoothing with a weekly season, over all of a tenant's products at once.

Hyndman, Koehler, Ord and Snyder (2008), "Forecasting with Exponential Smoothing": level, trend (damped or none) and
season (additive, or multiplicative where a product sells enough) in the error-correction form. Which of the settings
suit is learnt from all products and kept; each product then leans as far from that as its own past says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np

from pipeline.engine.families.base import Recipe, Scope
from pipeline.engine.families.smoothing import Grid, Setting, Smoothed, State, held, pool, week_of, weigh
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import LEVEL, WEEKDAY, Parts, not_below_zero
from pipeline.errors import FamilyError

LEVELS, SEASONS, TRENDS = (0.02, 0.06, 0.15, 0.3, 0.6), (0.02, 0.1), ((0.0, 1.0), (0.2, 0.9))
MEMORY_DAYS = 728
"""Days of history that are smoothed: what lies further back is forgotten by nearly all settings."""
BEGINNING = 56
"""Observed days, from a product's first, that the smoothing starts from."""
PROFILE_PRIOR = 8.0
"""Usual days by which each weekday's first mean is held towards the mean of all."""
CHUNK = 500
"""Products that are smoothed together: enough for speed, few enough for memory."""


class ETS:
    """Keeps how likely the settings are over a tenant's products; smooths anew at each forecast."""

    name = "ets"
    scope = Scope.TENANT
    voice = "smoothing"
    stand_in = None
    intermittent = False
    gatekeeper = False
    grid = Grid(
        [
            Setting(level, season, *trend, multiplicative)
            for level, season, trend, multiplicative in product(LEVELS, SEASONS, TRENDS, (False, True))
        ]
    )

    def begin(self, units: Floats, grid: Grid) -> State:
        """Return the state before the first of the (n, t) units."""
        early = np.isfinite(units).cumsum(axis=1) <= BEGINNING
        mean, week = week_of(np.where(early, held(units), np.nan), PROFILE_PRIOR)
        ratio = np.where(mean > 0, week / np.where(mean > 0, mean, 1.0), 1.0)
        level = np.repeat(mean[None], len(grid.settings), axis=0)
        season = np.where(grid.multiplicative, ratio[:, None], (week - mean)[:, None])
        return State(level, np.zeros_like(level), season)

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedETS:
        """Learn how likely each setting is over all products of the history."""
        del outlook, recipe
        parts = [smoothed for _, smoothed in smoothed_by(self, self.grid, history)]
        return FittedETS(self, self.grid, pool(parts))

    def from_files(self, files: Mapping[str, bytes]) -> FittedETS:
        """Read the settings, and how likely they are, back."""
        file = f"{self.name}.json"
        try:
            stored = json.loads(files[file])["settings"]
            pooled, settings = zip(*((one.pop("log_error"), Setting(**one)) for one in stored), strict=True)
            return FittedETS(self, Grid(settings), np.array(pooled, float))
        except (KeyError, ValueError, TypeError) as error:
            raise FamilyError(f"{self.name} needs {file} with its settings; found {sorted(files)}") from error


@dataclass(frozen=True)
class FittedETS:
    """The settings, and (k,) log errors of a day ahead that they made on all products, against their mean."""

    family: ETS
    grid: Grid
    pooled: Floats

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        del outlook
        return np.asarray(np.maximum(self._ahead(history, horizon).sum(axis=0), 0.0))

    def explain(self, history: Panel, outlook: Outlook, horizon: int) -> Parts:
        """Return level with trend, and what the weekday adds."""
        del outlook
        level, weekday = self._ahead(history, horizon)
        return not_below_zero({LEVEL: level, WEEKDAY: weekday})

    def _ahead(self, history: Panel, horizon: int) -> Floats:
        """(2, n, horizon) units of level and of weekday."""
        parts = smoothed_by(self.family, self.grid, history)
        made = [self.grid.ahead(s.state, weigh(s, self.pooled), column, horizon) for column, s in parts]
        return np.concatenate(made, axis=1)

    def to_files(self) -> dict[str, bytes]:
        """Return the settings and their errors as JSON."""
        pairs = zip(self.grid.settings, self.pooled.tolist(), strict=True)
        stored = {"settings": [{**asdict(setting), "log_error": error} for setting, error in pairs]}
        return {f"{self.family.name}.json": json.dumps(stored, sort_keys=True).encode()}


def smoothed_by(family: ETS, grid: Grid, history: Panel) -> Iterator[tuple[int, Smoothed]]:
    """Yield the products of a history smoothed, some at a time, with the number of days."""
    units = history.quantity[:, -MEMORY_DAYS:]
    for start in range(0, max(len(units), 1), CHUNK):
        some = units[start : start + CHUNK]
        yield units.shape[1], grid.smooth(some, family.begin(some, grid))
