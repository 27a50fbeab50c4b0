"""Forecasts that were really issued, held against what was sold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from contracts import Metrics
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.metrics import pinball_losses, seasonal_scales
from pipeline.engine.panel import Outlook, Panel
from pipeline.forecasting.issued import KEY
from pipeline.forecasting.ladder import QUANTILE_COLUMNS
from pipeline.training.evaluation import measured


@dataclass(frozen=True)
class Realised:
    """How the forecasts of one product came out, or those of all: `product_id` is None then.

    `naive` are the seasonal naive's figures on the same days; `left_out` counts days with a forecast that are not
    scored: closed, sold out, not on sale or unknown.
    """

    product_id: str | None
    metrics: Metrics
    naive: Metrics
    left_out: int


def in_hand(issued: pd.DataFrame, timezone: str, ahead: int = 1) -> pd.DataFrame:
    """Return for each product and day the one forecast that was in hand: the last one that was made in time.

    In time is what was made before the day was over by the tenant's clock, from an origin that lies `ahead` days before
    it or more: what the night before it said counts, what was made afterwards never does.

    Args:
        issued: rows as `issued_about` returns them, of any number of origins.
        timezone: the tenant's, such as Europe/Madrid.
        ahead: days from the origin to the day, at least.
    """
    made_on = issued["issued_at"].dt.tz_convert(timezone).dt.tz_localize(None).dt.normalize()
    far_enough = issued["origin"] <= issued["date"] - pd.Timedelta(days=ahead)
    in_time: pd.Series[bool] = far_enough & (made_on <= issued["date"])
    ordered = issued[in_time].sort_values([*KEY, "issued_at", "origin"], kind="stable")
    return ordered.drop_duplicates(KEY, keep="last").reset_index(drop=True)


def realised(forecasts: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Return the forecasts, a row each, beside what came true; as the table `evaluation` has it, and more.

    The columns of the forecasts stay, but `horizon` is told anew from `date` and `origin`. To them come, in units:

    - `actual`: what was sold; NaN where the day is no observation, and for days after the panel's last;
    - `seasonal_naive`: what repeating the last observed same weekday would have said, from the same origin;
    - `scale`: mean absolute seasonal difference of the history up to the origin, the divisor of MASE;
    - `pinball`: loss of the day's quantiles.

    Forecasts of products that the panel does not hold, or from origins outside its days, are left out: they are of
    another history.

    Args:
        forecasts: rows as the contract ForecastRow; `date` and `origin` datetime64[ns].
        panel: daily sales, observed at any later day. No naive and no scale sees a day after its origin.
    """
    known = forecasts["product_id"].isin(panel.products) & forecasts["origin"].between(panel.dates[0], panel.last)
    table = forecasts[known].reset_index(drop=True)
    table = table.assign(horizon=(table["date"] - table["origin"]).dt.days)
    rows = pd.Index(panel.products).get_indexer(pd.Index(table["product_id"]))
    columns = panel.dates.get_indexer(pd.DatetimeIndex(table["date"]))
    # A day after the panel's last has column -1, which is another day.
    actual = np.where(columns >= 0, panel.quantity[rows, columns], np.nan)
    naive, scale = np.full(len(table), np.nan), np.full(len(table), np.nan)
    for origin in table["origin"].unique():
        at = np.flatnonzero(table["origin"] == origin)
        history, ahead = panel.until(pd.Timestamp(origin)), table["horizon"].to_numpy()[at]
        outlook = Outlook(history.dates)
        repeated = FAMILIES["seasonal_naive"].fit(history, outlook, Recipe()).predict(history, outlook, ahead.max())
        naive[at] = repeated[rows[at], ahead - 1]
        scale[at] = seasonal_scales(history)[0][rows[at]]
    laid = table[list(QUANTILE_COLUMNS)].to_numpy(float).T
    return table.assign(actual=actual, seasonal_naive=naive, scale=scale, pinball=pinball_losses(actual, laid))


def figures(table: pd.DataFrame) -> list[Realised]:
    """Return the figures of each product of a table of `realised`, the largest WAPE first, and of all of them last.

    Products that have no WAPE come after the others. MASE is the mean over origins, each scaled by its own history, and
    in the last row over products and origins; RMSSE is None. All other figures pool the days.
    """
    products = [_of(part, str(product)) for product, part in table.groupby("product_id")]
    worst = sorted(products, key=lambda one: -np.inf if one.metrics.wape is None else one.metrics.wape, reverse=True)
    return [*worst, _of(table, None)]


def _of(table: pd.DataFrame, product_id: str | None) -> Realised:
    metrics, naive = measured(table)
    return Realised(product_id, metrics, naive, len(table) - metrics.n)
