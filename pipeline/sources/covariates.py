"""Values by date, or by product and date, from a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from contracts import CovariateSource
from pipeline.errors import DataError, MissingColumnsError
from pipeline.places import redacted
from pipeline.sources.base import RawTable
from pipeline.sources.files import read_table
from pipeline.sources.location import Location
from pipeline.sources.moments import as_moments
from pipeline.sources.values import (
    Decimal,
    as_flags,
    as_numbers,
    as_text,
    distinct,
    is_blank,
    none_for_missing,
    plain,
    sniff_decimal,
    spread,
)

RESERVED = ("date", "product_id", "holiday", "closed")
_NAME_COLUMNS = ("covariate", "variable", "name")
_BOOLEAN_WORDS = {"true", "false", "yes", "no"}


def read_covariates(source: CovariateSource, products: Sequence[str]) -> pd.DataFrame:
    """Return covariates: date (datetime64[ns]), product_id (None: all products), then one column each.

    A file is wide (a column a covariate) or long (`covariate` and `value`). Yes-or-no becomes 1 or 0, a
    missing value stays NaN. Of two rows of one key the last stands. Products not in `products` are left
    out. Sorted by product (shared rows first) and date.

    Raises:
        SourceError: the file is absent, unreadable, or lacks a column.
        DataError: a date or a value cannot be read; names the file, the column, the row and the value.
    """
    location = Location(source.path)
    wanted = [source.date, source.product_id, *source.kinds]
    tables = [
        _typed(read_table(location.content(part), part.name, wanted), source, part.name) for part in location.parts()
    ]
    table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    names = [column for column in table.columns if column not in ("date", "product_id")]
    _check_names(names, source)
    table = table.drop_duplicates(["product_id", "date"], keep="last")
    table = table[table["product_id"].isna() | table["product_id"].isin(list(products))]
    return table.sort_values(["product_id", "date"], na_position="first", ignore_index=True)


def _typed(raw: RawTable, source: CovariateSource, name: str) -> pd.DataFrame:
    frame = raw.frame
    if source.date not in frame.columns:
        found = ", ".join(map(repr, frame.columns))
        raise MissingColumnsError(
            f"covariates file {name!r} has no column {source.date!r}; found {found}. Set date under [covariates]"
        )
    table = pd.DataFrame({"date": _dates(frame[source.date], name), "product_id": _products(frame, source)})
    values = frame.drop(columns=[source.date, source.product_id], errors="ignore")
    decimal = sniff_decimal([values[column] for column in values], raw.delimiter)
    label = next((column for column in _NAME_COLUMNS if set(values.columns) == {column, "value"}), None)
    if label is not None:
        numbers = _numeric(values["value"], name, decimal)
        return _pivoted(table.assign(covariate=as_text(values[label])[0].astype(object), value=numbers))
    return pd.concat([table, _columns(values, name, decimal)], axis=1)


def _columns(values: pd.DataFrame, name: str, decimal: Decimal) -> pd.DataFrame:
    columns = {column: _numeric(values[column], name, decimal) for column in values}
    return pd.DataFrame(columns).reset_index(drop=True)


def _dates(cells: pd.Series, name: str) -> pd.Series:
    moments = as_moments(cells, "UTC")
    bad = np.isnat(moments)
    if bad.any():
        place = f"covariates file {name!r}, row {cells.index[bad][0]}"
        raise DataError(f"{place}: {cells[bad].iloc[0]!r} in column {cells.name!r} is no date such as 2024-12-31")
    return pd.Series(moments.astype("datetime64[D]").astype("datetime64[ns]"))


def _products(frame: pd.DataFrame, source: CovariateSource) -> pd.Series:
    if source.product_id not in frame.columns:
        return pd.Series([None] * len(frame), dtype=object)
    return none_for_missing(pd.Series(as_text(frame[source.product_id], mend=True)[0]))


def _numeric(cells: pd.Series, name: str, decimal: Decimal) -> pd.Series:
    words = {plain(value).lower() for value in distinct(cells)[1]} - {""}
    if words and words <= _BOOLEAN_WORDS:
        flags = as_flags(cells)[0]
        return pd.Series(np.where(flags < 0, np.nan, flags).astype(np.float64))
    numbers = as_numbers(cells, decimal)
    bad = np.isnan(numbers) & ~is_blank(cells)
    if bad.any():
        row, value = cells.index[bad][0], cells[bad].iloc[0]
        raise DataError(
            f"covariates file {name!r}, row {row}: {value!r} in column {cells.name!r} is no number; covariates must be "
            "numbers or yes and no: code the text as numbers, or take the column out"
        )
    return pd.Series(numbers)


def _pivoted(long: pd.DataFrame) -> pd.DataFrame:
    last = long.drop_duplicates(["product_id", "date", "covariate"], keep="last")
    codes, products = pd.factorize(last["product_id"])
    wide = last.assign(code=codes).pivot(index=["code", "date"], columns="covariate", values="value").reset_index()
    product = spread(wide.pop("code").to_numpy(), np.asarray(products, dtype=object), None)
    wide.columns.name = None
    wide.insert(1, "product_id", pd.Series(product, dtype=object))
    return wide


def _check_names(names: list[str], source: CovariateSource) -> None:
    missing = sorted(set(source.kinds) - set(names))
    if missing:
        raise MissingColumnsError(
            f"covariates {redacted(source.path)!r} have no column {', '.join(map(repr, missing))} that kinds names; "
            f"found {', '.join(map(repr, names))}"
        )
    taken = sorted(set(names) & set(RESERVED))
    if taken:
        raise DataError(
            f"covariates {redacted(source.path)!r}: {taken[0]!r} is a column of the calendar itself; rename it"
        )
