"""Sales from a service over HTTP: the last days, in pages that must agree with each other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from contracts import HttpSource
from pipeline.errors import ChangingFileError
from pipeline.resilience.http import Answer
from pipeline.sources.base import Part, RawSales, RawTable, Remembered
from pipeline.sources.pages import Service
from pipeline.sources.rows import gathered_records
from pipeline.sources.stamps import stamp_in
from pipeline.sources.windows import Window, digest

NAME = "service"
ATTEMPTS = 3
HASH = "sha256"


@dataclass
class Taken:
    """An answer that was read whole: its rows, their hash, and the service's stamp where it gives one."""

    frame: pd.DataFrame
    sha256: str
    stamp: str | None


@dataclass
class ServiceSource:
    """What an `HttpSource` answers; meets `SalesSource` with one part, the days of its window.

    `version` is that of the window when it was last read. `_taken` keeps what a look had to read, for `read`.
    """

    config: HttpSource
    window: Window
    service: Service
    version: str | None = None
    _taken: Taken | None = field(default=None, init=False, repr=False)

    def parts(self) -> list[Part]:
        """Return the one part; before the first extraction it has no version, and nothing is asked.

        A service that gives no stamps is read to find its version.
        """
        if self.window.watermark is None:
            return [self._part(None)]
        answer = self.service.ask(self._params, self.version)
        if answer.unchanged:
            return [self._part(self.version)]
        stamp = stamp_in(answer.headers)
        if stamp is None:
            self._taken = self._whole(answer)
            stamp = f"{HASH} {self._taken.sha256}"
        return [self._part(stamp)]

    def read(self, part: Part, known_sha256: str | None = None) -> RawSales | None:
        """Return the rows of the window, or None when they are those of `known_sha256`."""
        if known_sha256 is not None and part.version is not None and part.version == self.version:
            return None
        taken = self._taken or self._whole(self.service.ask(self._params))
        self.window.refuse_empty(taken.frame, self.service.place)
        if taken.sha256 == known_sha256:
            return None
        version = taken.stamp or f"{HASH} {taken.sha256}"
        return RawSales(self._part(version), taken.sha256, RawTable(taken.frame))

    def remembered(self, raw: RawSales, last: dt.date | None) -> Remembered:
        """Return the version and the hash of the window that is asked for next.

        A stamp of that window is younger than the rows. It counts only if the window that they were read from has
        not changed by then; otherwise there is none, and the next look finds a difference.
        """
        later = replace(self, window=self.window.after(last))
        sha256 = digest(later.window.cut(raw.table.frame))
        stamp = raw.part.version or ""
        if stamp.startswith(HASH) or later.window == self.window:
            return Remembered(self._part(f"{HASH} {sha256}" if stamp.startswith(HASH) else stamp), sha256)
        version = stamp_in(self.service.ask(later._params).headers)
        same = self.service.ask(self._params, stamp).unchanged
        return Remembered(self._part(version if same else None), sha256)

    def sample(self, rows: int) -> RawTable:
        """Return the rows of the first page."""
        first = next(self.service.pages(self.service.ask(self._params), self._params["since"]))
        return RawTable(gathered_records([first.rows]))

    @property
    def _params(self) -> dict[str, str]:
        return {"since": self.window.since.isoformat()}

    def _part(self, version: str | None) -> Part:
        return Part(NAME, None, None, version, self.service.place)

    def _whole(self, answer: Answer) -> Taken:
        """Read every page, as they were at one moment.

        One page is of one moment. Several may have changed meanwhile: the stamp of the first must then still hold,
        and where there is none, two readings must have the same rows.
        """
        before = None
        for _ in range(ATTEMPTS):
            rows, pages = self._rows(answer)
            frame = self.window.cut(rows)
            taken = Taken(frame, digest(frame), stamp_in(answer.headers))
            answer = self.service.ask(self._params, taken.stamp) if pages > 1 else answer
            if pages == 1 or answer.unchanged or (before == taken.sha256 and taken.stamp is None):
                return taken
            before = taken.sha256
        raise ChangingFileError(
            f"the service at {self.service.place} changed each of {ATTEMPTS} times that its pages were read; "
            "let a page's token name the state that it belongs to"
        )

    def _rows(self, first: Answer) -> tuple[pd.DataFrame, int]:
        """All rows, and how many pages they came in; no page's own objects outlive it."""
        pages = 0

        def each() -> Iterator[Sequence[Mapping[str, object]]]:
            nonlocal pages
            for page in self.service.pages(first, self._params["since"]):
                pages += 1
                yield page.rows

        return gathered_records(each()), pages
