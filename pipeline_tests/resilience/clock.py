"""Time that passes when a test says so: hours cost nothing, and no test hurries to be done before a breaker's end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from pipeline.registry import Registry
from pipeline.registry.tables import CircuitBreaker
from pipeline.resilience.memory import Memory
from pipeline.resilience.retry import Time


class Clock:
    """Seconds since it was made; `slept` are the waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def read(self) -> float:
        """What it shows."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds

    @property
    def time(self) -> Time:
        """For those who repeat calls."""
        return Time(self.read, self.sleep)


def let_pass(table: Memory | Registry, name: str, seconds: float) -> None:
    """Let so much time pass for a breaker: what changed last did so earlier."""
    known = table.breaker(name)
    assert known is not None
    earlier = known.changed_at - timedelta(seconds=seconds)
    if isinstance(table, Memory):
        table._rows[name] = replace(table._rows[name], changed_at=earlier)
        return
    with table._writing() as connection:
        connection.execute(update(CircuitBreaker).where(CircuitBreaker.name == name).values(changed_at=earlier))
