"""Parquet tables with their DatasetMetadata beside them and inside their schema."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from contracts import DatasetMetadata
from pipeline.errors import DataError
from pipeline.home import write_atomically

KEY = b"dataset_metadata"


def write_table(
    path: Path, frame: pd.DataFrame, metadata: DatasetMetadata | None = None, modified_ns: int | None = None
) -> None:
    """Write a table whole or not at all; its metadata goes into the schema and into `<name>.json` beside it.

    `modified_ns`: see `write_atomically`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    built = pa.Table.from_pandas(frame, preserve_index=False)
    if metadata is not None:
        text = metadata.model_dump_json().encode()
        built = built.replace_schema_metadata({**(built.schema.metadata or {}), KEY: text})
        write_atomically(path.with_suffix(".json"), text)
    sink = io.BytesIO()
    pq.write_table(built, sink, compression="zstd")
    write_atomically(path, sink.getvalue(), modified_ns)


def read_table(path: Path, what: str, rows: Sequence[tuple[str, str, object]] | None = None) -> pd.DataFrame:
    """Read a table, or those of its rows alone that meet conditions such as `("date", ">=", day)`.

    Parts of the file that cannot hold such rows are not read.

    Raises:
        DataError: it is not there yet, or cannot be read; `what` says what it is.
    """
    if not path.exists():
        raise DataError(f"{what}: {path} is not there yet; run the pipeline for this tenant first")
    try:
        return pd.read_parquet(path, filters=None if rows is None else list(rows))
    except (OSError, ValueError) as error:
        raise DataError(f"{what}: {path} cannot be read: {error}") from error


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain dictionaries; a missing value is None."""
    plain = frame.astype(object)
    return [
        {str(name): value for name, value in row.items()} for row in plain.mask(plain.isna(), None).to_dict("records")
    ]


def described(name: str, version: str, path: Path, frame: pd.DataFrame, keys: tuple[str, ...]) -> DatasetMetadata:
    """Return the metadata of a daily table by product with the target `quantity`; `keys` are no features."""
    return DatasetMetadata(
        dataset_name=name,
        dataset_version=version,
        path=str(path),
        built_at=dt.datetime.now(dt.UTC),
        row_count=len(frame),
        feature_count=len(frame.columns) - len(keys),
        target="quantity",
        entity="product_id",
        event_ts="date",
    )
