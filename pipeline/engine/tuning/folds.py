"""What a setting of the regression would have cost: errors at inner origins, all products of a few at once.

A product's Gram matrix does not depend on the priors, and that of an inner origin is the whole's less the days
after it; so a further trial costs one solve a product and origin, and nothing is laid out twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.engine.families.design import DEFAULTS, Design, lay_design
from pipeline.engine.families.linear import MULTIPLICATIVE, alternate, mean, ridge
from pipeline.engine.metrics import seasonal_scales
from pipeline.engine.panel import Bools, Floats, Outlook, Panel
from pipeline.errors import FamilyError

ABSOLUTE_FROM = 5.0
"""Units a day from which absolute errors count; below, where they would reward forecasting nothing, squared ones."""
LEAST_DAYS = 28
"""Observed days that a product needs before an inner origin to be judged there."""
SEARCH_TURNS = 3
"""Of the two regressions in multiplicative mode: enough to rank settings, not to forecast."""


@dataclass(frozen=True)
class _One:
    """One product, laid out up to the outer origin: its columns and units, and which days each fold sees and tests."""

    design: Design
    x: Floats
    y: Floats
    size: float
    seen: Bools
    tested: Bools
    absolute: bool
    unit: float

    def loss(self, forecast: Floats, fold: int) -> float:
        """Error over the tested days of a fold, in units: absolute, or squared by the usual difference."""
        error = (np.maximum(forecast, 0.0) - self.y[self.tested[fold]]) * self.size
        return float(np.abs(error).sum() if self.absolute else (error**2).sum() / self.unit)


class Folds:
    """Some products of a panel at inner origins, one horizon apart, the newest one horizon before the panel's end.

    Args:
        panel: sales up to the outer origin; nothing later is known here.
        rows: the products; those that cannot carry a regression are left out.
        level: (n,) recent units a day of all the panel's products.
        outlook: covers the panel.
        horizon: days that are tested after each inner origin.
        count: number of inner origins.
    """

    def __init__(
        self, panel: Panel, rows: Sequence[int], level: Floats, outlook: Outlook, horizon: int, count: int
    ) -> None:
        self.count = count
        difference, _ = seasonal_scales(panel)
        cuts = [panel.last - pd.Timedelta(days=horizon * (fold + 1)) for fold in range(count)]
        laid = {row: _laid(panel, row, outlook, cuts, horizon) for row in rows}
        self._ones = [
            _One(*one, bool(level[row] >= ABSOLUTE_FROM), float(difference[row]) or 1.0)
            for row, one in laid.items()
            if one is not None
        ]
        self.rows = [row for row, one in laid.items() if one is not None]
        self._sums = self._summed()

    def losses(self, parameters: Mapping[str, Any], fold: int) -> Floats:
        """Return (len(rows),) errors at an inner origin, in units; NaN where a product was too young."""
        settings = {**DEFAULTS, **parameters}
        found = np.full(len(self._ones), np.nan)
        able = [number for number, one in enumerate(self._ones) if one.tested[fold].any()]
        if not able:
            return found
        multiplies = settings["seasonality_mode"] == MULTIPLICATIVE
        solved = self._alternated(able, settings, fold) if multiplies else self._solved(able, settings, fold)
        for number, coefficients in zip(able, solved, strict=True):
            one = self._ones[number]
            trend = one.design.trend_columns if multiplies else None
            found[number] = one.loss(mean(one.x[one.tested[fold]], coefficients, trend), fold)
        return found

    def _solved(self, able: Sequence[int], settings: Mapping[str, Any], fold: int) -> list[Floats]:
        priors = np.ones((len(able), self._sums[fold][1].shape[1]))
        for place, number in enumerate(able):
            own = self._ones[number].design.prior_variances(settings)
            priors[place, : len(own)] = own
        gram, moment, square, days = (part[able] for part in self._sums[fold])
        solved = ridge(gram, moment, square, days, priors)
        return [row[: self._ones[number].x.shape[1]] for number, row in zip(able, solved, strict=True)]

    def _alternated(self, able: Sequence[int], settings: Mapping[str, Any], fold: int) -> list[Floats]:
        found = []
        for one in (self._ones[number] for number in able):
            seen, prior = one.seen[fold], one.design.prior_variances(settings)
            found.append(alternate(one.x[seen], one.y[seen], prior, one.design.trend_columns, SEARCH_TURNS))
        return found

    def _summed(self) -> list[tuple[Floats, Floats, Floats, Floats]]:
        """X'X, X'y, y'y and days of each inner origin, (n, ...); 1 for a column that a product lacks."""
        n, width = len(self._ones), max((one.x.shape[1] for one in self._ones), default=0)
        gram, moment = np.tile(np.eye(width), (self.count, n, 1, 1)), np.zeros((self.count, n, width))
        square, days = np.ones((self.count, n)), np.ones((self.count, n))
        for number, one in enumerate(self._ones):
            p, whole = one.x.shape[1], (one.x.T @ one.x, one.x.T @ one.y, one.y @ one.y)
            for fold in np.flatnonzero(one.tested.any(axis=1)):
                x, y = one.x[~one.seen[fold]], one.y[~one.seen[fold]]
                gram[fold, number, :p, :p], moment[fold, number, :p] = whole[0] - x.T @ x, whole[1] - x.T @ y
                square[fold, number], days[fold, number] = whole[2] - y @ y, len(one.y) - len(y)
        return list(zip(gram, moment, square, days, strict=True))


def _laid(
    panel: Panel, row: int, outlook: Outlook, cuts: Sequence[pd.Timestamp], horizon: int
) -> tuple[Design, Floats, Floats, float, Bools, Bools] | None:
    at = outlook.products.index(panel.products[row]) if outlook.by_product else -1
    try:
        design, dates, units = lay_design(panel, row, outlook, at, DEFAULTS)
    except FamilyError:
        return None  # It is this family's fault where the product is fitted, and told there.
    size = float(np.abs(units).max())
    days = np.asarray((dates - panel.dates[0]).days)
    ends = np.array([(cut - panel.dates[0]).days for cut in cuts])[:, None]
    seen = days <= ends
    tested = ~seen & (days <= ends + horizon) & (seen.sum(axis=1) >= LEAST_DAYS)[:, None]
    return design, design.matrix(dates, outlook, at), units / size, size, seen, tested
