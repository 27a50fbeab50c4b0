"""Exponential smoothing of a whole panel at once, by a small grid of settings: what `ets` and `theta` have in common.

Level, damped trend and weekly season are moved by each day's error (Hyndman, Koehler, Ord and Snyder 2008), which
counts up to a few times its usual size (Gelper, Fried and Croux 2010): a wedding order is no new level. A day without
an observation moves nothing but what time moves. The settings' forecasts are averaged by how likely each makes the
product's past (Kolassa 2011), held towards what is likely over all products.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.engine.panel import Bools, Floats, Ints

SEASON = 7
WARM_UP, SCORED_DAYS = 28, 364
"""Observed days, from a product's first, whose errors say nothing of a setting; and how many of the last ones do."""
LARGEST_ERROR = 4.0
"""Times the usual absolute error above which an error counts no more."""
USUAL_SMOOTHING = 0.05
LEAST_ERROR, LEAST_LEVEL, LEAST_SEASON = 0.1, 0.2, 0.2
"""The least usual error, and the least level that an error of a multiplicative season is divided by, both of a
product's mean; the least factor of a weekday that an error of the level is divided by."""
MULTIPLICATIVE_UNITS = 5.0
"""Units a day from which a season may be multiplicative: below there are counts, not ratios."""
EVIDENCE = 0.1
"""By which a day's log error is multiplied: half would be right if days were independent and settings exact."""
PRIOR_DAYS = 60.0
"""Days of a product's own errors that what all products say of a setting is worth."""


@dataclass(frozen=True)
class Setting:
    """How fast level, season and trend follow the errors, what a day leaves of the trend, how the season acts."""

    level: float
    season: float = 0.0
    trend: float = 0.0
    damping: float = 1.0
    multiplicative: bool = False


@dataclass
class State:
    """Where k settings stand on n products: (k, n) level and trend, and (7, k, n) season by column modulo 7."""

    level: Floats
    trend: Floats
    season: Floats


@dataclass(frozen=True)
class Smoothed:
    """The settings after the last day: their state, and their (k, n) mean squared errors a day ahead, units squared.

    `days` (n,) were scored; `allowed` (k, n) says which settings a product may have.
    """

    state: State
    errors: Floats
    days: Ints
    allowed: Bools


class Grid:
    """Settings side by side: each of their numbers is a (k, 1) column."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        self.settings = tuple(settings)
        self.level = _column(one.level for one in settings)
        self.season = _column(one.season for one in settings)
        self.trend = _column(one.trend for one in settings)
        self.damping = _column(one.damping for one in settings)
        self.multiplicative: Bools = _column(one.multiplicative for one in settings) > 0

    def smooth(self, units: Floats, state: State) -> Smoothed:
        """Move a state, which is used up, through (n, t) units, NaN where a day is no observation."""
        seen, known = np.isfinite(units), np.nan_to_num(units)
        order = seen.cumsum(axis=1)
        scored = seen & (order > WARM_UP) & (order > order[:, -1:] - SCORED_DAYS)
        days, mean = scored.sum(axis=1), known.sum(axis=1) / np.maximum(order[:, -1], 1)
        squares, usual = np.zeros(state.level.shape), np.broadcast_to(mean, state.level.shape)
        for day in range(units.shape[1]):
            week, today = state.season[day % SEASON], seen[:, day]
            error = np.where(today, known[:, day] - self._expect(state, self.damping, week), 0.0)
            squares += np.where(scored[:, day], error**2, 0.0)
            limit = LARGEST_ERROR * np.maximum(usual, LEAST_ERROR * mean)
            usual = np.where(today, usual + USUAL_SMOOTHING * (np.minimum(np.abs(error), 2 * limit) - usual), usual)
            self._move(state, day % SEASON, np.clip(error, -limit, limit), mean)
        # An error of nothing at all would outweigh everything: a thousandth of the mean is as good.
        least = np.where(mean > 0, (mean / 1000) ** 2, 1.0)
        allowed = ~self.multiplicative | (mean >= MULTIPLICATIVE_UNITS)
        return Smoothed(state, np.maximum(squares / np.maximum(days, 1), least), days, allowed)

    def ahead(self, state: State, weights: Floats, column: int, horizon: int) -> Floats:
        """Return (2, n, horizon) units from a column on, averaged over the settings by (k, n) weights.

        The first are those of level and trend, the second what the weekday adds; their sum may be negative.
        """
        steps = np.cumsum(self.damping ** np.arange(1, horizon + 1), axis=1)
        made = np.empty((2, weights.shape[1], horizon))
        for step in range(horizon):
            base = state.level + steps[:, step, None] * state.trend
            made[0, :, step] = (weights * base).sum(axis=0)
            made[1, :, step] = (weights * self._added(base, state.season[(column + step) % SEASON])).sum(axis=0)
        return made

    def _expect(self, state: State, trends: Floats, week: Floats) -> Floats:
        """(k, n) units some trends further, on a weekday of (k, n) season."""
        base = state.level + trends * state.trend
        return base + self._added(base, week)

    def _added(self, base: Floats, week: Floats) -> Floats:
        """(k, n) units that a weekday of (k, n) season adds to level and trend."""
        return np.where(self.multiplicative, base * (week - 1), week)

    def _move(self, state: State, weekday: int, error: Floats, mean: Floats) -> None:
        """Let a day pass: the trend goes on, and the error moves level, trend and the weekday's season."""
        week, trend = state.season[weekday], self.damping * state.trend
        base = state.level + trend
        of_level = error / np.where(self.multiplicative, np.maximum(week, LEAST_SEASON), 1.0)
        floor = np.where(mean > 0, LEAST_LEVEL * mean, 1.0)
        of_season = error / np.where(self.multiplicative, np.maximum(base, floor), 1.0)
        state.level = base + self.level * of_level
        state.trend = trend + self.level * self.trend * of_level
        state.season[weekday] = week + self.season * of_season


def pool(parts: Sequence[Smoothed]) -> Floats:
    """Return (k,) mean log errors of the settings over all products, against the mean of those that all may have."""
    logs = np.concatenate([np.log(part.errors) for part in parts], axis=1)
    allowed = np.concatenate([part.allowed for part in parts], axis=1)
    told = allowed & np.concatenate([part.days > 0 for part in parts])
    relative = logs - logs[allowed.all(axis=1)].mean(axis=0)
    return np.asarray(np.where(told, relative, 0.0).sum(axis=1) / np.maximum(told.sum(axis=1), 1))


def weigh(smoothed: Smoothed, pooled: Floats) -> Floats:
    """Return (k, n) weights of the settings, together 1 for each product.

    Args:
        smoothed: what the settings did on each product.
        pooled: (k,) what `pool` found over all products.
    """
    log_errors = smoothed.days * np.log(smoothed.errors) + PRIOR_DAYS * pooled[:, None]
    against = np.where(smoothed.allowed, EVIDENCE * log_errors, np.inf)
    likely = np.exp(against.min(axis=0) - against)
    return np.asarray(likely / likely.sum(axis=0))


def held(units: Floats) -> Floats:
    """Return (n, t) units with those brought back that lie further from the product's mean than errors may count."""
    seen, known = np.isfinite(units), np.nan_to_num(units)
    days = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    mean = known.sum(axis=1, keepdims=True) / days
    limit = LARGEST_ERROR * np.where(seen, np.abs(known - mean), 0.0).sum(axis=1, keepdims=True) / days
    return np.asarray(np.clip(units, mean - limit, mean + limit))


def week_of(units: Floats, prior: float) -> tuple[Floats, Floats]:
    """Return (n,) means and (7, n) means of the weekdays, by column modulo 7, held towards the former.

    Args:
        units: (n, t), NaN where a day is no observation.
        prior: usual days by which each weekday is held.
    """
    seen, known = np.isfinite(units), np.nan_to_num(units)
    mean = known.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    same = [slice(weekday, None, SEASON) for weekday in range(SEASON)]
    week = [(known[:, at].sum(axis=1) + prior * mean) / (seen[:, at].sum(axis=1) + prior) for at in same]
    return mean, np.array(week)


def _column(numbers: Iterable[float]) -> Floats:
    return np.array([list(numbers)], float).T
