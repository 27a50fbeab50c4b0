"""What the Dagster UI shows of a table: its schema, its size, a preview."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd

from contracts import Contract

PREVIEW_ROWS = 8


def of_table(
    frame: pd.DataFrame, path: object, row: type[Contract] | Mapping[str, str], /, **further: Any
) -> dict[str, Any]:
    """Return the metadata of a stored table; `row` describes its columns, `further` adds or replaces entries."""
    described: Mapping[str, str | None] = (
        row if isinstance(row, Mapping) else {name: field.description for name, field in row.model_fields.items()}
    )
    columns = [
        dg.TableColumn(name=str(name), type=_kind(frame[name]), description=described.get(str(name))) for name in frame
    ]
    return {
        "dagster/row_count": len(frame),
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "path": dg.MetadataValue.path(str(path)),
        "preview": preview(frame),
        **further,
    }


def preview(frame: pd.DataFrame, rows: int = PREVIEW_ROWS) -> dg.TableMetadataValue | dg.TextMetadataValue:
    """Return the last rows of a table; a text where there are none."""
    if frame.empty:
        return dg.MetadataValue.text("no rows")
    records = [
        dg.TableRecord({str(k): _plain(v) for k, v in record.items()}) for record in frame.tail(rows).to_dict("records")
    ]
    return dg.MetadataValue.table(records)


def numbers(values: Mapping[str, float | int | None]) -> dict[str, float | int]:
    """Return the values that are known; charts want numbers, never blanks."""
    return {name: value for name, value in values.items() if value is not None}


def _kind(values: pd.Series[Any]) -> str:
    """The type of a column, for readers: that of its values where pandas only knows objects."""
    if values.dtype != object:
        return str(values.dtype)
    known = values.dropna()
    if known.empty:
        return "string"
    kind = {dt.date: "date", bool: "bool"}.get(type(known.iloc[0]))
    return kind or "string"


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, pd.Timestamp | dt.datetime | dt.date):
        return pd.Timestamp(value).strftime("%Y-%m-%d")
    if isinstance(value, float):
        return "" if pd.isna(value) else round(value, 4)
    if value is None:
        return ""
    # An enumeration's member is a str or an int too, but not one that Dagster can store.
    return value if type(value) in (str, int, bool) else str(value)  # type: ignore[return-value]
