"""The services that an installation calls: each with its repetitions, its breaker and its recent record."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

from pipeline.resilience.breakers import Breaker, Service, breaker_name, limits
from pipeline.resilience.memory import Fallback, Memory
from pipeline.resilience.policies import Kind, Policy, policy
from pipeline.resilience.record import Record
from pipeline.resilience.retry import Time, again
from pipeline.resilience.storage import Table
from pipeline.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Guard:
    """What stands before one service: repetitions, fewer of them where its record is bad, and its breaker.

    Each attempt passes the breaker, so that a trial is one request, and an open breaker ends the repetitions.
    """

    rule: Policy
    breaker: Breaker
    record: Record = field(default_factory=Record)
    time: Time = field(default_factory=Time)

    @property
    def name(self) -> str:
        """The breaker's name, such as `sales:TENANT`."""
        return self.breaker.name

    def within(self, seconds: float) -> Self:
        """Return the same guard with no repetition later than so many seconds after the first attempt."""
        return replace(self, rule=replace(self.rule, total_seconds=min(self.rule.total_seconds, seconds)))

    def call(self, function: Callable[[], T]) -> T:
        """Return what the function returns; it must be safe to call it twice.

        Raises:
            ServiceUnavailableError: the breaker is open, or this failure opened it.
            Exception: whatever the function raised last.
        """
        return again(lambda: self.breaker.call(function), self.rule, self.name, record=self.record, time=self.time)


class Services:
    """Makes guards; safe to share between threads.

    Args:
        settings: policies and limits.
        opened: returns the table of breakers that processes share; unset: each process has its own.
    """

    def __init__(self, settings: Settings, opened: Callable[[], Table] | None = None) -> None:
        self._settings = settings
        self._table: Table = Memory() if opened is None else Fallback(opened)
        self._guards: dict[tuple[Kind, str], Guard] = {}
        self._lock = threading.Lock()

    def guard(self, kind: Kind, service: Service, address: str, tenant_id: str | None = None) -> Guard:
        """Return what stands before a service; the same one for the same kind and name.

        Args:
            kind: how calls are repeated.
            service: what it gives us, which says when its breaker opens.
            address: its URL.
            tenant_id: whose it is; unset for a public service.

        Raises:
            ConfigurationError: the settings of the repetitions contradict each other.
        """
        name = breaker_name(service, address, tenant_id)
        with self._lock:
            if (kind, name) not in self._guards:
                breaker = Breaker(name, limits(service, self._settings), self._table)
                self._guards[kind, name] = Guard(policy(kind, self._settings), breaker)
            return self._guards[kind, name]
