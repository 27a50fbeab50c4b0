"""Parquet tables with their DatasetMetadata beside them and inside their schema."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from contracts import DatasetMetadata
from pipeline.errors import DataError, MetadataError
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


def read_table(path: Path, what: str, since: tuple[str, pd.Timestamp] | None = None) -> pd.DataFrame:
    """Read a table, or those of its rows alone that have a moment or a later one in a column.

    Parts of the file that hold earlier rows alone are not read. They are chosen here: where a file is damaged, a filter
    of the reading library may wait for ever.

    Raises:
        DataError: it is not there yet, or cannot be read; `what` says what it is.
    """
    if not path.exists():
        raise DataError(f"{what}: {path} is not there yet; run the pipeline for this tenant first")
    try:
        return pd.read_parquet(path) if since is None else _read_since(path, *since)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{what}: {path} cannot be read: {error}") from error


def _read_since(path: Path, column: str, moment: pd.Timestamp) -> pd.DataFrame:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        place = file.schema_arrow.get_field_index(column)
        told = [file.metadata.row_group(group).column(place).statistics for group in range(file.num_row_groups)]
        late = [
            group
            for group, one in enumerate(told)
            if one is None or not one.has_min_max or pd.Timestamp(one.max) >= moment
        ]
        frame: pd.DataFrame = file.read_row_groups(late).to_pandas()
    return frame[pd.to_datetime(frame[column]) >= moment].reset_index(drop=True)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain dictionaries; a missing value is None."""
    plain = frame.astype(object)
    return [
        {str(name): value for name, value in row.items()} for row in plain.mask(plain.isna(), None).to_dict("records")
    ]


def described(
    name: str, path: Path, frame: pd.DataFrame, keys: tuple[str, ...], target: str = "quantity"
) -> DatasetMetadata:
    """Return the metadata of a daily table by product; `keys`, the target among them, are no features."""
    return DatasetMetadata(
        dataset_name=name,
        dataset_version=content_version(frame),
        path=str(path),
        built_at=dt.datetime.now(dt.UTC),
        row_count=len(frame),
        feature_count=len(frame.columns) - len(keys),
        target=target,
        entity="product_id",
        event_ts="date",
    )


def read_metadata(table: Path) -> DatasetMetadata | None:
    """Return the metadata beside a table; None where there is none yet.

    Raises:
        MetadataError: it cannot be read, or is not as the contract says.
    """
    path = table.with_suffix(".json")
    try:
        return DatasetMetadata.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise MetadataError(f"the metadata {path} cannot be read: {error}") from error


def content_version(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a table's columns and rows, in their order: equal when, and only when, they are."""
    digest = hashlib.sha256(str(len(frame)).encode())
    for name in frame.columns:
        digest.update(repr(str(name)).encode("utf-8", "backslashreplace"))
        _add_column(digest, frame[name])
    return digest.hexdigest()


def _add_column(digest: Any, values: pd.Series[Any]) -> None:
    """Numbers and moments as their bytes; all else as numbers of distinct values, then these; a missing one is -1."""
    kind = values.dtype
    if isinstance(kind, np.dtype) and kind.kind == "f":
        plain = values.to_numpy() + 0.0  # No difference between 0.0 and -0.0.
        digest.update(kind.str.encode() + np.where(np.isnan(plain), np.array(np.nan, kind), plain).tobytes())
    elif isinstance(kind, np.dtype) and kind.kind in "iub":
        digest.update(kind.str.encode() + values.to_numpy().tobytes())
    elif pd.api.types.is_datetime64_any_dtype(kind):
        digest.update(b"moment" + values.to_numpy("datetime64[ns]").tobytes())
    else:
        codes, distinct = pd.factorize(values)
        digest.update(codes.astype(np.int64).tobytes())
        digest.update(repr([str(one) for one in distinct]).encode("utf-8", "backslashreplace"))
