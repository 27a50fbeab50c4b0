"""What every source of sales offers: parts that can be listed cheaply and read whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd


@dataclass(frozen=True)
class Part:
    """One piece of a source, such as a file: what a listing tells without reading it.

    `name` is unique within the source and stays the same when the whole source moves. `modified` is in
    seconds since 1970, None where the store does not tell; so is `size`, in bytes.
    """

    name: str
    size: int | None
    modified: float | None


@dataclass(frozen=True)
class MalformedRow:
    """A row that has more fields than there are columns, so that nobody can say which is which."""

    row: int
    text: str


@dataclass(frozen=True)
class RawTable:
    """A part's content before any meaning is given to it.

    `frame` holds the rows under the part's own column names, indexed by 1-based row number. Text
    columns are categorical; a missing value is null or blank. `delimiter` is None but for CSV.
    """

    frame: pd.DataFrame
    malformed: Sequence[MalformedRow] = ()
    delimiter: str | None = None

    @property
    def rows(self) -> int:
        """Rows of data in the part, the malformed ones included."""
        return len(self.frame) + len(self.malformed)


@dataclass(frozen=True)
class RawSales:
    """One part that was read: its listing entry, the SHA-256 of its content, and its rows."""

    part: Part
    sha256: str
    table: RawTable


class SalesSource(Protocol):
    """A place that sales come from."""

    def parts(self) -> list[Part]:
        """Return the parts that are there now, in order of name; cheap, nothing is read.

        Raises:
            SourceNotFoundError: nothing is there.
        """
        ...

    def read(self, part: Part, known_sha256: str | None = None) -> RawSales | None:
        """Return a part's rows, or None when its content still has the hash `known_sha256`.

        Raises:
            SourceNotFoundError: the part has gone.
            UnreadableFileError: its content is empty, torn or in another format.
            ChangingFileError: it kept changing while it was read.
        """
        ...
