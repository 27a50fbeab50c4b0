"""One part's raw rows to its daily rows, with an account of every row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts import ProductFault, RejectedRow, Rejection, SalesFormat, Tenant
from pipeline.errors import TenantError
from pipeline.sources import daily
from pipeline.sources.base import RawSales, RawTable
from pipeline.sources.by_product import faults_of_rows
from pipeline.sources.columns import resolve
from pipeline.sources.moments import EARLIEST, as_moments
from pipeline.sources.partial import closing_times
from pipeline.sources.rejections import Faults, examples, exclusive, refuse_unreadable
from pipeline.sources.values import Decimal, as_flags, as_numbers, as_text, is_blank, sniff_decimal, spread
from pipeline.tenants import slugged

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_LONGEST_PRODUCT = 1000
_TEXTS = ("product_id", "location_id", "category", "product_name")
_FLAGS = ("sold_out", "available")
SPOILED = ("source_file", "product_id", "date")
UNUSABLE = (Rejection.BAD_DATE, Rejection.BAD_QUANTITY, Rejection.MISSING_PRODUCT, Rejection.MALFORMED)
"""Rows that no sale can be made of: when they are many, the export is broken."""


@dataclass(frozen=True)
class Account:
    """What became of the rows of one part: `rows_read = duplicates + rejected + rows in daily rows`.

    `by_product` tells duplicates and rejected rows by product, where they have one.
    """

    rows_read: int
    duplicates: int
    rejected: dict[Rejection, int]
    examples: list[RejectedRow]
    by_product: list[ProductFault]
    return_rows: int
    repairs: dict[str, int]

    @property
    def unusable(self) -> int:
        """Rows without a usable date, product or quantity."""
        return sum(self.rejected.get(reason, 0) for reason in UNUSABLE)

    @property
    def unusable_share(self) -> float:
        """The share of them among the tenant's own rows."""
        return self.unusable / max(self.rows_read - self.rejected.get(Rejection.OTHER_TENANT, 0), 1)


@dataclass(frozen=True)
class Cleaned:
    """One part's daily rows (quantities signed), their account, and what later extractions need to know.

    `closing_times` holds the time of the last ticket by day, where tickets have times. `future_from` is
    the earliest day that was rejected for lying in the future. `owner` is the name in the tenant column
    that the rows were taken by, None where no name was needed. `spoiled` names the product days (columns
    `source_file`, `product_id`, `date`) that a rejected row was meant for: their sales have not vanished.
    """

    daily: pd.DataFrame
    account: Account
    closing_times: dict[dt.date, dt.time] = field(default_factory=dict)
    future_from: dt.date | None = None
    owner: str | None = None
    spoiled: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=SPOILED))

    def set_aside(self) -> Cleaned:
        """Return the part with its sound rows rejected, too: nothing is taken of it."""
        sound = self.account.rows_read - self.account.duplicates - sum(self.account.rejected.values())
        rejected = {**self.account.rejected, **({Rejection.SET_ASIDE: sound} if sound else {})}
        return Cleaned(daily.empty(), replace(self.account, rejected=rejected, return_rows=0, repairs={}))

    @property
    def first_date(self) -> dt.date | None:
        """The first day that has rows; None where there are no rows."""
        return None if self.daily.empty else self.daily["date"].min().date()

    @property
    def last_date(self) -> dt.date | None:
        """The last day that has rows; None where there are no rows."""
        return None if self.daily.empty else self.daily["date"].max().date()


def clean(raw: RawSales, tenant: Tenant, max_quantity: float, today: dt.date) -> Cleaned:
    """Return one part's daily rows.

    Raises:
        MissingColumnsError: a mapped column is not in the part.
        DataError: a required column holds nothing that can be read.
        ConfigurationError: the date format is no strptime format.
        TenantError: several names in the tenant column make the tenant's id.
    """
    table, source, name = raw.table, tenant.source, raw.part.name
    columns = resolve(list(table.frame.columns), source.mapping, raw.part.label)
    lines, repairs = _lines(table, columns, tenant)
    others, owner = _others(table.frame, columns, tenant.id, name)
    # What another tenant repeats is not this one's to hear of: it is rejected, not a duplicate.
    repeated = _repeated(table.frame, source) & ~others
    unread = _unread(lines, table.frame, columns)
    refuse_unreadable(raw, columns, unread, ~others & ~repeated, source)
    found = _faults(lines, unread, others, max_quantity, today)
    faults = exclusive(found, ~repeated, len(table.malformed))
    kept = ~faults.rejected & ~repeated
    used = lines[kept].assign(tenant_id=tenant.id, source_file=name)
    account = Account(
        rows_read=table.rows,
        duplicates=int(repeated.sum()),
        rejected=faults.counts(),
        examples=examples(faults, table, columns, name),
        by_product=faults_of_rows(lines["product_id"], unread[Rejection.MISSING_PRODUCT], repeated, faults.masks, name),
        return_rows=int((used["quantity"] < 0).sum()),
        repairs={kind: int((mask & kept).sum()) for kind, mask in repairs.items() if (mask & kept).any()},
    )
    return Cleaned(
        daily.add_up(_split_returns(used)),
        account,
        closing_times(used["date"]),
        _earliest_future(lines, faults),
        owner,
        _spoiled(lines[faults.rejected & ~others], name),
    )


def _repeated(frame: pd.DataFrame, source: SalesFormat) -> Bools:
    if source.duplicates == "keep" or frame.empty:
        return np.zeros(len(frame), dtype=np.bool_)
    return frame.duplicated().to_numpy(dtype=np.bool_)


def _lines(table: RawTable, columns: Mapping[str, str], tenant: Tenant) -> tuple[pd.DataFrame, dict[str, Bools]]:
    """Return the typed rows, and which of them were mended in which way."""
    frame, source = table.frame, tenant.source
    cells = {name: frame[column] for name, column in columns.items()}
    numeric = [cells[name] for name in ("quantity", "unit_price") if name in cells]
    decimal = source.decimal or sniff_decimal(numeric, table.delimiter)
    lines: dict[str, object] = {
        "date": as_moments(cells["date"], tenant.timezone, source.date_format),
        "quantity": as_numbers(cells["quantity"], decimal),
        "input_rows": np.ones(len(frame), dtype=np.int64),
    }
    repairs: dict[str, Bools] = {}
    lines["unit_price"] = np.full(len(frame), np.nan)
    if "unit_price" in cells:
        lines["unit_price"], repairs["unit_price_ignored"] = _prices(cells["unit_price"], decimal)
    _add_texts(lines, repairs, cells, len(frame))
    _add_flags(lines, repairs, cells, len(frame))
    return pd.DataFrame(lines, index=frame.index), repairs


def _prices(cells: pd.Series, decimal: Decimal) -> tuple[Floats, Bools]:
    """A price that is negative or no number is left out; the sale itself stands."""
    prices = as_numbers(cells, decimal)
    usable = np.where(prices >= 0, prices, np.nan)
    return usable, np.isnan(usable) & ~is_blank(cells)


def _add_texts(lines: dict[str, object], repairs: dict[str, Bools], cells: Mapping[str, pd.Series], rows: int) -> None:
    mended = np.zeros(rows, dtype=np.bool_)
    for name in _TEXTS:
        if name in cells:
            lines[name], changed = as_text(cells[name], mend=True)
            mended |= changed
        else:
            lines[name] = pd.Categorical([None] * rows, categories=pd.Index([], dtype=object))
    repairs["mojibake"] = mended


def _add_flags(lines: dict[str, object], repairs: dict[str, Bools], cells: Mapping[str, pd.Series], rows: int) -> None:
    for name in _FLAGS:
        if name in cells:
            flags, repairs[f"{name}_ignored"] = as_flags(cells[name])
        else:
            flags = np.full(rows, -1, dtype=np.int8)
        lines[name] = pd.arrays.BooleanArray(flags == 1, flags == -1)


def _others(frame: pd.DataFrame, columns: Mapping[str, str], tenant_id: str, file: str) -> tuple[Bools, str | None]:
    """Return the rows of other tenants, and the name of this one; a file without the column is this tenant's.

    Two names can make one id, such as `north.1` and `north-1`: spelling is forgiven only where no row
    names the id itself. A blank cell is this tenant's only where nobody else is named.
    """
    if "tenant_id" not in columns:
        return np.zeros(len(frame), dtype=np.bool_), None
    text, _ = as_text(frame[columns["tenant_id"]])
    names = list(text.categories)
    own = {tenant_id} if tenant_id in names else {name for name in names if slugged(name) == slugged(tenant_id)}
    refuse_several(dict.fromkeys(own, file), tenant_id)
    other = np.array([name not in own for name in names], dtype=np.bool_)
    return spread(np.asarray(text.codes, dtype=np.int64), other, bool(other.any())), min(own, default=None)


def refuse_several(files: Mapping[str, str], tenant_id: str) -> None:
    """Raise when several names would be taken for one tenant; capitals are no difference.

    `files` holds each name with a file that it stands in.

    Raises:
        TenantError: they could be several businesses; names them.
    """
    if len({name.casefold() for name in files}) > 1:
        shown = ", ".join(f"{name!r} (file {file!r})" for name, file in sorted(files.items()))
        raise TenantError(
            f"tenant {tenant_id!r}: several names in the tenant column make this id, {shown}; they could be several "
            f"businesses. Write {tenant_id!r} itself into the rows that are this one's, or spell its name in one way"
        )


def _unread(lines: pd.DataFrame, frame: pd.DataFrame, columns: Mapping[str, str]) -> dict[Rejection, Bools]:
    moments = lines["date"].to_numpy()
    lengths = np.array([len(name) for name in lines["product_id"].cat.categories] + [0], dtype=np.int64)
    length = lengths[lines["product_id"].cat.codes.to_numpy()]
    return {
        Rejection.MISSING_PRODUCT: (length == 0) | (length > _LONGEST_PRODUCT),
        Rejection.BAD_DATE: np.isnat(moments) | (moments < EARLIEST),
        Rejection.BAD_QUANTITY: lines["quantity"].isna().to_numpy(),
    }


def _faults(
    lines: pd.DataFrame, unread: dict[Rejection, Bools], others: Bools, max_quantity: float, today: dt.date
) -> dict[Rejection, Bools]:
    """The faults of each row, the reason that is given first in front."""
    return {
        Rejection.OTHER_TENANT: others,
        **unread,
        Rejection.FUTURE_DATE: lines["date"].to_numpy() >= np.datetime64(today + dt.timedelta(days=1)),
        Rejection.ABSURD_QUANTITY: lines["quantity"].abs().to_numpy() > max_quantity,
    }


def _split_returns(used: pd.DataFrame) -> pd.DataFrame:
    quantity = used["quantity"]
    return used.assign(sold=quantity.clip(lower=0.0), returned=quantity.clip(upper=0.0).abs())


def _spoiled(rejected: pd.DataFrame, name: str) -> pd.DataFrame:
    known = rejected[rejected["date"].notna() & rejected["product_id"].notna()]
    days = known.assign(source_file=name, date=known["date"].dt.normalize(), product_id=known["product_id"].astype(str))
    return days[list(SPOILED)].drop_duplicates()


def _earliest_future(lines: pd.DataFrame, faults: Faults) -> dt.date | None:
    future = lines["date"].to_numpy()[faults.masks[Rejection.FUTURE_DATE]]
    return pd.Timestamp(future.min()).date() if len(future) else None
