"""Which faults of a database pass by themselves."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

STATES = ("08", "40001", "40P01", "53", "55P03", "57014", "57P0")
"""Beginnings of the standard's codes: the connection, two that wait for each other, no room, a lock, ended by time."""
NEVER = ("57P04", "57P05")
"""A database that was dropped; a session that was idle for too long counts as the connection's fault."""
LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
SAID = re.compile(
    r"connection (?:refused|reset|timed out)|timeout expired|closed the connection|could not receive data"
    r"|starting up|shutting down|in recovery mode|too many (?:clients|connections)|connection slots"
    r"|(?:no route to|network is unreachable|temporary failure in name resolution)|connection has been closed",
    re.IGNORECASE,
)
"""What PostgreSQL's client says where no server gave a code: it then never got as far as to ask for a password."""


def transient_in_database(error: BaseException) -> bool:
    """Say whether an error of SQLAlchemy may be gone at the next attempt.

    A lost connection, a pool without a free one, a deadlock, a lock, a server that starts, ends or is full are; a wrong
    password, a missing table and a syntax error are not. What is not known is not.
    """
    from sqlalchemy.exc import DBAPIError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or _said(error.orig, isinstance(error, OperationalError))


def _said(cause: Any, operational: bool) -> bool:
    code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if code is not None:
        return str(code).startswith(STATES) and not str(code).startswith(NEVER)
    if isinstance(cause, sqlite3.Error):
        return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in LOCKED
    # Of several addresses one may be refused and the last one answer: that answer counts.
    return operational and SAID.search(str(cause).rpartition("FATAL:")[2]) is not None
