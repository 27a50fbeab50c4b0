"""Seasonal naive: what was sold on the same weekday last. The gatekeeper that every model must beat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.engine.families.base import Recipe, Scope
from pipeline.engine.panel import Floats, Outlook, Panel

SEASON = 7


class SeasonalNaive:
    """Repeats the last observed value of the same weekday; a weekday never observed gets the mean."""

    name = "seasonal_naive"
    scope = Scope.PRODUCT
    voice = "naive"
    stand_in = None
    intermittent = True

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedSeasonalNaive:
        """Nothing is learnt: the forecast is read off the history."""
        del history, outlook, recipe
        return FittedSeasonalNaive()

    def from_files(self, files: Mapping[str, bytes]) -> FittedSeasonalNaive:
        """Nothing is stored."""
        del files
        return FittedSeasonalNaive()


class FittedSeasonalNaive:
    """Has no state."""

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        del outlook
        week = np.column_stack([_last_observed(history.quantity[:, offset::SEASON]) for offset in _offsets(history)])
        seen = history.observed
        mean = np.nan_to_num(history.quantity).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        week = np.where(np.isfinite(week), week, mean[:, None])
        return np.maximum(week[:, np.arange(horizon) % SEASON], 0.0)

    def to_files(self) -> dict[str, bytes]:
        """Return nothing."""
        return {}


def _offsets(history: Panel) -> list[int]:
    """First column of each weekday, in the order of the days after the history."""
    days = len(history.dates)
    return [(days + ahead) % SEASON for ahead in range(SEASON)]


def _last_observed(values: Floats) -> Floats:
    """(n,) last finite value of each row, NaN where there is none."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    seen = np.isfinite(values[:, ::-1])
    first = seen.argmax(axis=1)
    return np.where(seen.any(axis=1), values[:, ::-1][np.arange(len(values)), first], np.nan)
