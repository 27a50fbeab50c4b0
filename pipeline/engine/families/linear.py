"""`linear`: Prophet's regression solved in closed form, a millisecond a product.

The Laplace prior of the hinges is replaced by a Gaussian of the same variance; what remains is a ridge
regression whose noise variance is re-estimated a few times (empirical Bayes; MacKay 1992).
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
from pipeline.errors import FamilyError

NOISE_ROUNDS = 4
FILE = "linear.json"


class Linear:
    """Prophet's mean as a ridge regression, refitted at each forecast with its settings."""

    name = "linear"
    scope = Scope.PRODUCT
    voice = "regression"
    stand_in = None
    intermittent = False

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedLinear:
        """Keep the settings; the solve is so cheap that it is done with the freshest history."""
        parameters = {**DEFAULTS, **recipe.parameters}
        for index in range(len(history.products)):
            solve(history, index, outlook, parameters)
        return FittedLinear(parameters)

    def from_files(self, files: Mapping[str, bytes]) -> FittedLinear:
        """Read the settings back."""
        try:
            parameters = {**json.loads(files[FILE])}
        except (KeyError, ValueError, TypeError) as error:
            raise FamilyError(f"linear needs {FILE} with its settings as JSON; found {sorted(files)}") from error
        if not parameters:
            raise FamilyError(f"linear needs {FILE} with its settings as JSON; it holds none")
        return FittedLinear({**DEFAULTS, **parameters})


@dataclass(frozen=True)
class FittedLinear:
    """Settings of the regression."""

    parameters: Mapping[str, Any]

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        ahead = pd.date_range(history.last + pd.Timedelta(days=1), periods=horizon, freq="D")
        forecast = np.empty((len(history.products), horizon))
        for index in range(len(history.products)):
            solution = solve(history, index, outlook, self.parameters)
            forecast[index] = solution.at(ahead, outlook)
        return np.maximum(forecast, 0.0)

    def to_files(self) -> dict[str, bytes]:
        """Return the settings as JSON."""
        return {FILE: json.dumps(dict(self.parameters), sort_keys=True).encode()}


@dataclass(frozen=True)
class Solution:
    """A product's coefficients."""

    design: Design
    row: int
    coefficients: Floats
    size: float

    def at(self, dates: pd.DatetimeIndex, outlook: Outlook) -> Floats:
        """Return (len(dates),) units; may be negative."""
        return self.design.matrix(dates, outlook, self.row) @ self.coefficients * self.size


def solve(history: Panel, index: int, outlook: Outlook, parameters: Mapping[str, Any]) -> Solution:
    """Fit one product of the panel.

    Raises:
        FamilyError: too few observed days, or nothing was ever sold.
    """
    row = outlook.products.index(history.products[index]) if outlook.by_product else -1
    design, dates, units = lay_design(history, index, outlook, row, parameters)
    size = float(np.abs(units).max())
    x, y = design.matrix(dates, outlook, row), units / size
    coefficients = ridge(x.T @ x, x.T @ y, float(y @ y), len(y), design.prior_variances(parameters))
    return Solution(design, row, coefficients, size)


def ridge(gram: Floats, moment: Floats, square: float, days: int, prior: Floats) -> Floats:
    """Return (p,) coefficients that maximise the posterior, the noise variance found along the way.

    Args:
        gram: (p, p) X'X.
        moment: (p,) X'y.
        square: y'y.
        days: number of observations.
        prior: (p,) prior variances.
    """
    noise = square / days
    for _ in range(NOISE_ROUNDS):
        coefficients = np.linalg.solve(gram + np.diag(noise / prior), moment)
        rest = square - 2 * coefficients @ moment + coefficients @ gram @ coefficients
        noise = max(float(rest) / days, 1e-9)
    return np.asarray(np.linalg.solve(gram + np.diag(noise / prior), moment), float)
