"""Parquet bytes to a table."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UnreadableFileError
from pipeline.sources.base import RawTable
from pipeline.sources.frames import to_frame

MAGIC = b"PAR1"


def read_parquet(content: bytes, name: str) -> RawTable:
    """Return the rows of a Parquet file.

    Raises:
        UnreadableFileError: empty, torn, half-written, no Parquet, with two columns of one name, or with a column of a
            type that cannot be read, such as times of an unknown zone.
    """
    if not content:
        raise UnreadableFileError(f"file {name!r} is empty: a Parquet table of sales is needed")
    if not (content.startswith(MAGIC) and content.endswith(MAGIC)):
        raise UnreadableFileError(
            f"file {name!r} is no whole Parquet file: it begins with {content[:4]!r} and ends with {content[-4:]!r} "
            f"where {MAGIC!r} should stand; it is half-written, torn, or in another format"
        )
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"file {name!r} is a damaged Parquet file: {error}") from error
    twice = sorted({column for column in table.column_names if table.column_names.count(column) > 1})
    if twice:
        raise UnreadableFileError(f"file {name!r} has two columns of one name: {', '.join(map(repr, twice))}")
    try:
        return RawTable(to_frame(table))
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise UnreadableFileError(f"file {name!r} has a column of a type that cannot be read: {error!r}") from error
