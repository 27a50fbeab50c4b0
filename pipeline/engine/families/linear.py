"""`linear`: Prophet's regression solved in closed form, a millisecond a product.

The Laplace prior of the hinges is replaced by a Gaussian of the same variance; what remains is a ridge
regression whose noise variance is re-estimated a few times (empirical Bayes; MacKay 1992). Seasons and events
either add to the trend or multiply it; the latter is linear in the trend for given seasons and in the seasons
for a given trend, so that two ridge regressions are solved in turn until they agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.engine.families.base import Recipe, Scope
from pipeline.engine.families.design import DEFAULTS, Design, lay_design
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import Parts, gathered, not_below_zero, stacked
from pipeline.errors import FamilyError

NOISE_ROUNDS = 4
TURNS = 8
"""Of the two regressions in multiplicative mode; what more would change is far below the noise."""
SMALLEST_NOISE = 1e-9
"""Variance, of units relative to the largest: a perfect fit must leave the priors a weight."""
MULTIPLICATIVE = "multiplicative"
FILE = "linear.json"


class Linear:
    """Prophet's mean as a ridge regression, refitted at each forecast with its settings."""

    name = "linear"
    scope = Scope.PRODUCT
    voice = "regression"
    stand_in = None
    intermittent = False
    gatekeeper = False

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedLinear:
        """Keep the settings; the solve is so cheap that it is done with the freshest history."""
        settings = {product: {**DEFAULTS, **recipe.of(product)} for product in history.products}
        for index, product in enumerate(history.products):
            solve(history, index, outlook, settings[product])
        return FittedLinear(settings)

    def from_files(self, files: Mapping[str, bytes]) -> FittedLinear:
        """Read the settings back."""
        try:
            stored = {product: {**DEFAULTS, **own} for product, own in json.loads(files[FILE]).items()}
        except (AttributeError, KeyError, ValueError, TypeError) as error:
            raise FamilyError(f"linear needs {FILE} with its settings as JSON; found {sorted(files)}") from error
        if not stored:
            raise FamilyError(f"linear needs {FILE} with its settings as JSON; it holds none")
        return FittedLinear(stored)


@dataclass(frozen=True)
class FittedLinear:
    """Settings of the regression by product."""

    settings: Mapping[str, Mapping[str, Any]]

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        ahead = _after(history, horizon)
        forecast = np.empty((len(history.products), horizon))
        for index, product in enumerate(history.products):
            forecast[index] = solve(history, index, outlook, self._of(product)).at(ahead, outlook)
        return np.maximum(forecast, 0.0)

    def explain(self, history: Panel, outlook: Outlook, horizon: int) -> Parts:
        """Return trend, seasons, and each holiday and covariate: the terms of the regression, in units."""
        ahead = _after(history, horizon)
        told = [
            solve(history, index, outlook, self._of(product)).parts(ahead, outlook)
            for index, product in enumerate(history.products)
        ]
        return not_below_zero(stacked(told, horizon))

    def to_files(self) -> dict[str, bytes]:
        """Return the settings as JSON, by product."""
        return {FILE: json.dumps(self.settings, sort_keys=True).encode()}

    def _of(self, product: str) -> Mapping[str, Any]:
        if product not in self.settings:
            raise FamilyError(f"this fit of linear holds {sorted(self.settings)[:3]}, not {product!r}")
        return self.settings[product]


@dataclass(frozen=True)
class Solution:
    """A product's coefficients, and whether its seasons and events multiply the trend."""

    design: Design
    row: int
    coefficients: Floats
    size: float
    multiplies: bool

    def at(self, dates: pd.DatetimeIndex, outlook: Outlook) -> Floats:
        """Return (len(dates),) units; may be negative."""
        x, trend = self.design.matrix(dates, outlook, self.row), self.design.trend_columns
        return mean(x, self.coefficients, trend if self.multiplies else None) * self.size

    def parts(self, dates: pd.DatetimeIndex, outlook: Outlook) -> Parts:
        """Return the (len(dates),) units of each part, together what `at` returns."""
        terms, trend = self.design.matrix(dates, outlook, self.row) * self.coefficients, self.design.trend_columns
        terms *= self.size
        if self.multiplies:
            terms[:, trend:] *= terms[:, :trend].sum(axis=1, keepdims=True) / self.size
        return gathered(zip(self.design.parts(), terms.T, strict=True))


def _after(history: Panel, horizon: int) -> pd.DatetimeIndex:
    return pd.date_range(history.last + pd.Timedelta(days=1), periods=horizon, freq="D")


def solve(history: Panel, index: int, outlook: Outlook, parameters: Mapping[str, Any]) -> Solution:
    """Fit one product of the panel.

    Raises:
        FamilyError: too few observed days, or nothing was ever sold.
    """
    row = outlook.products.index(history.products[index]) if outlook.by_product else -1
    design, dates, units = lay_design(history, index, outlook, row, parameters)
    size = float(np.abs(units).max())
    x, y, prior = design.matrix(dates, outlook, row), units / size, design.prior_variances(parameters)
    multiplies = parameters["seasonality_mode"] == MULTIPLICATIVE
    if multiplies:
        coefficients = alternate(x, y, prior, design.trend_columns)
    else:
        coefficients = ridge(x.T @ x, x.T @ y, np.array(y @ y), np.array(len(y)), prior)
    return Solution(design, row, coefficients, size, multiplies)


def mean(x: Floats, coefficients: Floats, trend: int | None) -> Floats:
    """Return (t,) what (t, p) columns say; seasons and events multiply the first `trend` columns, if that is given."""
    if trend is None:
        return np.asarray(x @ coefficients)
    return np.asarray((x[:, :trend] @ coefficients[:trend]) * (1 + x[:, trend:] @ coefficients[trend:]))


def ridge(gram: Floats, moment: Floats, square: Floats, days: Floats, prior: Floats) -> Floats:
    """Return (..., p) coefficients that maximise the posterior, the noise variance found along the way.

    Any number of regressions at once, by the leading dimensions.

    Args:
        gram: (..., p, p) X'X.
        moment: (..., p) X'y.
        square: (...) y'y.
        days: (...) number of observations.
        prior: (..., p) prior variances.
    """
    noise = square / days
    for _ in range(NOISE_ROUNDS):
        found = _posterior(gram, moment, noise, prior)
        explained = 2 * (found * moment).sum(-1) - np.einsum("...p,...pq,...q->...", found, gram, found)
        noise = np.maximum((square - explained) / days, SMALLEST_NOISE)
    return _posterior(gram, moment, noise, prior)


def alternate(x: Floats, y: Floats, prior: Floats, trend: int, turns: int = TURNS) -> Floats:
    """Return (p,) coefficients of trend x (1 + seasons and events), both with their priors.

    Args:
        x: (t, p) columns, the trend's first.
        y: (t,) units relative to the largest.
        prior: (p,) prior variances.
        trend: number of columns of the trend.
        turns: how often each of the two regressions is solved.
    """
    base, rest = x[:, :trend], x[:, trend:]
    effects, noise = np.zeros(rest.shape[1]), float(y @ y) / len(y)
    for _ in range(turns):
        lifted = base * (1 + rest @ effects)[:, None]
        line = _posterior(lifted.T @ lifted, lifted.T @ y, np.array(noise), prior[:trend])
        level = base @ line
        scaled = rest * level[:, None]
        effects = _posterior(scaled.T @ scaled, scaled.T @ (y - level), np.array(noise), prior[trend:])
        left = y - level - scaled @ effects
        noise = max(float(left @ left) / len(y), SMALLEST_NOISE)
    return np.concatenate([line, effects])


def _posterior(gram: Floats, moment: Floats, noise: Floats, prior: Floats) -> Floats:
    """(..., p) mode of the posterior for a known noise variance (...)."""
    held = gram.copy()
    diagonal = np.einsum("...pp->...p", held)
    diagonal += noise[..., None] / prior
    return np.asarray(np.linalg.solve(held, moment[..., None])[..., 0])
