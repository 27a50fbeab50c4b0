"""Locks over processes and machines: PostgreSQL's advisory locks, or locked files beside a SQLite registry.

Whoever holds one lets go by ending, in whatever way: the operating system frees a dead process's file, the server the
lock of a connection that is gone. Keepalives tell a server within two minutes that a machine has vanished.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import LockedError, LockLostError, RegistryError
from pipeline.keys import slug
from pipeline.registry.database import explained, location
from pipeline.settings import Settings

POLL_SECONDS = 0.5
_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 15, "keepalives_count": 6}
KEEPALIVES = _ALIVE | {"options": " ".join(f"-c tcp_{name}={value}" for name, value in _ALIVE.items())}
"""Seconds of silence, then seconds between six questions, until client and server take each other for gone."""


def advisory_key(name: str) -> int:
    """Return the number by which PostgreSQL knows the lock of a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def one_at_a_time(connection: Connection, name: str) -> None:
    """Keep others that ask for the same name out until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": advisory_key(name)})


class Held(Protocol):
    """A lock while it is held."""

    def check(self) -> None:
        """Raise LockLostError where it is held no longer: somebody else may be at work."""


@contextmanager
def hold(settings: Settings, name: str, wait_seconds: float, waiting: Callable[[], None]) -> Iterator[Held]:
    """Hold the lock of this name in this registry, on every machine that uses it.

    Args:
        settings: which registry.
        name: what is locked.
        wait_seconds: how long to wait for another holder.
        waiting: called once when the lock is not free at once.

    Raises:
        LockedError: another held it all through `wait_seconds`.
        RegistryError: the database cannot be reached.
    """
    url = location(settings)
    if url.get_backend_name() == "sqlite":
        # Resolved: whoever comes by another path to the same database must find the same lock.
        with _file(
            Path(str(url.database)).resolve().parent / "locks" / f"{slug(name)}.lock", wait_seconds, waiting
        ) as held:
            yield held
        return
    # A connection of its own: one from a pool would be recycled, and the lock with it.
    engine = create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True, connect_args=KEEPALIVES
    )
    with explained(engine):
        connection = engine.connect()
    try:
        yield _Advisory(connection, name, wait_seconds, waiting)
    finally:
        connection.invalidate()  # Closed whatever its state: the server frees the lock.
        connection.close()
        engine.dispose()


class _File:
    """A locked file; it stays behind, unlocked."""

    def check(self) -> None:
        """The operating system keeps it as long as this process lives."""


@contextmanager
def _file(path: Path, wait_seconds: float, waiting: Callable[[], None]) -> Iterator[Held]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire(timeout=wait_seconds, poll_interval=POLL_SECONDS)
    except Timeout as error:
        raise LockedError(f"the lock {path} was held by another process for {wait_seconds:g} s") from error
    except OSError as error:
        raise RegistryError(f"the lock {path} cannot be taken: {error}") from error
    try:
        yield _File()
    finally:
        lock.release()


class _Advisory:
    """A session's advisory lock, taken when this is made."""

    def __init__(self, connection: Connection, name: str, wait_seconds: float, waiting: Callable[[], None]) -> None:
        self._connection, self._name = connection, name
        self._key = advisory_key(name)
        deadline, told = time.monotonic() + wait_seconds, False
        # Asked again and again: a wait inside the server could not be interrupted.
        while not self._ask("SELECT pg_try_advisory_lock(:key)"):
            if time.monotonic() >= deadline:
                raise LockedError(f"the lock of {name!r} was held by another session for {wait_seconds:g} s")
            if not told:
                waiting()
                told = True
            time.sleep(min(POLL_SECONDS, max(deadline - time.monotonic(), 0.01)))

    def check(self) -> None:
        """Ask over the connection that holds it: where that is gone, so is the lock."""
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise LockLostError(
                f"the lock of {self._name!r} was lost with its connection to the database; what was finished before "
                f"is kept, and the next run does the rest"
            ) from error

    def _ask(self, statement: str) -> bool:
        with explained(self._connection.engine):
            return bool(self._connection.scalar(text(statement), {"key": self._key}))
