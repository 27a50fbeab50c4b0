"""Circuit breakers: a service that failed several times in a row is left alone for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitBreakerError

from pipeline.errors import ServiceUnavailableError
from pipeline.resilience.faults import told, transient
from pipeline.resilience.storage import Row, Storage, Table, began_at
from pipeline.settings import Settings

T = TypeVar("T")
LONGEST_NAME = 100
"""Letters that the registry keeps of a name."""


class Service(StrEnum):
    """What services give us."""

    SALES = "sales"
    WEATHER = "weather"
    TRAFFIC = "traffic"


@dataclass(frozen=True)
class Limits:
    """A breaker opens after so many failures in a row, for so many seconds."""

    failures: int
    seconds: float


def limits(service: Service, settings: Settings) -> Limits:
    """Return a service's limits from the settings BREAKER_SERVICE_FAILURES and _SECONDS."""
    if service is Service.SALES:
        return Limits(settings.breaker_sales_failures, settings.breaker_sales_seconds)
    if service is Service.WEATHER:
        return Limits(settings.breaker_weather_failures, settings.breaker_weather_seconds)
    return Limits(settings.breaker_traffic_failures, settings.breaker_traffic_seconds)


def breaker_name(service: Service, address: str, tenant_id: str | None = None) -> str:
    """Return the name of the breaker that calls share.

    Sales are a tenant's own, and so is their breaker: `sales:TENANT`, also where many use the same provider, since the
    login or its quota may be what fails. A public service is one for all: `weather:HOST`, with its port where the
    address names one. Where a tenant has a login of its own there: `weather:TENANT@HOST`.
    """
    if service is Service.SALES and tenant_id is not None:
        return f"{service}:{tenant_id}"
    parts = urlsplit(address)
    host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    name = f"{service}:{host}" if tenant_id is None else f"{service}:{tenant_id}@{host}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 13]}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def tenant_of(name: str) -> str | None:
    """Return the tenant whose breaker this is; None where it is everybody's."""
    service, _, rest = name.partition(":")
    tenant_id, at, _ = rest.partition("@")
    return tenant_id if at or service == Service.SALES else None


def seconds_of(name: str, settings: Settings) -> float:
    """Return for how long a breaker, known by its name, leaves its service alone."""
    return limits(Service(name.partition(":")[0]), settings).seconds


def tried_again_at(row: Row, seconds: float) -> datetime | None:
    """Return when a breaker lets the next call through; None where it lets all through.

    While a trial is under way, that is when another caller may try, should the first one have died.
    """
    if row.state == STATE_CLOSED:
        return None
    began = began_at(row)
    return datetime.now(UTC) if began is None else began + timedelta(seconds=seconds)


class Breaker:
    """The breaker of one service; safe to share between threads, and by its table between processes.

    Closed, it lets calls through and counts transient faults in a row. Open, it raises at once. When its time is up it
    is half-open: one caller tries, all others are refused still; a success closes it, a failure opens it again.
    """

    def __init__(self, name: str, bounds: Limits, table: Table) -> None:
        self.name, self._limits, self._table = name, bounds, table

    def call(self, function: Callable[[], T]) -> T:
        """Return what the function returns.

        Raises:
            ServiceUnavailableError: the breaker is open, or this failure opened it (then the failure is its cause).
            Exception: whatever the function raises.
        """
        storage = Storage(self.name, self._table)

        def watched() -> T:
            try:
                return function()
            except Exception as error:
                storage.last_error = told(error)
                raise
            except BaseException:
                storage.undecided = True  # Interrupted from outside: that says nothing of the service.
                raise

        # One of pybreaker's objects a call: it would hold its lock, and so all other threads, as long as a call takes.
        guard = CircuitBreaker(
            self._limits.failures, self._limits.seconds, exclude=[_of_caller], state_storage=storage, name=self.name
        )
        try:
            result: T = guard.call(watched)
        except CircuitBreakerError as error:
            fault = error.__context__ if storage.last_error else None
            raise ServiceUnavailableError(self._refusal()) from fault
        return result

    def seconds_left(self) -> float:
        """Return for how long calls are refused from now on; 0 where the next one is let through."""
        row = self._table.breaker(self.name)
        again = tried_again_at(row, self._limits.seconds) if row else None
        return 0.0 if again is None else max((again - datetime.now(UTC)).total_seconds(), 0.0)

    def _refusal(self) -> str:
        row = self._table.breaker(self.name)
        again = tried_again_at(row, self._limits.seconds) if row else None
        if row is None or again is None:
            return f"the service {self.name} failed a moment ago and was reset since; try again"
        return (
            f"the service {self.name} is left alone since {_moment(row.opened_at or row.changed_at)} after "
            f"{row.failures} failures in a row (last: {row.last_error}); it is tried again at {_moment(again)}; "
            f"once it is mended, `pipeline breakers reset {self.name} --reason TEXT` lets calls through at once"
        )


def _of_caller(error: BaseException) -> bool:
    """Faults that say nothing against the service."""
    return not transient(error)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
