"""A tenant's daily table on disk, with its report and state: each written whole or not at all.

`sales.parquet` is the daily table, with its metadata in `sales.json` beside it. `sales_by_file.parquet` exists where
files add up (overlap = "add"): what each file gave, from which the daily table is summed, so that a changed file's
share can be taken out again. The state is written last: a run that is killed before reads the same files once more.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from contracts import DatasetMetadata, ExtractionReport
from pipeline.errors import SourceNotFoundError, UnreadableFileError
from pipeline.home import Home, make_folder, write_atomically
from pipeline.sources import daily
from pipeline.sources.merge import Merged
from pipeline.sources.state import State, parse_state
from pipeline.tables import KEY, described

_TABLE = "sales"
_BY_FILE = "sales_by_file"
_STATE = "extraction_state.json"
_REPORT = "extraction_report.json"
_NO_FEATURES = ("tenant_id", "product_id", "date", "quantity")
_ARROW = {
    "object": pa.string(),
    "datetime64[ns]": pa.timestamp("ns"),
    "float64": pa.float64(),
    "int64": pa.int64(),
    "boolean": pa.bool_(),
}
_SCHEMA = pa.schema([(column, _ARROW[kind]) for column, kind in daily.TYPES.items()])


def load_sales(home: Home, tenant_id: str) -> pd.DataFrame:
    """Return a tenant's daily table, sorted by product, location (none first) and date.

    Raises:
        SourceNotFoundError: nothing has been extracted yet.
        UnreadableFileError: the stored table is damaged.
    """
    path = home.table(tenant_id, _TABLE)
    if not path.is_file():
        raise SourceNotFoundError(f"no sales of tenant {tenant_id!r} have been extracted yet: there is no {path}")
    return _read(path)


def load_report(home: Home, tenant_id: str) -> ExtractionReport:
    """Return the account of the last extraction that read anything.

    Raises:
        SourceNotFoundError: nothing has been extracted yet.
        UnreadableFileError: the stored report is damaged.
    """
    path = home.tenant(tenant_id) / _REPORT
    try:
        return ExtractionReport.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"no sales of tenant {tenant_id!r} have been extracted yet: no {path}") from error
    except ValidationError as error:
        raise UnreadableFileError(f"the report {path} is damaged; remove it and extract again") from error


def load_state(home: Home, tenant_id: str, rules: str) -> State:
    """Return what earlier extractions read; nothing, where the table or the report is gone."""
    folder = home.tenant(tenant_id)
    path = folder / _STATE
    whole = all(part.is_file() for part in (path, folder / _REPORT, home.table(tenant_id, _TABLE)))
    return parse_state(path.read_bytes() if whole else None, rules)


def load_stored(home: Home, tenant_id: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (the daily table, the same by the file that gave each row); both empty where nothing is stored."""
    path, detail = home.table(tenant_id, _TABLE), home.table(tenant_id, _BY_FILE)
    table = _read(path) if path.is_file() else daily.empty()
    return table, _read(detail) if detail.is_file() else table


def save(home: Home, tenant_id: str, merged: Merged, report: ExtractionReport, state: State) -> None:
    """Write a new daily table, its report and its state, in the order that a kill between them is harmless.

    Raises:
        StorageError: the disk is full or may not be written; what was stored before is kept.
    """
    detail = home.table(tenant_id, _BY_FILE)
    if merged.by_file is not None:
        write_atomically(detail, _parquet(merged.by_file))
    save_table(home, tenant_id, merged.table)
    if merged.by_file is None:
        detail.unlink(missing_ok=True)
    save_report(home, tenant_id, report)
    save_state(home, tenant_id, state)


def save_table(home: Home, tenant_id: str, table: pd.DataFrame) -> None:
    """Write the daily table, with its metadata beside it and in its schema.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    path = home.table(tenant_id, _TABLE)
    text = described(f"{tenant_id}/{_TABLE}", path, table, _NO_FEATURES).model_dump_json().encode()
    write_atomically(path.with_suffix(".json"), text)
    write_atomically(path, _parquet(table, text))


def confirm_table(home: Home, tenant_id: str, table: pd.DataFrame) -> None:
    """Say of the daily table as it lies there that it is up to date: a shop that is shut for days has no late data.

    Only the moment in the metadata beside it moves.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    path = home.table(tenant_id, _TABLE).with_suffix(".json")
    try:
        known = DatasetMetadata.model_validate_json(path.read_bytes())
    except (OSError, ValueError):  # Written before tables had metadata, or by another hand since.
        save_table(home, tenant_id, table)
        return
    text = known.model_copy(update={"built_at": dt.datetime.now(dt.UTC)}).model_dump_json()
    write_atomically(path, text.encode())


def back_up(home: Home, tenant_id: str, now: dt.datetime) -> None:
    """Keep the daily table under another name beside it, before another source's takes its place."""
    path = home.table(tenant_id, _TABLE)
    write_atomically(path.with_stem(f"{_TABLE}_until_{now.astimezone(dt.UTC):%Y%m%d_%H%M%S}"), path.read_bytes())


def save_report(home: Home, tenant_id: str, report: ExtractionReport) -> None:
    """Write the account of an extraction."""
    write_atomically(home.tenant(tenant_id) / _REPORT, report.model_dump_json(indent=2).encode())


def save_state(home: Home, tenant_id: str, state: State) -> None:
    """Write what has been read so far."""
    write_atomically(home.tenant(tenant_id) / _STATE, state.model_dump_json(indent=1, exclude_defaults=True).encode())


@contextmanager
def locked(home: Home, tenant_id: str) -> Iterator[None]:
    """Keep other extractions of the tenant waiting: two at once could each drop what the other stored."""
    path = home.tenant(tenant_id) / ".extraction.lock"
    make_folder(path.parent)
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _sweep(path.parent)
        yield


def _sweep(folder: Path) -> None:
    """Remove what a killed extraction had begun to write; no other is at work under the lock."""
    for name in (f"{_TABLE}.parquet", f"{_TABLE}.json", f"{_BY_FILE}.parquet", _STATE, _REPORT):
        for stray in folder.glob(f".{name}.*.tmp"):
            stray.unlink()


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path).select(list(daily.COLUMNS))
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UnreadableFileError(
            f"the stored table {path} is damaged: {error}. Remove it to have it built again from the sales files"
        ) from error
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
    return frame


def _parquet(table: pd.DataFrame, metadata: bytes | None = None) -> bytes:
    sink, built = io.BytesIO(), pa.Table.from_pandas(table, schema=_SCHEMA, preserve_index=False)
    if metadata is not None:
        built = built.replace_schema_metadata({**(built.schema.metadata or {}), KEY: metadata})
    pq.write_table(built, sink, compression="zstd")
    return sink.getvalue()
