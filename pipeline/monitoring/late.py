"""How many days of a tenant's sales have not arrived: open days without any row, from a shop's last row to yesterday.

Unknown days in the past raise no alarm; those at the end of the history are exactly the sales that are late. What is
closed, by the tenant's file, its holidays or its habit, is not late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from contracts import Tenant
from pipeline.engine.closing import closed_ahead
from pipeline.engine.observe import SILENCE_UNITS, lay_out, observe
from pipeline.engine.outlook import to_outlook
from pipeline.engine.panel import Outlook
from pipeline.sources.calendar import build_calendar

ALL = "(all)"
"""The shop of a product that several locations sell: the tenant as a whole."""
RECENT_DAYS = 90


@dataclass(frozen=True)
class Late:
    """Of one shop: its last day with a row, the open days since, and the units that these usually sell."""

    last: pd.Timestamp
    open_days: int
    units: float
    given_up: bool = False
    """No row for RECENT_DAYS while other locations of the tenant sell."""

    @property
    def telling(self) -> bool:
        """Whether the silence means that sales are late: a shop that sells a loaf a week is silent by chance."""
        return self.units >= SILENCE_UNITS and not self.given_up

    def __str__(self) -> str:
        """A line for people."""
        if not self.open_days:
            return f"sales up to {self.last.date()}"
        why = "" if self.telling else ", which may be chance in a shop that sells so little"
        why = ", while other locations sell: given up" if self.given_up else why
        return f"sales up to {self.last.date()}, then {self.open_days} open days without a row{why}"


def late_shops(tenant: Tenant, daily: pd.DataFrame, yesterday: pd.Timestamp) -> dict[str, Late]:
    """Return by shop how late its sales are; a shop is a location, `ALL` the tenant as a whole.

    Args:
        tenant: its closing days, holidays and place.
        daily: the daily table up to the last complete day: `product_id, date, location_id, quantity`; a row without a
            location has that of no name.
        yesterday: the last day that is over by the tenant's clock.

    Raises:
        UnknownCountryError: no holidays are known for the tenant's country or region.
    """
    by_day = daily.groupby(["location_id", "date"], as_index=False, observed=True)["quantity"].sum()
    whole = by_day.groupby("date", as_index=False)["quantity"].sum()
    bare = tenant.model_copy(update={"covariates": None})
    ahead = max((yesterday - whole["date"].min()).days, 0)
    calendar = build_calendar(bare, whole, whole["date"].min(), ahead)
    outlook = to_outlook(calendar, (ALL,))
    shops = {str(place): rows for place, rows in by_day.groupby("location_id", observed=True)}
    newest = pd.Timestamp(whole["date"].max())
    return {place: _late(rows, outlook, yesterday, newest) for place, rows in {**shops, ALL: whole}.items()}


def _late(rows: pd.DataFrame, outlook: Outlook, yesterday: pd.Timestamp, newest: pd.Timestamp) -> Late:
    last = pd.Timestamp(rows["date"].max())
    ahead = max((yesterday - last).days, 0)
    if not ahead:
        return Late(last, 0, 0.0)
    # The axis ends with the shop's own last row: a silence of weeks must not pass for a habit.
    panel = observe(lay_out(rows[["date", "quantity"]].assign(product_id=ALL), last), outlook)
    open_days = int((~closed_ahead(panel, outlook, ahead)).sum())
    recent = panel.quantity[0, -RECENT_DAYS:]
    usual = float(np.nanmean(recent)) if np.isfinite(recent).any() else 0.0
    return Late(last, open_days, usual * open_days, given_up=(newest - last).days > RECENT_DAYS)


def shop_of(daily: pd.DataFrame) -> pd.Series:
    """Return each product's shop, by product: its one location, or `ALL`."""
    pairs = daily[["product_id", "location_id"]].drop_duplicates()
    by_product = pairs["location_id"].astype(object).groupby(pairs["product_id"].astype(object))
    return by_product.first().where(by_product.size() == 1, ALL)
