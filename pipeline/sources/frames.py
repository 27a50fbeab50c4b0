"""Arrow tables to data frames: text as categories, so that each distinct value is looked at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa


def to_frame(table: pa.Table, rows: npt.NDArray[np.int64] | None = None) -> pd.DataFrame:
    """Return a table as a data frame indexed by 1-based row number.

    Text becomes categorical, decimals float64, dates datetime64; nested values become their text. Whole numbers
    stay whole whatever their size, also beside blanks: they may be ids, and floats would make two of them one.
    """
    columns = [_plain(column) for column in table.columns]
    plain = pa.table(columns, names=table.column_names).unify_dictionaries()
    frame: pd.DataFrame = plain.to_pandas(date_as_object=False, integer_object_nulls=True)
    frame.index = pd.Index(np.arange(1, len(frame) + 1) if rows is None else rows)
    return frame


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64()) if kind.scale else column.cast(pa.string()).dictionary_encode()
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = pa.chunked_array([pa.array([_shown(value) for value in column.to_pylist()], pa.string())])
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string()).dictionary_encode()
    return column


def _shown(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return None if value is None else repr(value)
