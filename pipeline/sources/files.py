"""Sales in CSV and Parquet files."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from contracts import FileSource
from pipeline.sources.base import Part, RawSales, RawTable, Remembered
from pipeline.sources.csv_format import read_csv
from pipeline.sources.location import Location
from pipeline.sources.parquet_format import MAGIC, read_parquet


@dataclass(frozen=True)
class FilesSource:
    """The files of a `FileSource`; meets `SalesSource`."""

    config: FileSource

    def parts(self) -> list[Part]:
        """Return the files that are there now, in order of name."""
        return Location(self.config.path).parts()

    def read(self, part: Part, known_sha256: str | None = None) -> RawSales | None:
        """Return a file's rows, or None when its content still has the hash `known_sha256`."""
        content = Location(self.config.path).content(part)
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 == known_sha256:
            return None
        wanted = list(self.config.mapping.model_dump().values())
        table = read_table(content, part.name, wanted, self.config.delimiter, self.config.encoding)
        return RawSales(part, sha256, table)

    def remembered(self, raw: RawSales, last: dt.date | None) -> Remembered:
        """Return the file as it was listed, and the hash of its bytes."""
        return Remembered(raw.part, raw.sha256)


def read_table(
    content: bytes, name: str, wanted: Sequence[str], delimiter: str | None = None, encoding: str | None = None
) -> RawTable:
    """Return the rows of a CSV or Parquet file, told apart by content and name.

    Raises:
        UnreadableFileError: the content cannot be read as either.
    """
    if content.startswith(MAGIC) or name.lower().endswith((".parquet", ".pq")):
        return read_parquet(content, name)
    return read_csv(content, name, wanted, delimiter, encoding)
