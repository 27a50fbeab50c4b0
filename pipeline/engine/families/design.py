"""Prophet's regression, as a matrix: what `linear` solves in closed form and Prophet fits by optimisation.

Taylor and Letham (2018), "Forecasting at scale": demand = trend with changes of slope + Fourier seasons
+ holidays + regressors, all linear in the unknowns. Both families take their design from here, so that
hyperparameters found on one mean the same for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from contracts import PartKind
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import LEVEL, TIME_OF_YEAR, WEEKDAY, Part
from pipeline.errors import FamilyError

CHANGEPOINTS = 25
CHANGEPOINT_RANGE = 0.8
WEEKLY_ORDER, WEEKLY_PERIOD = 3, 7.0
YEARLY_ORDER, YEARLY_PERIOD = 10, 365.25
TREND_PRIOR = 5.0
MIN_OBSERVED = 14
YEAR_DAYS = 365
TWO_YEARS = 2 * YEAR_DAYS
DEFAULTS: Mapping[str, Any] = {
    "changepoint_prior_scale": 0.05,
    "seasonality_prior_scale": 10.0,
    "holidays_prior_scale": 10.0,
    "yearly_prior_scale": 10.0,
    "short_yearly_prior_scale": 0.1,
    "seasonality_mode": "additive",
    "weekly": "auto",
    "yearly": "auto",
}
"""Prophet's own, but for the yearly season: with less than two years it is held back by a narrow prior, since
a season seen once cannot be told from a trend."""


@dataclass(frozen=True)
class Regressor:
    """A covariate and the numbers that standardise it; indicators are left as they are."""

    name: str
    mean: float
    spread: float


@dataclass(frozen=True)
class Design:
    """The columns of one product's regression, and how to make them for any day."""

    start: pd.Timestamp
    days: float
    changepoints: Floats
    weekly: bool
    yearly: bool
    yearly_prior: float
    holidays: tuple[str, ...]
    regressors: tuple[Regressor, ...]

    def matrix(self, dates: pd.DatetimeIndex, outlook: Outlook, row: int) -> Floats:
        """Return (len(dates), p) columns: intercept, slope, hinges, seasons, holidays, regressors."""
        t = (dates - self.start).days.to_numpy(float) / self.days
        at = outlook.dates.get_indexer(dates)
        epoch_days = (dates - pd.Timestamp(1970, 1, 1)).days.to_numpy(float)
        blocks = [np.ones((len(t), 1)), t[:, None], np.maximum(t[:, None] - self.changepoints, 0.0)]
        if self.weekly:
            blocks.append(fourier(epoch_days, WEEKLY_PERIOD, WEEKLY_ORDER))
        if self.yearly:
            blocks.append(fourier(epoch_days, YEARLY_PERIOD, YEARLY_ORDER))
        blocks += [outlook.holidays[name][at].astype(float)[:, None] for name in self.holidays]
        blocks += [self._standard(regressor, outlook, row, at)[:, None] for regressor in self.regressors]
        return np.hstack(blocks)

    @property
    def trend_columns(self) -> int:
        """How many of the columns, the first ones, are the trend's."""
        return 2 + len(self.changepoints)

    def parts(self) -> list[Part]:
        """Return what each of the p columns of the matrix is a part of."""
        return [
            *[LEVEL] * self.trend_columns,
            *[WEEKDAY] * (2 * WEEKLY_ORDER * self.weekly),
            *[TIME_OF_YEAR] * (2 * YEARLY_ORDER * self.yearly),
            *(Part(PartKind.HOLIDAY, name) for name in self.holidays),
            *(Part(PartKind.COVARIATE, regressor.name) for regressor in self.regressors),
        ]

    def prior_variances(self, parameters: Mapping[str, Any]) -> Floats:
        """Return (p,) variances of the coefficients' priors; a hinge's Laplace counts by its variance."""
        hinge = 2.0 * float(parameters["changepoint_prior_scale"]) ** 2
        season = float(parameters["seasonality_prior_scale"]) ** 2
        event = float(parameters["holidays_prior_scale"]) ** 2
        return np.concatenate(
            [
                np.full(2, TREND_PRIOR**2),
                np.full(len(self.changepoints), hinge),
                np.full(2 * WEEKLY_ORDER * self.weekly, season),
                np.full(2 * YEARLY_ORDER * self.yearly, self.yearly_prior**2),
                np.full(len(self.holidays) + len(self.regressors), event),
            ]
        )

    def _standard(self, regressor: Regressor, outlook: Outlook, row: int, at: np.ndarray) -> Floats:
        """A covariate, standardised; a missing value counts as the usual one."""
        values = covariate(outlook, regressor.name, row)[at]
        return np.where(np.isfinite(values), (values - regressor.mean) / regressor.spread, 0.0)


def fourier(days: Floats, period: float, order: int) -> Floats:
    """Return (len(days), 2 order) sines and cosines of the season's harmonics."""
    angle = 2 * np.pi * np.outer(days, np.arange(1, order + 1)) / period
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(days), 2 * order)


def covariate(outlook: Outlook, name: str, row: int) -> Floats:
    """Return (t,) values of a covariate, shared or of the product in `row` of the outlook."""
    shared = outlook.covariates.get(name)
    return outlook.by_product[name][row] if shared is None else shared


def lay_design(
    panel: Panel, index: int, outlook: Outlook, row: int, parameters: Mapping[str, Any]
) -> tuple[Design, pd.DatetimeIndex, Floats]:
    """Return the design of a product, its observed dates, and its units on them.

    Raises:
        FamilyError: fewer than 14 observed days, or nothing was ever sold.
    """
    seen = panel.observed[index]
    dates, units = panel.dates[seen], panel.quantity[index, seen]
    if len(dates) < MIN_OBSERVED or units.max(initial=0.0) <= 0:
        raise FamilyError(
            f"{panel.products[index]!r} has {len(dates)} observed days and at most {units.max(initial=0.0):g} units; "
            f"a regression needs {MIN_OBSERVED} days and some sales"
        )
    days = float((dates[-1] - dates[0]).days)
    t = (dates - dates[0]).days.to_numpy(float) / days
    at = outlook.dates.get_indexer(dates)
    short = days < TWO_YEARS
    design = Design(
        start=dates[0],
        days=days,
        changepoints=_changepoints(t),
        weekly=_season(parameters["weekly"], days, 2 * WEEKLY_PERIOD),
        yearly=_season(parameters["yearly"], days, YEAR_DAYS),
        yearly_prior=float(parameters["short_yearly_prior_scale" if short else "yearly_prior_scale"]),
        holidays=tuple(name for name, on in outlook.holidays.items() if on[at].any()),
        regressors=_regressors(outlook, row, at),
    )
    return design, dates, units


def _season(wanted: str, days: float, needed: float) -> bool:
    return days >= needed if wanted == "auto" else wanted == "true"


def _changepoints(t: Floats) -> Floats:
    among = int(np.floor(len(t) * CHANGEPOINT_RANGE))
    count = min(CHANGEPOINTS, among - 1)
    return np.asarray(t[np.linspace(0, among - 1, count + 1).round().astype(int)[1:]])


def _regressors(outlook: Outlook, row: int, at: np.ndarray) -> tuple[Regressor, ...]:
    found = []
    for name in (*outlook.covariates, *(outlook.by_product if row >= 0 else ())):
        values = covariate(outlook, name, row)[at]
        values = values[np.isfinite(values)]
        if not values.size or values.min() == values.max():
            continue
        indicator = bool(np.isin(values, (0.0, 1.0)).all())
        found.append(Regressor(name, 0.0 if indicator else values.mean(), 1.0 if indicator else values.std(ddof=1)))
    return tuple(found)
