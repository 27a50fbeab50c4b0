"""TSB with a weekday profile: for products that sell on some days only (Teunter, Syntetos and Babai 2011).

The chance of a sale and the units of a sale are smoothed apart: the first every day, the second on days with a
sale. Unlike Croston's method it forgets a product that no longer sells. Their product, times how the weekdays of
the last year differ, is the mean demand of a day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.engine.families.base import Recipe, Scope
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import LEVEL, WEEKDAY, Parts, gathered
from pipeline.errors import FamilyError

DEFAULTS = {"units_smoothing": 0.1, "chance_smoothing": 0.05}
FILE = "tsb.json"
SEASON = 7
BEGINNING = 28
"""Days, from a product's first, whose means the smoothing starts from."""
PROFILE_DAYS = 364
PROFILE_PRIOR = 8.0
"""Usual days by which each weekday's sales are held towards the mean: a few lucky Mondays are no profile."""


class TSB:
    """Reads off the history with two smoothing constants; nothing else is stored."""

    name = "tsb"
    scope = Scope.PRODUCT
    voice = "intermittent"
    stand_in = None
    intermittent = True
    gatekeeper = False

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedTSB:
        """Take the constants of the recipe."""
        del history, outlook
        chosen = {**DEFAULTS, **recipe.parameters}
        return FittedTSB(float(chosen["units_smoothing"]), float(chosen["chance_smoothing"]))

    def from_files(self, files: Mapping[str, bytes]) -> FittedTSB:
        """Read the constants back."""
        try:
            stored = json.loads(files[FILE])
            return FittedTSB(float(stored["units_smoothing"]), float(stored["chance_smoothing"]))
        except (KeyError, ValueError, TypeError) as error:
            raise FamilyError(f"tsb needs {FILE}; found {sorted(files)}") from error


@dataclass(frozen=True)
class FittedTSB:
    """The two smoothing constants, each above 0 and at most 1."""

    units_smoothing: float
    chance_smoothing: float

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        del outlook
        return np.asarray(self._level(history.quantity)[:, None] * _ahead(history, horizon))

    def explain(self, history: Panel, outlook: Outlook, horizon: int) -> Parts:
        """Return the smoothed level, and what the weekday's factor adds to it."""
        del outlook
        factor = _ahead(history, horizon)
        level = np.broadcast_to(self._level(history.quantity)[:, None], factor.shape)
        return gathered([(LEVEL, level), (WEEKDAY, level * (factor - 1))])

    def _level(self, units: Floats) -> Floats:
        """(n,) units a day: the smoothed chance of a sale times the smoothed units of a sale."""
        seen = np.isfinite(units)
        early = seen & (seen.cumsum(axis=1) <= BEGINNING)
        sold = early & (np.nan_to_num(units) > 0)
        chance = sold.sum(axis=1) / np.maximum(early.sum(axis=1), 1)
        size = np.where(sold, units, 0.0).sum(axis=1) / np.maximum(sold.sum(axis=1), 1)
        later = seen & ~early
        for day in np.flatnonzero(later.any(axis=0)):
            known, today = later[:, day], np.nan_to_num(units[:, day])
            sale = known & (today > 0)
            chance = np.where(known, chance + self.chance_smoothing * (sale - chance), chance)
            # The first sale of all sets the size; there is nothing to smooth it with.
            step = np.where(size > 0, self.units_smoothing, 1.0)
            size = np.where(sale, size + step * (today - size), size)
        return np.asarray(chance * size)

    def to_files(self) -> dict[str, bytes]:
        """Return the constants."""
        stored = {"units_smoothing": self.units_smoothing, "chance_smoothing": self.chance_smoothing}
        return {FILE: json.dumps(stored, sort_keys=True).encode()}


def _ahead(history: Panel, horizon: int) -> Floats:
    """(n, horizon) factor of each coming day's weekday."""
    return _profile(history.quantity)[:, (len(history.dates) + np.arange(horizon)) % SEASON]


def _profile(units: Floats) -> Floats:
    """(n, 7) factor of each weekday over the last year, by column number modulo 7; 1 where nothing is known."""
    recent = units[:, -PROFILE_DAYS:]
    seen, sold = np.isfinite(recent), np.nan_to_num(recent)
    mean = sold.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    first = units.shape[1] - recent.shape[1]
    factor = np.ones((len(units), SEASON))
    for weekday in range(SEASON):
        same = np.arange((weekday - first) % SEASON, recent.shape[1], SEASON)
        days = seen[:, same].sum(axis=1)
        held = (sold[:, same].sum(axis=1) + PROFILE_PRIOR * mean) / (days + PROFILE_PRIOR)
        factor[:, weekday] = np.where(mean > 0, held / np.where(mean > 0, mean, 1.0), 1.0)
    return factor
