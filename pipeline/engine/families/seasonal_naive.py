"""Seasonal naive: what was sold on the same weekday last. The gatekeeper that every model must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.engine.families.base import Recipe, Scope
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import LEVEL, WEEKDAY, Parts, not_below_zero

SEASON = 7


class SeasonalNaive:
    """Repeats the mean of the last `weeks` observed same weekdays; a weekday never observed gets the mean of all."""

    name = "seasonal_naive"
    scope = Scope.PRODUCT
    voice = "naive"
    stand_in = None
    intermittent = True
    gatekeeper = True
    weeks = 1

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedSeasonalNaive:
        """Nothing is learnt: the forecast is read off the history."""
        del history, outlook, recipe
        return FittedSeasonalNaive(self.weeks)

    def from_files(self, files: Mapping[str, bytes]) -> FittedSeasonalNaive:
        """Nothing is stored."""
        del files
        return FittedSeasonalNaive(self.weeks)


@dataclass(frozen=True)
class FittedSeasonalNaive:
    """How many of the last same weekdays count."""

    weeks: int = 1

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        del outlook
        return np.maximum(self._week(history)[:, np.arange(horizon) % SEASON], 0.0)

    def explain(self, history: Panel, outlook: Outlook, horizon: int) -> Parts:
        """Return the mean of the week that is repeated, and how the weekday differs from it."""
        del outlook
        week = self._week(history)
        ahead = week[:, np.arange(horizon) % SEASON]
        level = np.broadcast_to(week.mean(axis=1, keepdims=True), ahead.shape)
        return not_below_zero({LEVEL: level, WEEKDAY: ahead - level})

    def _week(self, history: Panel) -> Floats:
        """(n, 7) units of each weekday, in the order of the days after the history; may be negative."""
        days = len(history.dates)
        same = [history.quantity[:, (days + ahead) % SEASON :: SEASON] for ahead in range(SEASON)]
        week = np.column_stack([_mean_of_last(values, self.weeks) for values in same])
        week = np.where(np.isfinite(week), week, _mean_of_last(history.quantity, days)[:, None])
        return np.nan_to_num(week)

    def to_files(self) -> dict[str, bytes]:
        """Return nothing."""
        return {}


def _mean_of_last(values: Floats, count: int) -> Floats:
    """(n,) mean of the last `count` observed values of each row; NaN where there is none."""
    seen = np.isfinite(values)
    use = seen & (seen[:, ::-1].cumsum(axis=1)[:, ::-1] <= count)
    days = use.sum(axis=1)
    return np.where(days > 0, np.where(use, values, 0.0).sum(axis=1) / np.maximum(days, 1), np.nan)
