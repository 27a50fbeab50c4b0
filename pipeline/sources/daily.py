"""The daily table: its columns, and how lines or several files' rows add up to one row a product, place and day."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts import DailySales
from pipeline.sources.values import spread

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

KEY = ("product_id", "location_id", "date")
DECIMALS = 6
"""Quantities are rounded to a millionth, so that the order in which lines are added leaves no trace."""

_SUMS = ("quantity", "returned", "input_rows")
_TEXTS = ("product_id", "location_id", "category", "product_name")
TYPES: dict[str, str] = {
    "tenant_id": "object",
    "product_id": "object",
    "date": "datetime64[ns]",
    "quantity": "float64",
    "unit_price": "float64",
    "location_id": "object",
    "category": "object",
    "product_name": "object",
    "sold_out": "boolean",
    "available": "boolean",
    "returned": "float64",
    "input_rows": "int64",
    "source_file": "object",
}
COLUMNS = tuple(DailySales.model_fields)


def empty() -> pd.DataFrame:
    """Return a daily table without rows."""
    return pd.DataFrame({column: pd.Series(dtype=TYPES[column]) for column in COLUMNS})


def add_up(lines: pd.DataFrame) -> pd.DataFrame:
    """Return one row a product, location and day, in that order.

    `lines` has the columns of a daily table, and `sold`: units before returns, the weight of a price.
    Quantities add up and keep their sign; the price is the mean by units sold; a day is sold out when
    any line says so and available unless any line denies it; of several names the first by alphabet
    stands, so that the order of lines does not matter.
    """
    if lines.empty:
        return empty()
    codes = {column: _ranks(lines[column]) for column in _TEXTS}
    days = lines["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    order = np.lexsort((days, codes["location_id"][0], codes["product_id"][0]))
    starts = _starts([codes["product_id"][0][order], codes["location_id"][0][order], days[order]])
    totals: dict[str, object] = {column: _sum(lines[column], order, starts) for column in _SUMS}
    totals |= {column: _label(*codes[column], order, starts) for column in _TEXTS}
    totals |= {
        "date": days[order][starts].astype("datetime64[D]").astype("datetime64[ns]"),
        "unit_price": _mean_price(lines, order, starts),
        "sold_out": _any(lines["sold_out"], order, starts),
        "available": _all(lines["available"], order, starts),
        "tenant_id": np.full(len(starts), lines["tenant_id"].iat[0], dtype=object),
        "source_file": _label(*_ranks(lines["source_file"]), order, starts),
    }
    table = pd.DataFrame(totals, columns=list(COLUMNS), copy=False)
    return table.astype({"input_rows": "int64"})


def latest_by(
    rows: pd.DataFrame, key: tuple[str, ...], ranks: Mapping[str, int], fresh: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return which rows stand when rows of equal key replace each other.

    The file of the highest rank wins, and of one file's rows the fresh one.
    """
    days = rows["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    keys = [days if column == "date" else _ranks(rows[column])[0] for column in key]
    files, labels = _ranks(rows["source_file"])
    rank = np.array([ranks.get(str(label), -1) for label in labels] + [-1], dtype=np.int64)[files]
    order = np.lexsort((fresh, rank, *reversed(keys)))
    starts = _starts([values[order] for values in keys])
    stands = np.zeros(len(rows), dtype=np.bool_)
    if len(rows):
        stands[order[np.append(starts[1:], len(rows)) - 1]] = True
    return stands


def without_negatives(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table with days whose returns exceed their sales set to 0, and those days as they were."""
    return table.assign(quantity=table["quantity"].clip(lower=0.0)), table[table["quantity"] < 0]


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table sorted by product, location (none first) and date."""
    days = table["date"].to_numpy()
    order = np.lexsort((days, _ranks(table["location_id"])[0], _ranks(table["product_id"])[0]))
    return table.iloc[order].reset_index(drop=True)


def _ranks(column: pd.Series) -> tuple[Ints, npt.NDArray[np.object_]]:
    codes, labels = pd.factorize(column, sort=True)
    return codes.astype(np.int64), np.asarray(labels, dtype=object)


def _starts(keys: list[Ints]) -> Ints:
    changes = np.zeros(len(keys[0]), dtype=np.bool_)
    for values in keys:
        changes[1:] |= values[1:] != values[:-1]
    changes[:1] = True
    return np.flatnonzero(changes)


def _sum(column: pd.Series, order: Ints, starts: Ints) -> Floats:
    values = column.to_numpy(dtype=np.float64)
    return _rounded(np.add.reduceat(values[order], starts))


def _rounded(values: Floats) -> Floats:
    return np.asarray(np.round(values, DECIMALS), dtype=np.float64)


def _mean_price(lines: pd.DataFrame, order: Ints, starts: Ints) -> Floats:
    price = lines["unit_price"].to_numpy(dtype=np.float64)[order]
    known = np.isfinite(price)
    value = np.where(known, price, 0.0)
    weight = np.where(known, lines["sold"].to_numpy(dtype=np.float64)[order], 0.0)
    weights, counts = np.add.reduceat(weight, starts), np.add.reduceat(known.astype(np.float64), starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        weighted = np.add.reduceat(value * weight, starts) / weights
        simple = np.add.reduceat(value, starts) / counts
    return _rounded(np.where(weights > 0, weighted, simple))


def _any(column: pd.Series, order: Ints, starts: Ints) -> pd.arrays.BooleanArray:
    best = np.maximum.reduceat(column.to_numpy(dtype=np.int8, na_value=-1)[order], starts)
    return pd.arrays.BooleanArray(best == 1, best == -1)


def _all(column: pd.Series, order: Ints, starts: Ints) -> pd.arrays.BooleanArray:
    worst = np.minimum.reduceat(column.to_numpy(dtype=np.int8, na_value=2)[order], starts)
    return pd.arrays.BooleanArray(worst == 1, worst == 2)


def _label(codes: Ints, labels: npt.NDArray[np.object_], order: Ints, starts: Ints) -> npt.NDArray[np.object_]:
    last = len(labels)
    first = np.minimum.reduceat(np.where(codes < 0, last, codes)[order], starts)
    return spread(np.where(first == last, -1, first), labels, None)
