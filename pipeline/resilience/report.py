"""What calls to services cost: how many attempts, how long was waited, the last fault."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """Calls, attempts (as many as calls where all went well), seconds waited between them, and the last fault.

    `seconds_left_alone` are those of the seconds waited in which a breaker was open.
    """

    calls: int = 0
    attempts: int = 0
    seconds_waited: float = 0.0
    seconds_left_alone: float = 0.0
    last_fault: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(
        self,
        *,
        calls: int = 0,
        attempts: int = 0,
        waited: float = 0.0,
        left_alone: float = 0.0,
        fault: str | None = None,
    ) -> None:
        """Add what was done; safe from several threads."""
        with self._lock:
            self.calls += calls
            self.attempts += attempts
            self.seconds_waited += waited
            self.seconds_left_alone += left_alone
            self.last_fault = fault or self.last_fault

    def metadata(self) -> dict[str, Any]:
        """Return it as plain values for an asset's metadata or a log.

        `seconds_left_alone` and `last_fault` only where there are any.
        """
        told: dict[str, Any] = {
            "calls": self.calls,
            "attempts": self.attempts,
            "seconds_waited": round(self.seconds_waited, 3),
        }
        if self.seconds_left_alone:
            told["seconds_left_alone"] = round(self.seconds_left_alone, 3)
        return told | ({"last_fault": self.last_fault} if self.last_fault else {})


_OPEN: ContextVar[tuple[Report, ...]] = ContextVar("_OPEN", default=())


@contextmanager
def reported() -> Iterator[Report]:
    """Collect what every call within the block costs, whoever makes it; blocks may be nested.

    A thread that is started within the block is not seen, unless it runs in a copy of the context.
    """
    report = Report()
    token = _OPEN.set((*_OPEN.get(), report))
    try:
        yield report
    finally:
        _OPEN.reset(token)


def note(
    *, calls: int = 0, attempts: int = 0, waited: float = 0.0, left_alone: float = 0.0, fault: str | None = None
) -> None:
    """Add to every report that is open."""
    for report in _OPEN.get():
        report.add(calls=calls, attempts=attempts, waited=waited, left_alone=left_alone, fault=fault)
