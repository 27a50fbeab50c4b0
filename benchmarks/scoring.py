"""How every system is scored: rolling origins, 14 days ahead, the same rows and the same formulas for all.

A product counts at an origin when its first row lies at least 90 days back and it sold on at least 5 of the last 90
days. Every day without a row is a day without sales, from a product's first row on, whatever the reason. A forecast
that is missing counts as zero, and one below zero as zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HORIZON = 14
MIN_DAYS, RECENT_DAYS, ACTIVE_DAYS = 90, 90, 5
SEASON, SCALE_DAYS = 7, 371
"""The scales of MASE and RMSSE are those of repeating last week, over the 371 days up to the origin."""
BUSY = 5.0
"""Units a day, over the last 90 days, from which a product's range is judged by its coverage."""
LOWER, UPPER = 0.05, 0.95


@dataclass(frozen=True)
class Daily:
    """Daily sales: (n, t) `units` of n products over t days without gaps, NaN before a product's first row."""

    products: tuple[str, ...]
    dates: pd.DatetimeIndex
    units: Floats

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Daily:
        """Lay out a table of `product, date, units`; several rows of a day are added up."""
        sums = rows.groupby(["product", "date"], as_index=False)["units"].sum()
        wide = sums.pivot(index="product", columns="date", values="units").sort_index()
        wide = wide.reindex(columns=pd.date_range(sums["date"].min(), sums["date"].max()))
        units = wide.to_numpy(float)
        begun = np.isfinite(units).cumsum(axis=1) > 0
        filled = np.where(begun, np.nan_to_num(units), np.nan)
        return cls(tuple(map(str, wide.index)), pd.DatetimeIndex(wide.columns), filled)

    def origins(self, count: int) -> list[pd.Timestamp]:
        """Return the last days that forecasts may see: `count` of them, 14 days apart, the last 14 before the end."""
        return [self.dates[-1] - pd.Timedelta(days=HORIZON * k) for k in range(count, 0, -1)]

    def until(self, origin: pd.Timestamp) -> Floats:
        """Return the (n, days) units up to an origin."""
        return self.units[:, : int(self.dates.searchsorted(origin, side="right"))]

    def eligible(self, origin: pd.Timestamp) -> Bools:
        """Return which products count at an origin."""
        past = self.until(origin)
        old = np.isfinite(past).sum(axis=1) >= MIN_DAYS
        return np.asarray(old & ((past[:, -RECENT_DAYS:] > 0).sum(axis=1) >= ACTIVE_DAYS))

    def long(self, origin: pd.Timestamp) -> pd.DataFrame:
        """Return the days up to an origin of the products that count: `unique_id, ds, y`, as the peers expect them."""
        past, which = self.until(origin), np.flatnonzero(self.eligible(origin))
        row, day = np.nonzero(np.isfinite(past[which]))
        ids = np.array(self.products, object)[which]
        return pd.DataFrame({"unique_id": ids[row], "ds": self.dates[day], "y": past[which][row, day]})


@dataclass(frozen=True)
class Scores:
    """Errors over all products, origins and days; `pairs` is the number of products, summed over origins."""

    wape: float
    mase: float
    rmsse: float
    bias: float
    pairs: int


@dataclass(frozen=True)
class Ranges:
    """How well ranges of 0.05 to 0.95 held.

    `coverage`: share of the days inside, products of at least 5 units a day. For the smaller ones, whose whole numbers
    over-cover: `below_upper`, share of the days not above the upper end, and the mean interval score over the mean
    sale (`interval`), beside that of the product's own last 90 days (`interval_of_past`). NaN where there are no such
    days.
    """

    coverage: float
    below_upper: float
    interval: float
    interval_of_past: float


@dataclass(frozen=True)
class _Scored:
    """The days after one origin, of the n products that count there."""

    past: Floats
    actual: Floats
    forecast: dict[str, Floats]


def score(sales: Daily, forecasts: pd.DataFrame, count: int, products: frozenset[str] | None = None) -> Scores:
    """Return the errors of forecasts at the last `count` origins.

    Args:
        sales: what was sold.
        forecasts: a row for each `product, origin, date`, with `y_hat` in units.
        count: number of origins.
        products: only these, and only where they count; None: all.

    Raises:
        ValueError: a product, origin and day stands twice.
    """
    errors, sold, made, mase, rmsse, pairs = 0.0, 0.0, 0.0, [], [], 0
    for one in _scored(sales, forecasts, count, ("y_hat",), products):
        forecast = np.nan_to_num(one.forecast["y_hat"]).clip(min=0)
        error = np.abs(one.actual - forecast)
        errors, sold, made = errors + error.sum(), sold + one.actual.sum(), made + forecast.sum()
        pairs += len(error)
        window = one.past[:, -SCALE_DAYS:]
        change = window[:, SEASON:] - window[:, :-SEASON]
        moved = (np.nan_to_num(change) != 0).any(axis=1)
        usual = np.nanmean(np.abs(change[moved]), axis=1)
        mase.extend(error[moved].mean(axis=1) / usual)
        rmsse.extend(np.sqrt((error[moved] ** 2).mean(axis=1) / np.nanmean(change[moved] ** 2, axis=1)))
    if not sold:
        raise ValueError("nothing was sold on the days to be scored: no error can be given")
    return Scores(errors / sold, float(np.mean(mase)), float(np.mean(rmsse)), (made - sold) / sold, pairs)


def ranges(sales: Daily, forecasts: pd.DataFrame, count: int) -> Ranges:
    """Return how the ranges `lower` to `upper` of forecasts held; days without a range are left out."""
    inside, under, losses, losses_past, small = [], [], [], [], []
    for one in _scored(sales, forecasts, count, ("lower", "upper")):
        lower, upper = one.forecast["lower"], one.forecast["upper"]
        recent = one.past[:, -RECENT_DAYS:]
        known = np.isfinite(lower) & np.isfinite(upper)
        busy = (recent.mean(axis=1) >= BUSY)[:, None]
        inside.append(((one.actual >= lower) & (one.actual <= upper))[known & busy])
        rest = known & ~busy
        under.append((one.actual <= upper)[rest])
        ends = np.quantile(recent, (LOWER, UPPER), axis=1)[:, :, None]
        losses.append(interval_scores(one.actual, lower, upper)[rest])
        losses_past.append(interval_scores(one.actual, ends[0], ends[1])[rest])
        small.append(one.actual[rest])
    sold = _mean(small)
    return Ranges(_mean(inside), _mean(under), _mean(losses) / sold, _mean(losses_past) / sold)


def _scored(
    sales: Daily,
    forecasts: pd.DataFrame,
    count: int,
    columns: tuple[str, ...],
    products: frozenset[str] | None = None,
) -> Iterator[_Scored]:
    if forecasts.duplicated(["product", "origin", "date"]).any():
        raise ValueError("a product, origin and day is forecast twice")
    wanted = np.array([products is None or product in products for product in sales.products])
    for origin in sales.origins(count):
        rows = np.flatnonzero(sales.eligible(origin) & wanted)
        made = forecasts[forecasts["origin"] == origin]
        row = pd.Index(np.array(sales.products, object)[rows]).get_indexer(pd.Index(made["product"]))
        day = (made["date"] - origin).dt.days.to_numpy() - 1
        ours = (row >= 0) & (day >= 0) & (day < HORIZON)
        given = {name: np.full((len(rows), HORIZON), np.nan) for name in columns}
        for name, block in given.items():
            block[row[ours], day[ours]] = made[name].to_numpy(float)[ours]
        start = sales.until(origin).shape[1]
        yield _Scored(sales.units[rows, :start], sales.units[rows, start : start + HORIZON], given)


def interval_scores(actual: Floats, lower: Floats, upper: Floats) -> Floats:
    """Width, and 20 units for each unit outside (Gneiting and Raftery 2007): 20 times the ends' pinball losses."""
    outside = np.maximum(lower - actual, 0) + np.maximum(actual - upper, 0)
    return np.asarray(upper - lower + 2 / (LOWER + 1 - UPPER) * outside)


def _mean(parts: list[npt.NDArray[np.generic]]) -> float:
    every = np.concatenate(parts)
    return float(every.mean()) if every.size else float("nan")
