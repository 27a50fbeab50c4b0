"""What the Dagster UI shows of a table: its schema, its size, a preview."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd

PREVIEW_ROWS = 8


def of_table(frame: pd.DataFrame, path: object, **further: Any) -> dict[str, Any]:
    """Return the metadata of a stored table; `further` adds or replaces entries."""
    columns = [dg.TableColumn(name=str(name), type=str(kind)) for name, kind in frame.dtypes.items()]
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


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, pd.Timestamp | dt.datetime | dt.date):
        return pd.Timestamp(value).strftime("%Y-%m-%d")
    if isinstance(value, float):
        return "" if pd.isna(value) else round(value, 4)
    if value is None:
        return ""
    # An enumeration's member is a str or an int too, but not one that Dagster can store.
    return value if type(value) in (str, int, bool) else str(value)  # type: ignore[return-value]
