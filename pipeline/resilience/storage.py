"""What breakers remember, and how one call sees it through pybreaker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreakerError, CircuitBreakerStorage


class Row(Protocol):
    """What is known of one breaker; `changed_at` is when its state changed, or a trial began."""

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""

    @property
    def failures(self) -> int:
        """Failures in a row."""

    @property
    def opened_at(self) -> datetime | None:
        """Since when the service is left alone."""

    @property
    def changed_at(self) -> datetime:
        """When the state changed."""

    @property
    def last_error(self) -> str | None:
        """The last failure, in words."""


class Table(Protocol):
    """Breakers by name; each method is one atomic step."""

    def breaker(self, name: str) -> Row | None:
        """Return what is known; None where the service has never failed."""

    def count_failure(self, name: str, error: str) -> int:
        """Add one failure; return how many there are now, whoever else counts."""

    def forget_failures(self, name: str) -> None:
        """Begin to count anew, unless it is open."""

    def open_breaker(self, name: str) -> None:
        """Leave the service alone from now on; where it was already, `opened_at` stays."""

    def begin_trial(self, name: str, seen: datetime) -> bool:
        """Make it half-open, unless it has changed since `seen`; whether it was this call that did."""

    def close_breaker(self, name: str) -> None:
        """Let all calls through again."""


SKEW = timedelta(minutes=1)
"""What the clocks of several machines may differ by."""


def began_at(row: Row) -> datetime | None:
    """Return when a breaker's time began to count; None where that is in the future, further than clocks differ.

    Then the clock was set back since, and nobody knows how long ago it was: the time counts as over, lest the service
    be left alone for as long as the clock was wrong.
    """
    return row.changed_at if row.changed_at <= datetime.now(UTC) + SKEW else None


class Storage(CircuitBreakerStorage):
    """One call's view of a breaker.

    A trial is its caller's alone: to everybody else a half-open breaker is open, and its time counts from the trial's
    beginning. So whoever dies within a trial does not keep the others away for ever.
    """

    def __init__(self, name: str, table: Table) -> None:
        super().__init__(name)
        self._table, self._row, self._trial = table, table.breaker(name), False
        self._failures = self._row.failures if self._row else 0
        self.last_error = ""
        self.undecided = False

    @property
    def state(self) -> str:
        """The state for this caller."""
        if self._trial:
            return STATE_HALF_OPEN
        return STATE_CLOSED if self._row is None or self._row.state == STATE_CLOSED else STATE_OPEN

    @state.setter
    def state(self, state: str) -> None:
        if state == STATE_HALF_OPEN:
            self._begin()
        elif state == STATE_OPEN:
            self._table.open_breaker(self.name)
            self._trial = False
        elif not self.undecided:
            self._table.close_breaker(self.name)
            self._trial = False

    def _begin(self) -> None:
        if self._row is None or not self._table.begin_trial(self.name, self._row.changed_at):
            raise CircuitBreakerError("another caller is trying it")
        self._trial = True

    @property
    def counter(self) -> int:
        """Failures in a row, as far as this caller knows."""
        return self._failures

    def increment_counter(self) -> None:
        """Count the failure that `last_error` tells of."""
        self._failures = self._table.count_failure(self.name, self.last_error)

    def reset_counter(self) -> None:
        """Begin to count anew; where nothing was counted, nothing is written."""
        if self._failures and not self._trial and not self.undecided:
            self._table.forget_failures(self.name)

    @property
    def success_counter(self) -> int:
        """One success closes."""
        return 1

    @property
    def opened_at(self) -> datetime | None:
        """When the time of this caller began to count; None: it is over."""
        return None if self._row is None else began_at(self._row)

    @opened_at.setter
    def opened_at(self, datetime: datetime) -> None:
        """The table sets it with the state."""
