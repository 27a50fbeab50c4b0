"""A tenant's database: opened to read alone, for a bounded time, and its errors told without a secret."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from pipeline.errors import ConfigurationError, ServiceUnavailableError, SourceError, SourceNotFoundError
from pipeline.places import redacted, with_driver, without_login, without_query
from pipeline.resilience import Guard, Patience, transient
from pipeline.sources.variables import filled

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

T = TypeVar("T")
CONNECT_SECONDS = 10
_STEPS = 10_000
_NAMED = re.compile(r"(\b(?:pass\w*|pwd)\s*=\s*)[^\s;&]+", re.IGNORECASE)
"""A password as ODBC and PostgreSQL name it outside of URLs."""


@dataclass(frozen=True)
class Database:
    """The database at a URL; `zone` is the time zone that its session speaks where it can, `seconds` its patience.

    `guard` stands before it: a question that meets a passing fault is asked again. A database that does
    not answer is outlasted as long as `patience` lasts.
    """

    address: str
    zone: str
    seconds: float
    guard: Guard
    patience: Patience

    @cached_property
    def url(self) -> URL:
        """The URL with its secrets filled in; raises what `url_of` does."""
        return url_of(self.address)

    @property
    def place(self) -> str:
        """Where it is, without login and settings."""
        return place_at(self.url)

    @cached_property
    def engine(self) -> Engine:
        """An engine that keeps no connection.

        Raises:
            ConfigurationError: the library for this kind of database is not installed.
        """
        from sqlalchemy import NullPool, create_engine
        from sqlalchemy.exc import ArgumentError

        try:
            if self.url.get_backend_name() == "sqlite":
                return create_engine("sqlite://", creator=self._sqlite, poolclass=NullPool, hide_parameters=True)
            arguments = _POSTGRESQL if self.url.drivername == "postgresql+psycopg2" else {}
            return create_engine(self.url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
        except (ArgumentError, ImportError) as error:
            raise ConfigurationError(f"the database at {self.place} cannot be used here: {self._said(error)}") from None

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Return what a question finds on a connection that sees one moment of the database.

        It can change nothing where the database sees to it. After a passing fault it is put again, on another
        connection, no later than `seconds` after the first time; and once more after each wait of `patience`.

        Raises:
            ServiceUnavailableError: it cannot be reached, takes longer than its time, or is left alone for a while.
            SourceError: it refuses.
            ConfigurationError: the URL cannot be used.
        """
        return self.patience.outlast(self.guard, lambda: self._asked(question))

    def _asked(self, question: Callable[[Connection], T]) -> T:
        from sqlalchemy.exc import SQLAlchemyError

        def asked() -> T:
            with self._snapshot() as connection:
                return question(connection)

        try:
            return self.guard.within(self.seconds).call(asked)
        except (SQLAlchemyError, ServiceUnavailableError, ValueError) as error:
            refused = isinstance(error, ServiceUnavailableError)
            kind = ServiceUnavailableError if refused or transient(error) else SourceError
            said = str(error) if refused else self._said(error)  # Not chained: a driver's own text may hold the login.
            raise kind(f"the database at {self.place} could not be read: {said}") from None

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            self._prepare(connection)
            yield connection
            connection.rollback()

    def _prepare(self, connection: Connection) -> None:
        from sqlalchemy import text

        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")  # The driver would let every statement see a moment of its own.
        if connection.dialect.name != "postgresql":
            return
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        limits = {"statement_timeout": f"{1000 * self.seconds:.0f}", "TimeZone": self.zone}
        for name, value in limits.items():
            connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})

    def _sqlite(self) -> sqlite3.Connection:
        path = Path(self.url.database or "")
        if not path.is_file():
            raise SourceNotFoundError(f"there is no database {str(path)!r}; give sqlite:////absolute/path.db")
        uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=self.seconds, check_same_thread=False)
        end = time.monotonic() + self.seconds
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        return connection

    def _said(self, error: Exception) -> str:
        """The first line of what the database says, without its login."""
        text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        for secret in (self.url.password, self.url.username):
            text = text.replace(str(secret), "***") if secret else text
        limit = text in {"interrupted", "canceling statement due to statement timeout"}
        return f"it took longer than {self.seconds:g} s" if limit else _NAMED.sub(r"\1***", redacted(text))


_POSTGRESQL = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": 1000 * CONNECT_SECONDS, "keepalives_idle": 30}


def url_of(address: str) -> URL:
    """Return a database's URL with its secrets filled in.

    Raises:
        ConfigurationError: it is no URL, its password holds an `@`, or it names a variable that may not be used or is
            not set.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    text = filled(address)
    try:
        url = with_driver(make_url(text))
    except (ArgumentError, ValueError):  # Not chained: its text holds the URL.
        raise ConfigurationError(
            "the source's url, which is not shown, since it may hold a password, is no database URL; write "
            "postgresql://user@host:5432/name, sqlite:////absolute/path.db, or that of another database that "
            "SQLAlchemy knows"
        ) from None
    if url.password and not _ends_its_login(url, text):
        raise ConfigurationError(
            "the password in the source's url, which is not shown, holds an '@' of its own: write it as %40, or let a "
            "variable ${PIPELINE_SOURCE_...} hold it"
        )
    return url


def _ends_its_login(url: URL, text: str) -> bool:
    """Whether the host follows the last `@`: after another one it is a piece of the password, which errors would show.

    The last of all, or the last before a query, which may hold some.
    """
    hosts = (part.rpartition("@")[2].removeprefix("[") for part in (text, without_query(text)))
    return any(host.startswith(url.host or "") for host in hosts)


def place_at(url: URL) -> str:
    """Return where a database is, without login and settings."""
    text = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)
    return without_query(without_login(text))
