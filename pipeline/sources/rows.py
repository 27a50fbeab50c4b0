"""Rows as a database or a service gives them, piece by piece, to one table that is held once."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.sources.frames import to_frame

Piece = Sequence[Sequence[object]]


def gathered(names: Sequence[str], pieces: Iterable[Piece]) -> pd.DataFrame:
    """Return the rows of all pieces under their names, as `to_frame` does, numbered from 1.

    A piece becomes columns before the next one is fetched, so that its own objects are gone by then. Moments
    with an offset become UTC, where they wait for the tenant's clock; values of several kinds in one column
    become their text.
    """
    columns: list[list[pa.Array]] = [[] for _ in names]
    for piece in pieces:
        for column, values in zip(columns, zip(*piece, strict=True), strict=False):
            column.append(_array(values))
    return to_frame(pa.table([_united(column) for column in columns], names=list(names)))


def gathered_records(pieces: Iterable[Sequence[Mapping[str, object]]]) -> pd.DataFrame:
    """Return the rows of all pieces, as `gathered` does, under the names that any row has; what a row lacks is missing.

    A name that comes up in a later piece has no values in those before. Half a character, which JSON can hold in a
    name or a text and nothing else can, is told by its escape.
    """
    columns: dict[str, list[pa.Array]] = {}
    rows = 0
    for piece in pieces:
        for name in dict.fromkeys([*columns, *(name for row in piece for name in row)]):
            columns.setdefault(name, [pa.nulls(rows)]).append(_array([row.get(name) for row in piece]))
        rows += len(piece)
    return to_frame(pa.table([_united(column) for column in columns.values()], names=list(map(_encodable, columns))))


def _array(values: Sequence[object]) -> pa.Array:
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, UnicodeError):  # An endless decimal is a type error to Arrow.
        return _numbers_or_texts(values)
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        # Arrow lets a moment without an offset stand for UTC beside others that have one: here it is local.
        mixed = any(isinstance(value, dt.datetime) and value.tzinfo is None for value in values)
        return _texts(values) if mixed else array.cast(pa.timestamp("us", "UTC"))
    plain = (pa.types.is_time, pa.types.is_duration, pa.types.is_fixed_size_binary)
    return _texts(values) if any(is_kind(kind) for is_kind in plain) else array


def _numbers_or_texts(values: Sequence[object]) -> pa.Array:
    """Numbers of several kinds as floats; whole ones that are too long for that, and all else, as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float, decimal.Decimal} and kinds != {int}:
        return pa.array([None if value is None else float(str(value)) for value in values], pa.float64())
    return _texts(values)


def _texts(values: Sequence[object]) -> pa.Array:
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: object) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    return format(value, "f") if isinstance(value, decimal.Decimal) else _encodable(str(value))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _united(arrays: list[pa.Array]) -> pa.ChunkedArray:
    """The pieces of one column as one type: the wider number, or text where they have nothing in common."""
    kinds = {array.type for array in arrays if not pa.types.is_null(array.type)}
    if len(kinds) <= 1:
        kind = next(iter(kinds), pa.string())
        return pa.chunked_array([array.cast(kind) for array in arrays], kind)
    if all(_is_number(kind) for kind in kinds):
        return pa.chunked_array([array.cast(pa.float64()) for array in arrays], pa.float64())
    return pa.chunked_array([_texts(array.to_pylist()) for array in arrays], pa.string())


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
