"""From the daily sales table to a panel: what was sold, what was zero, closed, unknown or masked.

Unknown is not zero. A day without a row is zero for a product when its shop sold anything else; a day
on which the whole shop sold nothing is *closed* when a rule says so and *unknown* otherwise. A shop too
small for its silence to mean anything (see `SILENCE_UNITS`) has zeros instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.engine.panel import Bools, Floats, Ints, Outlook, Panel, Status
from pipeline.errors import DataError

SILENCE_UNITS = 10.0
"""Units on a usual day from which a shop's day without any sale is no chance: Poisson e^-10."""
SEASON = 7
NEIGHBOUR_WEEKS = 8
MOSTLY = 0.5


@dataclass(frozen=True)
class Ledgered:
    """Daily sales of n products as dense arrays over t days, before anything is concluded from them.

    `quantity` (n, t) units, 0 without a row; `present` (n, t) a row was there; `masked` (n, t) sold out
    or not on sale. A shop is a location; the last one is the tenant as a whole, for products that several
    locations sell: `shop` (n,) number of each product's; `shop_total` (shops, t) units of all its products;
    `shop_reported` (shops, t) any row was there.
    """

    products: tuple[str, ...]
    dates: pd.DatetimeIndex
    quantity: Floats
    present: Bools
    masked: Bools
    shop: Ints
    shop_total: Floats
    shop_reported: Bools
    category: tuple[str | None, ...]
    location: tuple[str | None, ...]
    name: tuple[str | None, ...]


def lay_out(daily: pd.DataFrame, last: pd.Timestamp | None = None) -> Ledgered:
    """Lay the daily sales table out as dense arrays.

    Args:
        daily: a row per product, date and location: `product_id, date, quantity` and, where known,
            `location_id, category, product_name, unit_price, sold_out, available`.
        last: last day of the axis; the table's last when None. Later rows are left out.

    Raises:
        DataError: the table has no row up to `last`.
    """
    rows = daily if last is None else daily[daily["date"] <= last]
    if rows.empty:
        raise DataError(f"no sales up to {'the end' if last is None else last.date()}: nothing can be forecast")
    labels, products = pd.factorize(rows["product_id"], sort=True)
    codes = labels.astype(np.int64)
    dates = pd.date_range(rows["date"].min(), last if last is not None else rows["date"].max(), freq="D")
    column = (rows["date"] - dates[0]).dt.days.to_numpy(np.int64)
    shape = (len(products), len(dates))
    quantity, present, masked = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    np.add.at(quantity, (codes, column), rows["quantity"].to_numpy(float))
    present[codes, column] = True
    off_sale = _off_sale(rows)
    masked[codes[off_sale], column[off_sale]] = True
    return Ledgered(
        tuple(str(p) for p in products),
        dates,
        quantity,
        present,
        masked,
        *_shops(rows, codes, column.astype(np.int64), shape),
        category=_only_value(rows, codes, len(products), "category"),
        location=_only_value(rows, codes, len(products), "location_id"),
        name=_only_value(rows, codes, len(products), "product_name"),
    )


def observe(sales: Ledgered, outlook: Outlook, origin: pd.Timestamp | None = None) -> Panel:
    """Return the panel as it stood at the end of `origin`; nothing later is looked at.

    Args:
        sales: the laid-out sales.
        outlook: holidays and configured closings; its dates cover the sales' dates up to the origin.
        origin: last day of the panel; the sales' last day when None.
    """
    stop = len(sales.dates) if origin is None else int(sales.dates.searchsorted(origin, side="right"))
    cut = replace(
        sales,
        dates=sales.dates[:stop],
        quantity=sales.quantity[:, :stop],
        present=sales.present[:, :stop],
        masked=sales.masked[:, :stop],
        shop_total=sales.shop_total[:, :stop],
        shop_reported=sales.shop_reported[:, :stop],
    )
    status = np.where(cut.quantity > 0, Status.SOLD, Status.ZERO).astype(np.int8)
    for shop in np.unique(cut.shop):
        _judge_silence(cut, outlook, int(shop), status)
    status[cut.masked] = Status.MASKED
    begun = np.cumsum(cut.present, axis=1) > 0
    status[~begun] = Status.BEFORE
    observed = (status == Status.SOLD) | (status == Status.ZERO)
    return Panel(
        cut.products,
        cut.dates,
        np.where(observed, cut.quantity, np.nan),
        status,
        cut.category,
        cut.location,
        cut.name,
    )


def _judge_silence(sales: Ledgered, outlook: Outlook, shop: int, status: npt.NDArray[np.int8]) -> None:
    """Mark the days on which a whole shop sold nothing, in place, for the products that belong to it."""
    members, total = np.flatnonzero(sales.shop == shop), sales.shop_total[shop]
    open_days = total > 0
    if not open_days.any():
        return
    silent = ~open_days
    silent[: int(open_days.argmax())] = False
    status[members, : int(open_days.argmax())] = Status.BEFORE
    if np.median(total[open_days]) < SILENCE_UNITS:
        return
    closed = silent & (sales.shop_reported[shop] | _known_closed(outlook, sales.dates) | _weekday_closed(silent))
    status[np.ix_(members, np.flatnonzero(silent & ~closed))] = Status.UNKNOWN
    status[np.ix_(members, np.flatnonzero(closed))] = Status.CLOSED


def _known_closed(outlook: Outlook, dates: pd.DatetimeIndex) -> Bools:
    at = outlook.dates.get_indexer(dates)
    closed = np.zeros(len(outlook.dates), bool) if outlook.closed is None else outlook.closed.copy()
    for days in outlook.holidays.values():
        closed |= days
    return np.where(at >= 0, closed[at], False)


def _weekday_closed(silent: Bools) -> Bools:
    """Days whose weekday was silent in at least half of the neighbouring weeks on both sides."""
    weeks = range(-NEIGHBOUR_WEEKS, NEIGHBOUR_WEEKS + 1)
    same = np.vstack([_shift(silent.astype(float), SEASON * k) for k in weeks if k])
    seen = np.isfinite(same).sum(axis=0)
    return np.asarray((seen > 0) & (np.nansum(same, axis=0) >= MOSTLY * seen))


def _shift(values: Floats, by: int) -> Floats:
    """The values of the days `by` days earlier; NaN where the axis does not reach."""
    padded = np.pad(values, abs(by), constant_values=np.nan)
    start = abs(by) - by
    return padded[start : start + len(values)]


def _shops(rows: pd.DataFrame, codes: Ints, column: Ints, shape: tuple[int, int]) -> tuple[Ints, Floats, Bools]:
    """(n,) shop of each product, (shops, t) units and (shops, t) rows of each shop, the whole tenant last."""
    named = rows["location_id"] if "location_id" in rows else pd.Series(None, index=rows.index, dtype=object)
    places, found = pd.factorize(named.astype(object).where(named.notna(), ""))
    whole = len(found)
    total, reported = np.zeros((whole + 1, shape[1])), np.zeros((whole + 1, shape[1]), bool)
    units = rows["quantity"].to_numpy(float)
    for place in (places, np.full(len(rows), whole)):
        np.add.at(total, (place, column), units)
        reported[place, column] = True
    pairs = pd.DataFrame({"code": codes, "place": places}).drop_duplicates()
    single = pairs[~pairs["code"].duplicated(keep=False)]
    shop = np.full(shape[0], whole)
    shop[single["code"]] = single["place"]
    return shop.astype(np.int64), total, reported


def _off_sale(rows: pd.DataFrame) -> Bools:
    """Rows of sold-out or unavailable days, or without a price where prices are given."""
    off = np.zeros(len(rows), bool)
    if "sold_out" in rows:
        off |= rows["sold_out"].fillna(value=False).to_numpy(bool)
    if "available" in rows:
        off |= ~rows["available"].fillna(value=True).to_numpy(bool)
    if "unit_price" in rows and rows["unit_price"].notna().mean() > 0.5:
        off |= (rows["unit_price"].isna() & (rows["quantity"] == 0)).to_numpy(bool)
    return off


def _only_value(rows: pd.DataFrame, codes: Ints, n: int, column: str) -> tuple[str | None, ...]:
    """A product's value in a column, None where it has none or several."""
    found: list[str | None] = [None] * n
    if column not in rows:
        return tuple(found)
    pairs = pd.DataFrame({"code": codes, "value": rows[column].to_numpy()}).dropna().drop_duplicates()
    single = pairs[~pairs["code"].duplicated(keep=False)]
    for code, value in zip(single["code"], single["value"], strict=True):
        found[code] = str(value)
    return tuple(found)
