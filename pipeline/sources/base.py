"""What every source of sales offers: parts that can be listed cheaply and read whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd


@dataclass(frozen=True)
class Part:
    """One piece of a source, such as a file: what a listing tells without reading it.

    `name` is unique within the source and stays the same when the whole source moves. `modified` is in
    seconds since 1970, None where the store does not tell; so is `size`, in bytes. `version` changes when the
    content does, as far as a source that is asked and not listed can tell without reading; of a file it is its tag,
    or a web server's time of change, None where there is neither. `place` says where a source that is asked lies,
    without a login; None for a file.
    """

    name: str
    size: int | None
    modified: float | None
    version: str | None = None
    place: str | None = None

    @property
    def live(self) -> bool:
        """Whether this is what a database or a service answers: the whole truth of the days asked for, as of now."""
        return self.place is not None

    @property
    def label(self) -> str:
        """The part as messages name it."""
        return f"file {self.name!r}" if self.place is None else f"the answer of {self.place}"


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


@dataclass(frozen=True)
class Remembered:
    """What to know a part by next time: its listing entry and the hash of its content."""

    part: Part
    sha256: str


class SalesSource(Protocol):
    """A place that sales come from."""

    def parts(self) -> list[Part]:
        """Return the parts that are there now, in order of name; cheap, nothing is read.

        Raises:
            SourceNotFoundError: nothing is there.
            SourceError: the place cannot be asked.
        """
        ...

    def read(self, part: Part, known_sha256: str | None = None) -> RawSales | None:
        """Return a part's rows, or None when its content still has the hash `known_sha256`.

        Raises:
            SourceNotFoundError: the part has gone.
            UnreadableFileError: its content is empty, torn or in another format.
            ChangingFileError: it kept changing while it was read.
            SourceError: the place cannot be asked.
        """
        ...

    def remembered(self, raw: RawSales, last: dt.date | None) -> Remembered:
        """Return what to know a part by when its days up to `last` have been taken in.

        A source that is asked for the last days alone is asked for others when the last day moves on.
        """
        ...


class LiveSource(SalesSource, Protocol):
    """A source that is asked and not listed; it can be tried."""

    def sample(self, rows: int) -> RawTable:
        """Return about as many rows as asked for, to look at.

        Raises:
            SourceError: the place cannot be asked.
        """
        ...
