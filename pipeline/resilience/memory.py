"""What breakers remember in this process alone, and the table that falls back on it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN

from pipeline.errors import PipelineError
from pipeline.resilience.faults import told
from pipeline.resilience.storage import Row, Table

T = TypeVar("T")
AWAY_SECONDS = 60.0
"""Seconds for which a table that could not be reached is not asked again: each time may cost a time-out."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Row:
    state: str
    failures: int
    opened_at: datetime | None
    changed_at: datetime
    last_error: str | None


class Memory:
    """A table in this process alone; safe from several threads."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()

    def breaker(self, name: str) -> Row | None:
        """Return what is known."""
        return self._rows.get(name)

    def count_failure(self, name: str, error: str) -> int:
        """Add one failure."""
        with self._lock:
            row = self._known(name)
            self._rows[name] = replace(row, failures=row.failures + 1, last_error=error)
            return row.failures + 1

    def forget_failures(self, name: str) -> None:
        """Begin to count anew, unless it is open."""
        with self._lock:
            row = self._known(name)
            if row.state == STATE_CLOSED:
                self._rows[name] = replace(row, failures=0)

    def open_breaker(self, name: str) -> None:
        """Leave the service alone from now on."""
        with self._lock:
            row, now = self._known(name), datetime.now(UTC)
            self._rows[name] = replace(row, state=STATE_OPEN, opened_at=row.opened_at or now, changed_at=now)

    def begin_trial(self, name: str, seen: datetime) -> bool:
        """Make it half-open, unless it has changed."""
        with self._lock:
            row = self._known(name)
            if row.state == STATE_CLOSED or row.changed_at != seen:
                return False
            self._rows[name] = replace(row, state=STATE_HALF_OPEN, changed_at=datetime.now(UTC))
            return True

    def close_breaker(self, name: str) -> None:
        """Let all calls through again."""
        with self._lock:
            row, now = self._known(name), datetime.now(UTC)
            self._rows[name] = replace(row, state=STATE_CLOSED, failures=0, opened_at=None, changed_at=now)

    def _known(self, name: str) -> _Row:
        return self._rows.get(name) or _Row(STATE_CLOSED, 0, None, datetime.now(UTC), None)


class Fallback:
    """A table that processes share; while it cannot be reached, this process's memory. Calls are never stopped by it.

    Args:
        opened: returns the shared table; asked again each time, so that one that comes back is found.
        clock: seconds, from wherever they are counted.
    """

    def __init__(self, opened: Callable[[], Table], clock: Callable[[], float] = time.monotonic) -> None:
        self._opened, self._clock, self._memory = opened, clock, Memory()
        self._away_until: float | None = None

    def breaker(self, name: str) -> Row | None:
        """Return what is known."""
        return self._ask(lambda table: table.breaker(name))

    def count_failure(self, name: str, error: str) -> int:
        """Add one failure."""
        return self._ask(lambda table: table.count_failure(name, error))

    def forget_failures(self, name: str) -> None:
        """Begin to count anew, unless it is open."""
        self._ask(lambda table: table.forget_failures(name))

    def open_breaker(self, name: str) -> None:
        """Leave the service alone from now on."""
        self._ask(lambda table: table.open_breaker(name))

    def begin_trial(self, name: str, seen: datetime) -> bool:
        """Make it half-open, unless it has changed."""
        return self._ask(lambda table: table.begin_trial(name, seen))

    def close_breaker(self, name: str) -> None:
        """Let all calls through again."""
        self._ask(lambda table: table.close_breaker(name))

    def _ask(self, question: Callable[[Table], T]) -> T:
        if self._away_until is not None and self._clock() < self._away_until:
            return question(self._memory)
        try:
            answer = question(self._opened())
        except (PipelineError, OSError) as error:
            self._leave(error)
            return question(self._memory)
        if self._away_until is not None:
            logger.info("the registry is back: circuit breakers are shared again")
            self._away_until = None
        return answer

    def _leave(self, error: Exception) -> None:
        if self._away_until is None:
            logger.warning("circuit breakers are this process's alone until the registry is back: %s", told(error))
        self._away_until = self._clock() + AWAY_SECONDS
