"""Rolling-origin evaluation: what each family, and their combination, would have forecast in the past.

Everything at an origin is made from what was known on its evening (Tashman 2000): the panel is observed
anew, the families are fitted anew, the covariates are those given for each day.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from contracts import DemandClass, IntervalBand, Metrics
from pipeline.engine.closing import closed_ahead
from pipeline.engine.combination import EQUAL, Weights, combine, learn
from pipeline.engine.demand import RECENT_DAYS, Demand, sells, understand
from pipeline.engine.families import FAMILIES, FAULTS, Recipe
from pipeline.engine.faults import borne
from pipeline.engine.intervals import LEVELS, calibrate, product_scale, quantiles, spread
from pipeline.engine.metrics import measure, pinball_losses, scaled_errors, seasonal_scales
from pipeline.engine.observe import Ledgered, observe
from pipeline.engine.outliers import hold_outliers
from pipeline.engine.panel import Bools, Floats, Outlook, Panel
from pipeline.engine.tuning import Search, tune


@dataclass(frozen=True)
class Task:
    """One origin to evaluate: what to fit, on what, and who takes part."""

    sales: Ledgered
    outlook: Outlook
    origin: pd.Timestamp
    horizon: int
    families: tuple[str, ...]
    recipes: Mapping[str, Recipe]
    min_days: int
    max_zero_share: float = 1.0
    active_days: int = 0
    zeros_count: bool = False
    search: Search | None = None
    """How settings are tuned, on what was known at the origin; None: the recipes' are used."""
    only: frozenset[str] | None = None
    """Products that are forecast; None: all that take part. A family of the tenant then learns from these alone."""


@dataclass(frozen=True)
class OriginForecasts:
    """Forecasts of n products from one origin, and what came true.

    `actual` (n, h) units, NaN where not scored; `families` {name: (n, h)} units, a NaN row where a family
    failed; `combined` (n, h); `scale`, `difference`, `squared` (n,); `faults` by (product, family).
    """

    origin: pd.Timestamp
    products: tuple[str, ...]
    actual: Floats
    families: dict[str, Floats]
    combined: Floats
    scale: Floats
    difference: Floats
    squared: Floats
    classes: tuple[DemandClass, ...]
    faults: dict[tuple[str, str], str]
    closed: Bools
    """(n, h): days on which the shop was taken to be closed; they are forecast as 0, and surely so."""
    laid: Floats | None = None
    """(levels, n, h) quantiles, once they are calibrated on other origins."""
    weights: Weights = EQUAL
    """Of the voices in `combined`, learnt from other origins."""
    held: int = 0
    """Product days, one-day outliers, that were held back in fitting."""

    @cached_property
    def row(self) -> dict[str, int]:
        """Row of each product."""
        return {product: number for number, product in enumerate(self.products)}

    def alone(self, product: str) -> OriginForecasts:
        """Return what concerns one product."""
        return self.take([self.row[product]])

    def take(self, rows: Sequence[int] | Bools) -> OriginForecasts:
        """Return what concerns some products, by row number or mask."""
        at = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, np.int64)
        products = tuple(self.products[row] for row in at)
        return replace(
            self,
            products=products,
            actual=self.actual[at],
            families={name: made[at] for name, made in self.families.items()},
            combined=self.combined[at],
            scale=self.scale[at],
            difference=self.difference[at],
            squared=self.squared[at],
            classes=tuple(self.classes[row] for row in at),
            faults={where: text for where, text in self.faults.items() if where[0] in products},
            closed=self.closed[at],
            laid=None if self.laid is None else self.laid[:, at],
        )

    @property
    def scaled_errors(self) -> Floats:
        """(n, h) errors of the combination in units of their spread; NaN where not scored, and on closed days."""
        return np.where(self.closed, np.nan, (self.actual - self.combined) / spread(self.scale, self.combined))


def at_origin(task: Task) -> OriginForecasts:
    """Forecast one origin with every family, and score it."""
    seen = observe(task.sales, task.outlook, task.origin)
    taking_part = _taking_part(seen, task)
    # Metrics are scaled by what was sold; what is fitted, and what an error is held against, has no wild days.
    difference, squared = seasonal_scales(seen.take(taking_part))
    held = hold_outliers(seen, task.outlook)
    panel = held.panel.take(taking_part)
    demand = understand(panel)
    closed = closed_ahead(panel, task.outlook, task.horizon)
    restricted = demand.zero_share > task.max_zero_share
    task, faults = _tuned(task, panel, demand)
    forecasts = {}
    for name in task.families:
        able = np.ones(len(panel.products), bool) if FAMILIES[name].intermittent else ~restricted
        made, failed = forecast_with(name, panel, able, task)
        forecasts[name] = np.where(closed & np.isfinite(made), 0.0, made)
        faults.update(failed)
    return OriginForecasts(
        task.origin,
        panel.products,
        _actual(task, panel.products),
        forecasts,
        combine(forecasts),
        product_scale(seasonal_scales(panel)[0], demand.level),
        difference,
        squared,
        demand.classes,
        faults,
        closed,
        held=int(held.days[taking_part].sum()),
    )


def _tuned(task: Task, panel: Panel, demand: Demand) -> tuple[Task, dict[tuple[str, str], str]]:
    """The task with the settings that a search finds, and its fault; without one the untuned settings stay."""
    if task.search is None:
        return task, {}
    try:
        found = tune(panel, demand, task.outlook, task.horizon, task.search)
    except FAULTS as error:
        text = f"untuned: {type(error).__name__}: {error}"
        return task, {(product, "tuning"): text for product in panel.products}
    return replace(task, recipes=found.applied(task.recipes)), {}


def forecast_with(name: str, panel: Panel, able: Bools, task: Task) -> tuple[Floats, dict[tuple[str, str], str]]:
    """Return (n, h) units of one family, and its faults; a failing product gets a NaN row and harms no other."""
    made = np.full((len(panel.products), task.horizon), np.nan)
    rows = np.flatnonzero(able)
    if not rows.size:
        return made, {}
    try:
        made[rows] = _fit_and_predict(name, panel.take(rows), task)
    except borne(name) as error:
        if len(rows) == 1 or FAMILIES[name].scope == "tenant":
            return made, {(panel.products[row], name): f"{type(error).__name__}: {error}" for row in rows}
        return _one_by_one(name, panel, rows, task)
    return made, {}


def _one_by_one(name: str, panel: Panel, rows: np.ndarray, task: Task) -> tuple[Floats, dict[tuple[str, str], str]]:
    made, faults = np.full((len(panel.products), task.horizon), np.nan), {}
    for row in rows:
        alone = np.arange(len(panel.products)) == row
        block, failed = forecast_with(name, panel, alone, task)
        made[row] = block[row]
        faults.update(failed)
    return made, faults


def _fit_and_predict(name: str, panel: Panel, task: Task) -> Floats:
    fitted = FAMILIES[name].fit(panel, task.outlook, task.recipes.get(name, Recipe()))
    return fitted.predict(panel, task.outlook, task.horizon)


def _taking_part(panel: Panel, task: Task) -> Bools:
    """Products that are trainable; with `active_days`, days count from the first row, and recent sales are needed."""
    if not task.active_days:
        able = understand(panel).trainable(task.min_days)
        return able if task.only is None else able & np.isin(np.array(panel.products, object), list(task.only))
    stop = len(panel.dates)
    sold = (task.sales.quantity[:, max(stop - RECENT_DAYS, 0) : stop] > 0).sum(axis=1)
    first = np.where(task.sales.present[:, :stop].any(axis=1), task.sales.present[:, :stop].argmax(axis=1), stop)
    return np.asarray((stop - first >= task.min_days) & (sold >= task.active_days))


def _actual(task: Task, products: tuple[str, ...]) -> Floats:
    """(n, h) what came true; with `zeros_count` every day without sales is zero, whatever the reason."""
    last = min(task.origin + pd.Timedelta(days=task.horizon), task.sales.dates[-1])
    later = observe(task.sales, task.outlook, last)
    rows = pd.Index(later.products).get_indexer(pd.Index(products))
    start = int(later.dates.searchsorted(task.origin, side="right"))
    seen = later.quantity[rows, start:]
    if task.zeros_count:
        seen = task.sales.quantity[rows, start : start + seen.shape[1]]
    actual = np.full((len(products), task.horizon), np.nan)
    actual[:, : seen.shape[1]] = seen
    return actual


def nested(scored: Sequence[OriginForecasts], *, strictly_earlier: bool = False) -> list[OriginForecasts]:
    """Return the origins with weights and quantiles that no error of their own went into.

    Those of earlier origins are used alone where there are two at least, or `strictly_earlier` is asked
    for; the first origins otherwise leave themselves out.
    """
    ordered = sorted(scored, key=lambda one: one.origin)
    told: list[OriginForecasts] = []
    strict: list[OriginForecasts] = []
    for one in ordered:
        horizon = pd.Timedelta(days=one.combined.shape[1])
        earlier = [other for other in strict if other.origin + horizon <= one.origin]
        strict.append(_weighted(one, weights_of(earlier)))
        if strictly_earlier or len(earlier) >= 2:
            told.append(_with_quantiles(strict[-1], earlier))
        else:
            others = [other for other in ordered if other is not one]
            weights = weights_of(others)
            told.append(_with_quantiles(_weighted(one, weights), [_weighted(other, weights) for other in others]))
    return told


def _weighted(one: OriginForecasts, weights: Weights) -> OriginForecasts:
    return replace(one, combined=combine(one.families, one.classes, weights), weights=weights, laid=None)


def _with_quantiles(one: OriginForecasts, others: Sequence[OriginForecasts]) -> OriginForecasts:
    laid = np.where(one.closed, 0.0, quantiles(one.combined, one.scale, one.classes, bands_of(others)))
    return replace(one, laid=np.where(np.isfinite(one.combined), laid, np.nan))


def weights_of(scored: Sequence[OriginForecasts]) -> Weights:
    """Return the weights that the errors at these origins give."""
    return learn((one.classes, one.actual, one.families) for one in scored)


def bands_of(scored: Sequence[OriginForecasts]) -> dict[DemandClass | None, tuple[IntervalBand, ...]]:
    """Return the interval bands that the errors of these origins give."""
    return calibrate((one.classes, one.scaled_errors) for one in scored)


def among(scored: Sequence[OriginForecasts], families: Collection[str]) -> list[OriginForecasts]:
    """Return the origins as if only these families had spoken; without intervals where that changes anything."""
    found = []
    for one in scored:
        left = {name: made for name, made in one.families.items() if name in families}
        changed = any(name not in families and not FAMILIES[name].gatekeeper for name in one.families)
        found.append(
            replace(one, combined=combine(left, one.classes, one.weights), laid=None) if changed and left else one
        )
    return found


def score(scored: Sequence[OriginForecasts], family: str | None = None, product: str | None = None) -> Metrics:
    """Return the metrics over origins: of a family or the combination, of one product or of all.

    MASE and RMSSE are means over products and origins, each scaled by its own history; the others pool all days.
    """
    parts = []
    for one in scored:
        rows = np.arange(len(one.products)) if product is None else np.array([one.row.get(product, -1)])
        rows = rows[rows >= 0]
        forecast = (one.combined if family is None else one.families[family])[rows]
        ends = (np.full_like(forecast, np.nan),) * 3
        if family is None and one.laid is not None:
            laid = one.laid[:, rows]
            ends = (laid[0], laid[-1], pinball_losses(one.actual[rows], laid))
        parts.append((one.actual[rows], forecast, one.difference[rows], one.squared[rows], *ends))
    if not parts:
        return Metrics(n=0)
    actual, forecast, difference, squared, *ends_and_losses = (np.concatenate(p) for p in zip(*parts, strict=True))
    with_range = np.isfinite(ends_and_losses[0]).any()
    known = dict(zip(("lower", "upper", "losses"), ends_and_losses, strict=True)) if with_range else {}
    total = measure(actual, forecast, **known)
    mase, rmsse = scaled_errors(actual, forecast, difference, squared)
    return total.model_copy(update={"mase": mase, "rmsse": rmsse})


def of_volume(scored: Sequence[OriginForecasts], *, few: bool) -> list[OriginForecasts]:
    """Return the origins with those products alone that are expected to sell few units a day, or the others.

    A product without a forecast is in neither.
    """
    return [one.take(sells(one.combined.mean(axis=1), few=few)) for one in scored]


def table(scored: Sequence[OriginForecasts], tenant_id: str) -> pd.DataFrame:
    """Return a row per product, origin and day, in units: actual, y_hat, lower, upper, and a column per family.

    `scale` is the mean absolute seasonal difference of the history, the divisor of MASE; `pinball` the loss of the
    day's quantiles.
    """
    frames = []
    for one in scored:
        n, h = one.combined.shape
        laid = np.full((len(LEVELS), n, h), np.nan) if one.laid is None else one.laid
        ahead = one.origin + pd.to_timedelta(np.tile(np.arange(1, h + 1), n), unit="D")
        frame = {
            "tenant_id": tenant_id,
            "product_id": np.repeat(np.array(one.products, object), h),
            "origin": one.origin,
            "date": ahead,
            "horizon": np.tile(np.arange(1, h + 1), n),
            "actual": one.actual.ravel(),
            "y_hat": one.combined.ravel(),
            "lower": laid[0].ravel(),
            "upper": laid[-1].ravel(),
            "scale": np.repeat(one.difference, h),
            "pinball": pinball_losses(one.actual, laid).ravel(),
        }
        frames.append(pd.DataFrame(frame | {name: made.ravel() for name, made in one.families.items()}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
