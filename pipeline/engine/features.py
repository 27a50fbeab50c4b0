"""The features of the pooled family, and of the `features` table: one definition for training and forecasting.

A day's features are computed from the days before it, one day at a time for all products at once. Training
and recursive forecasting call the same function, so they cannot differ, and a day's own sales, or anything
later, cannot enter: the function is only handed what came before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.engine.panel import Floats, Outlook, Panel

LAGS = (1, 2, 3, 7, 14, 21, 28, 364)
WINDOWS = (7, 28, 91)
SAME_WEEKDAYS = 4
DECAY = 0.7
MEMORY = 371
"""Days of history that the features of one day look back at."""
NO_SALE_CAP = 91.0
HOLIDAY_CAP = 14.0

TEMPORAL = (
    *(f"lag_{k}" for k in LAGS),
    *(f"mean_{k}" for k in WINDOWS),
    "level",
    "deviation_28",
    "largest_28",
    "zero_share_28",
    "smoothed",
    "same_weekday_mean",
    "same_weekday_ratio",
    "trend_7_28",
    "days_since_sale",
    "age_days",
)
IN_UNITS = (
    *(f"lag_{k}" for k in LAGS),
    *(f"mean_{k}" for k in WINDOWS),
    "level",
    "deviation_28",
    "largest_28",
    "smoothed",
    "same_weekday_mean",
)
CONTEXTUAL = (
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "week_of_year",
    "month",
    "is_weekend",
    "is_holiday",
    "holiday_tomorrow",
    "holiday_yesterday",
    "days_to_holiday",
    "days_from_holiday",
)
STATIC = ("product", "category", "location")
CATEGORICAL = ("day_of_week", *STATIC)


@dataclass(frozen=True)
class Codes:
    """Numbers for names, fixed when a model is fitted, so that they mean the same when it predicts."""

    product: dict[str, int]
    category: dict[str, int]
    location: dict[str, int]

    @classmethod
    def of(cls, panel: Panel) -> Codes:
        """Number the products, categories and locations of a panel in sorted order."""
        return cls(*(_numbered(values) for values in (panel.products, panel.category, panel.location)))

    def static(self, panel: Panel) -> Floats:
        """Return (n, 3) codes of each product's name, category and location; NaN for what was never seen."""
        pairs = (
            (self.product, panel.products),
            (self.category, panel.category),
            (self.location, panel.location),
        )
        return np.array([[codes.get(v or "", np.nan) for v in values] for codes, values in pairs], float).T


def names(outlook: Outlook) -> tuple[str, ...]:
    """Return the names of all features, in the order of the columns; covariates may be called like ours."""
    given = (f"given_{name}" for name in (*outlook.covariates, *outlook.by_product))
    return (*TEMPORAL, *CONTEXTUAL, *given, *STATIC)


class FeatureMaker:
    """Makes the features of any day for the products of a panel.

    Args:
        panel: gives the products and their first days.
        outlook: holidays and covariates; must cover every day that is asked for.
        codes: numbers of names.
    """

    def __init__(self, panel: Panel, outlook: Outlook, codes: Codes) -> None:
        self._first = panel.dates[0]
        self._started = panel.started
        self._static = codes.static(panel)
        self._context = _contextual(outlook)
        self._shared = np.array([outlook.covariates[k] for k in outlook.covariates]).reshape(-1, len(outlook.dates))
        self._own = _aligned(panel, outlook)
        self._offset = int((self._first - outlook.dates[0]).days)

    def day(self, past: Floats, column: int) -> Floats:
        """Return (n, f) features of the day `column` days after the panel's first.

        Args:
            past: (n, at least 1) units of the days before it, the last column the day before; NaN unobserved.
            column: number of the day on the panel's axis; may lie after its end.
        """
        n, at = len(self._started), column + self._offset
        return np.hstack(
            [
                _temporal(past[:, -MEMORY:]),
                np.maximum(column - self._started, 0)[:, None].astype(float),
                np.broadcast_to(self._context[at], (n, len(CONTEXTUAL))),
                np.broadcast_to(self._shared[:, at], (n, len(self._shared))),
                self._own[:, :, at].T.reshape(n, -1),
                self._static,
            ]
        )


def training_days(
    panel: Panel, outlook: Outlook, codes: Codes, first: int = 1, gaps: Sequence[int] = (0,)
) -> Iterator[tuple[int, int, npt.NDArray[np.bool_], Floats]]:
    """Yield (column, gap, (n,) observed, (n, f) features) for every day from `first` with at least one observation.

    The days take turns with the gaps: days right before them that are left out of sight.
    """
    maker, observed = FeatureMaker(panel, outlook, codes), panel.observed
    for column in range(max(first, 1), len(panel.dates)):
        gap = gaps[column % len(gaps)]
        if observed[:, column].any() and column > gap:
            yield column, gap, observed[:, column], maker.day(panel.quantity[:, : column - gap], column)


def _temporal(past: Floats) -> Floats:
    n, days = past.shape
    with np.errstate(invalid="ignore", divide="ignore"):
        lags = [past[:, days - k] if days >= k else np.full(n, np.nan) for k in LAGS]
        means = {k: _mean(past[:, -k:]) for k in (*WINDOWS,)}
        month = past[:, -28:]
        seen = np.isfinite(month)
        deviation = np.sqrt(_mean((month - means[28][:, None]) ** 2))
        largest = np.where(seen.any(axis=1), np.where(seen, month, -np.inf).max(axis=1), np.nan)
        zeros = _mean(np.where(seen, month == 0, np.nan))
        weights = DECAY ** np.arange(month.shape[1] - 1, -1, -1)
        smoothed = (np.where(seen, month, 0.0) @ weights) / (seen @ weights)
        same = _mean(past[:, days - np.array([7 * k for k in range(1, SAME_WEEKDAYS + 1) if 7 * k <= days], int)])
        level = _known(means[28], means[91], lambda: _mean(past))
        columns = [*lags, *means.values(), level, deviation, largest, zeros, smoothed, same, same / means[28]]
        columns += [means[7] / means[28], _days_since_sale(past[:, -int(NO_SALE_CAP) :])]
    values = np.column_stack(columns)
    values[~np.isfinite(values)] = np.nan
    return values


def _known(near: Floats, wider: Floats, widest: Callable[[], Floats]) -> Floats:
    """(n,): the first of the three that is known; the last is only computed where it is needed."""
    found = np.where(np.isfinite(near), near, wider)
    return found if np.isfinite(found).all() else np.where(np.isfinite(found), found, widest())


def _mean(block: Floats) -> Floats:
    """(n,) mean of the observed values of each row; NaN where there is none."""
    seen = np.isfinite(block)
    count = np.where(seen.any(axis=1), seen.sum(axis=1), np.nan)
    return np.asarray(np.where(seen, block, 0.0).sum(axis=1) / count)


def _days_since_sale(past: Floats) -> Floats:
    sold = np.nan_to_num(past[:, ::-1]) > 0
    return np.where(sold.any(axis=1), sold.argmax(axis=1) + 1.0, NO_SALE_CAP)


def _contextual(outlook: Outlook) -> Floats:
    """(t, len(CONTEXTUAL)) of every day of the outlook."""
    dates, days = outlook.dates, len(outlook.dates)
    holiday = np.zeros(days, bool)
    for on in outlook.holidays.values():
        holiday |= on
    flag = holiday.astype(float)
    return np.column_stack(
        [
            dates.dayofweek,
            dates.day,
            dates.dayofyear,
            dates.isocalendar().week.to_numpy(float),
            dates.month,
            dates.dayofweek >= 5,
            flag,
            np.append(flag[1:], 0.0),
            np.append(0.0, flag[:-1]),
            _distance(holiday[::-1])[::-1],
            _distance(holiday),
        ]
    ).astype(float)


def _distance(holiday: npt.NDArray[np.bool_]) -> Floats:
    """Days since the last holiday, at most HOLIDAY_CAP."""
    index = np.arange(len(holiday))
    last = np.maximum.accumulate(np.where(holiday, index, -(10**6)))
    return np.minimum(index - last, HOLIDAY_CAP).astype(float)


def _aligned(panel: Panel, outlook: Outlook) -> Floats:
    """(covariates, n, t): the covariates by product in the order of the panel's products."""
    if not outlook.by_product:
        return np.empty((0, len(panel.products), len(outlook.dates)))
    row = pd.Index(outlook.products).get_indexer(pd.Index(panel.products))
    stacked = np.array(list(outlook.by_product.values()))
    return np.where((row >= 0)[None, :, None], stacked[:, row], np.nan)


def _numbered(values: tuple[str | None, ...]) -> dict[str, int]:
    return {v: i for i, v in enumerate(sorted({v or "" for v in values}))}
