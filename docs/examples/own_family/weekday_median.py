"""Weekday median: the median of the last observed same weekdays. One wedding order does not move it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.engine.families.base import Recipe, Scope
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.errors import FamilyError

SEASON = 7
FILE = "weekday_median.json"
DEFAULTS = {"weeks": 8}


class WeekdayMedian:
    """Nothing is learnt but how many weeks count; the forecast is read off the newest history."""

    name = "weekday_median"
    scope = Scope.PRODUCT
    voice = "median"
    stand_in = None
    intermittent = False
    gatekeeper = False

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedWeekdayMedian:
        """Take the number of weeks from the recipe, and refuse a product about which nothing is known."""
        del outlook
        for product, known in zip(history.products, history.observed.any(axis=1), strict=True):
            if not known:
                raise FamilyError(f"{product!r} has no observed day to take a median of")
        return FittedWeekdayMedian(int({**DEFAULTS, **recipe.parameters}["weeks"]))

    def from_files(self, files: Mapping[str, bytes]) -> FittedWeekdayMedian:
        """Read the number of weeks back."""
        try:
            return FittedWeekdayMedian(int(json.loads(files[FILE])["weeks"]))
        except (KeyError, ValueError, TypeError) as error:
            raise FamilyError(f"weekday_median needs {FILE} with its weeks; found {sorted(files)}") from error


@dataclass(frozen=True)
class FittedWeekdayMedian:
    """How many of the last same weekdays count."""

    weeks: int

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        del outlook
        first = [(len(history.dates) + ahead) % SEASON for ahead in range(SEASON)]
        week = np.array([[self._median(row[at::SEASON], row) for at in first] for row in history.quantity])
        return week[:, np.arange(horizon) % SEASON]

    def to_files(self) -> dict[str, bytes]:
        """Return the number of weeks as JSON."""
        return {FILE: json.dumps({"weeks": self.weeks}).encode()}

    def _median(self, same: Floats, whole: Floats) -> float:
        """Of the last observed same weekdays; of all observed days where this weekday never was."""
        seen = same[np.isfinite(same)][-self.weeks :]
        return float(np.median(seen if seen.size else whole[np.isfinite(whole)]))
