"""Sales in a database: the last days of a table or a SELECT, streamed in pieces from one moment of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from contracts import SqlSource
from pipeline.errors import SourceError
from pipeline.sources.base import Part, RawSales, RawTable, Remembered
from pipeline.sources.database import Database
from pipeline.sources.rows import Piece, gathered
from pipeline.sources.statement import SINCE, statement
from pipeline.sources.windows import Window, digest

if TYPE_CHECKING:
    from sqlalchemy import ColumnClause, Connection, CursorResult, Select, TextClause

NAME = "database"
PIECE = 20_000
"""Rows that are fetched at a time."""

_ALIAS = "sales_of_the_window"


@dataclass(frozen=True)
class DatabaseSource:
    """What a `SqlSource` holds; meets `SalesSource` with one part, the days of its window."""

    config: SqlSource
    window: Window
    database: Database

    def parts(self) -> list[Part]:
        """Return the one part; before the first extraction it has no version, and nothing is asked."""
        version = None if self.window.watermark is None else self.database.ask(self._version)
        return [Part(NAME, None, None, version, self.database.place)]

    def read(self, part: Part, known_sha256: str | None = None) -> RawSales | None:
        """Return the rows of the window, or None when they are those of `known_sha256`."""
        frame, version = self.database.ask(lambda connection: (self._frame(connection), self._version(connection)))
        self.window.refuse_empty(frame, self.database.place)
        sha256 = digest(frame)
        return None if sha256 == known_sha256 else RawSales(replace(part, version=version), sha256, RawTable(frame))

    def remembered(self, raw: RawSales, last: dt.date | None) -> Remembered:
        """Return the version and the hash of the window that is asked for next.

        The version of that window was taken later than the rows. It counts only if the window that they were read
        from has not changed by then; otherwise there is none, and the next look finds a difference.
        """
        if not self._windowed or self.window.after(last) == self.window:
            return Remembered(raw.part, raw.sha256)
        later = replace(self, window=self.window.after(last))

        def unmoved(connection: Connection) -> str | None:
            return later._version(connection) if self._version(connection) == raw.part.version else None

        version = self.database.ask(unmoved)
        return Remembered(replace(raw.part, version=version), digest(later.window.cut(raw.table.frame)))

    def sample(self, rows: int) -> RawTable:
        """Return the first rows, as the database likes to give them."""
        return RawTable(self.database.ask(lambda connection: self._frame(connection, rows)))

    @cached_property
    def _statement(self) -> tuple[TextClause, bool]:
        return statement(self.config.query, self.config.mapping.date, self.database.engine)

    @property
    def _windowed(self) -> bool:
        return self._statement[1]

    @property
    def _values(self) -> dict[str, dt.date]:
        return {SINCE: self.window.since} if self._windowed else {}

    def _frame(self, connection: Connection, rows: int | None = None) -> pd.DataFrame:
        streaming = {"stream_results": True, "max_row_buffer": PIECE}
        with connection.execute(self._statement[0], self._values, execution_options=streaming) as found:
            names = list(found.keys())
            self._refuse_twice(names)
            frame = gathered(names, _pieces(found, rows))
        return self.window.cut(frame) if self._windowed else frame

    def _refuse_twice(self, names: Sequence[str]) -> None:
        """Which of two columns of one name is meant nobody knows; those that no field asks for do no harm."""
        fields = self.config.mapping.model_dump().values()
        twice = sorted({name for name in names if names.count(name) > 1 and name in fields})
        if twice:
            raise SourceError(
                f"the query of {self.database.place} gives two columns of one name: {', '.join(map(repr, twice))}; "
                "give each a name of its own with AS"
            )

    def _version(self, connection: Connection) -> str:
        return "|".join(str(value) for value in connection.execute(self._signal(connection), self._values).one())

    def _signal(self, connection: Connection) -> Select[*tuple[Any, ...]]:
        """The question whose answer changes when the rows do.

        PostgreSQL adds up a hash of each whole row; other databases count, and tell the last day and the units.
        """
        from sqlalchemy import Numeric, cast, column, func, literal_column, select

        mapping = self.config.mapping
        day: ColumnClause[Any] = column(mapping.date)
        units: ColumnClause[Any] = column(mapping.quantity)
        rows = self._statement[0].columns(day, units).subquery(_ALIAS)
        if connection.dialect.name == "postgresql":
            whole = func.hashtextextended(literal_column(f"CAST({_ALIAS} AS text)"), 0)
            return select(func.count(), func.sum(cast(whole, Numeric))).select_from(rows)
        return select(func.count(), func.max(rows.c[mapping.date]), func.sum(rows.c[mapping.quantity]))


def _pieces(found: CursorResult[Any], most: int | None) -> Iterator[Piece]:
    while piece := found.fetchmany(most or PIECE):
        yield piece
        if most is not None:
            return
