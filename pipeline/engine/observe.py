"""From the daily sales table to a panel: what was sold, what was zero, closed, unknown or masked.

Unknown is not zero. A day without a row is zero for a product when its shop sold anything else; a day
on which the whole shop sold nothing is *closed* when a rule says so and *unknown* otherwise. A shop too
small for its silence to mean anything (see `SILENCE_UNITS`) has zeros instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.engine.labels import Label, label
from pipeline.engine.panel import Bools, Floats, Ints, Outlook, Panel, Status, Statuses, is_observed
from pipeline.errors import DataError

SILENCE_UNITS = 10.0
"""Units on a usual day from which a shop's day without any sale is no chance: Poisson e^-10."""
LONGEST_SILENCE_DAYS = 400
"""Days without a row of the whole tenant after which its history begins anew: a mistyped year, or another life."""
SEASON = 7
NEIGHBOUR_WEEKS = 8
MOSTLY = 0.5


@dataclass(frozen=True)
class Ledgered:
    """Daily sales of n products as dense arrays over t days, before anything is concluded from them.

    `quantity` (n, t) units, 0 without a row; `present` (n, t) a row was there; `masked` (n, t) sold out
    or not on sale; `unpriced` (n, t) a row of zero without a price; `rows` (t,) the rows of each day, and
    `priced` (t,) those of them that have a price. A shop is a location; the last one is the tenant as a
    whole, for products that several locations sell: `shop` names each product's; `shop_total` (shops, t)
    units of all its products; `shop_reported` (shops, t) any row was there.
    """

    products: tuple[str, ...]
    dates: pd.DatetimeIndex
    quantity: Floats
    present: Bools
    masked: Bools
    unpriced: Bools
    rows: Ints
    priced: Ints
    shop: Label
    shop_total: Floats
    shop_reported: Bools
    category: Label
    location: Label
    name: Label

    def since(self, first: pd.Timestamp) -> Ledgered:
        """Return the sales from the first row of `first` or later on; the last day stays, whatever `first` is.

        Products stay, also those without a row left. Shops and labels are what all rows, the earlier ones too, say.
        """
        start = min(int(self.dates.searchsorted(first)), len(self.dates) - 1)
        start += int((self.rows[start:] > 0).argmax())
        return replace(
            self,
            dates=self.dates[start:],
            quantity=self.quantity[:, start:],
            present=self.present[:, start:],
            masked=self.masked[:, start:],
            unpriced=self.unpriced[:, start:],
            rows=self.rows[start:],
            priced=self.priced[start:],
            shop=self.shop.since_column(start),
            shop_total=self.shop_total[:, start:],
            shop_reported=self.shop_reported[:, start:],
            category=self.category.since_column(start),
            location=self.location.since_column(start),
            name=self.name.since_column(start),
        )


def lay_out(daily: pd.DataFrame, last: pd.Timestamp | None = None) -> Ledgered:
    """Lay the daily sales table out as dense arrays.

    Args:
        daily: a row per product, date and location: `product_id, date, quantity` and, where known,
            `location_id, category, product_name, unit_price, sold_out, available`.
        last: last day of the axis; the table's last when None. Later rows are left out.

    What lies before a silence of LONGEST_SILENCE_DAYS is left out; its products stay, without a day.

    Raises:
        DataError: the table has no row up to `last`.
    """
    rows = daily if last is None else daily[daily["date"] <= last]
    if rows.empty:
        raise DataError(f"no sales up to {'the end' if last is None else last.date()}: nothing can be forecast")
    codes, products = pd.factorize(rows["product_id"], sort=True)
    recent = (rows["date"] >= _beginning(rows["date"])).to_numpy()
    rows, codes = rows[recent], codes[recent]
    dates = pd.date_range(rows["date"].min(), last if last is not None else rows["date"].max(), freq="D")
    column = (rows["date"] - dates[0]).dt.days.to_numpy()
    at = _Cells(codes.astype(np.int64), column.astype(np.int64), (len(products), len(dates)))
    location, category, name = (_texts(rows, of) for of in ("location_id", "category", "product_name"))
    # Rows without a location are a shop, too: a till that names none, beside some that do.
    place = location.where(location.notna(), "")
    unpriced, priced = _prices(rows, at)
    units = rows["quantity"].to_numpy(float)
    total, reported = _shops(place, units, at)
    return Ledgered(
        products=tuple(str(p) for p in products),
        dates=dates,
        quantity=at.sums(units),
        present=at.marks(),
        masked=at.marks(_off_sale(rows)),
        unpriced=unpriced,
        rows=np.bincount(at.column, minlength=len(dates)),
        priced=priced,
        shop=label(place, at.row, at.column, at.shape),
        shop_total=total,
        shop_reported=reported,
        category=label(category, at.row, at.column, at.shape),
        location=label(location, at.row, at.column, at.shape),
        name=label(name, at.row, at.column, at.shape),
    )


def _beginning(dates: pd.Series[pd.Timestamp]) -> pd.Timestamp:
    """The first day after the last long silence."""
    days = np.sort(dates.unique())
    long = np.flatnonzero(np.diff(days) > np.timedelta64(LONGEST_SILENCE_DAYS, "D"))
    return pd.Timestamp(days[long[-1] + 1 if len(long) else 0])


def observe(sales: Ledgered, outlook: Outlook, origin: pd.Timestamp | None = None) -> Panel:
    """Return the panel as it stood at the end of `origin`; nothing later is looked at.

    Args:
        sales: the laid-out sales.
        outlook: holidays and configured closings; its dates cover the sales' dates up to the origin.
        origin: last day of the panel; the sales' last day when None.
    """
    stop = len(sales.dates) if origin is None else int(sales.dates.searchsorted(origin, side="right"))
    dates, quantity, last = sales.dates[:stop], sales.quantity[:, :stop], stop - 1
    shops = np.array([_judge_silence(sales, outlook, shop, stop) for shop in range(len(sales.shop_total))])
    # Without a shop of its own, -1, a product has the last one: the tenant as a whole.
    shop_status = shops[sales.shop.codes_as_of(last)]
    status = np.where(is_observed(shop_status), np.where(quantity > 0, Status.SOLD, Status.ZERO), shop_status)
    status = status.astype(np.int8)
    status[sales.masked[:, :stop]] = Status.MASKED
    if sales.priced[:stop].sum() > MOSTLY * sales.rows[:stop].sum():
        status[sales.unpriced[:, :stop]] = Status.MASKED
    begun = np.cumsum(sales.present[:, :stop], axis=1) > 0
    status[~begun] = Status.BEFORE
    return Panel(
        sales.products,
        dates,
        np.where(is_observed(status), quantity, np.nan),
        status,
        sales.category.as_of(last),
        sales.location.as_of(last),
        sales.name.as_of(last),
        shop_status,
    )


def _judge_silence(sales: Ledgered, outlook: Outlook, shop: int, stop: int) -> Statuses:
    """(stop,): what each day was for a whole shop; `SOLD` when it sold anything."""
    total = sales.shop_total[shop, :stop]
    open_days = total > 0
    status = np.where(open_days, Status.SOLD, Status.ZERO).astype(np.int8)
    if not open_days.any():
        return status
    opening = int(open_days.argmax())
    silent = ~open_days
    silent[:opening] = False
    status[:opening] = Status.BEFORE
    if np.median(total[open_days]) < SILENCE_UNITS:
        return status
    reported, known = sales.shop_reported[shop, :stop], _known_closed(outlook, sales.dates[:stop])
    closed = silent & (reported | known | _weekday_closed(silent))
    status[silent] = Status.UNKNOWN
    status[closed] = Status.CLOSED
    return status


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


@dataclass(frozen=True)
class _Cells:
    """Where each of the table's rows lies in arrays of `shape`: (rows,) numbers of its row and its column."""

    row: Ints
    column: Ints
    shape: tuple[int, int]

    def sums(self, values: Floats) -> Floats:
        """Return the sum of the rows' values in each cell."""
        total = np.zeros(self.shape)
        np.add.at(total, (self.row, self.column), values)
        return total

    def marks(self, chosen: Bools | slice = slice(None)) -> Bools:
        """Return the cells that one of the chosen rows lies in."""
        marked = np.zeros(self.shape, bool)
        marked[self.row[chosen], self.column[chosen]] = True
        return marked


def _texts(rows: pd.DataFrame, column: str) -> pd.Series:
    return rows[column].astype(object) if column in rows else pd.Series(None, index=rows.index, dtype=object)


def _shops(places: pd.Series, units: Floats, at: _Cells) -> tuple[Floats, Bools]:
    """(shops, t) units and (shops, t) rows of each place, the whole tenant last."""
    number, found = pd.factorize(places)
    by_place = replace(at, row=number, shape=(len(found), at.shape[1]))
    total, reported = by_place.sums(units), by_place.marks()
    return np.vstack([total, total.sum(axis=0)]), np.vstack([reported, reported.any(axis=0)])


def _prices(rows: pd.DataFrame, at: _Cells) -> tuple[Bools, Ints]:
    """(n, t) rows of zero without a price, and (t,) how many of each day's rows have one."""
    if "unit_price" not in rows:
        return np.zeros(at.shape, bool), np.zeros(at.shape[1], np.int64)
    given = rows["unit_price"].notna().to_numpy(bool)
    priced = np.bincount(at.column[given], minlength=at.shape[1])
    return at.marks(~given & (rows["quantity"] == 0).to_numpy(bool)), priced


def _off_sale(rows: pd.DataFrame) -> Bools:
    """Rows of sold-out or unavailable days."""
    off = np.zeros(len(rows), bool)
    if "sold_out" in rows:
        off |= rows["sold_out"].fillna(value=False).to_numpy(bool)
    if "available" in rows:
        off |= ~rows["available"].fillna(value=True).to_numpy(bool)
    return off
