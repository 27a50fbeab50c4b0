"""Circuit breakers: what all processes of an installation know of services that may be down."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from pipeline.errors import NotRegisteredError
from pipeline.registry.audit import write_audit
from pipeline.registry.records import Action, BreakerRecord
from pipeline.registry.repository import Repository, columns_of, insert_into, now
from pipeline.registry.tables import CircuitBreaker

_COLUMNS = columns_of(CircuitBreaker, (field.name for field in fields(BreakerRecord)))
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"


class Breakers(Repository):
    """The table `circuit_breakers`; each method is one transaction, so that no two processes undo each other's."""

    def breaker(self, name: str) -> BreakerRecord | None:
        """Return what is known of a breaker; None where its service has never failed."""
        with self._reading() as connection:
            row = connection.execute(select(*_COLUMNS).where(CircuitBreaker.name == name)).one_or_none()
        return None if row is None else BreakerRecord(**row._asdict())

    def breakers(self) -> list[BreakerRecord]:
        """Return all of them by name."""
        with self._reading() as connection:
            rows = connection.execute(select(*_COLUMNS).order_by(CircuitBreaker.name))
            return [BreakerRecord(**row._asdict()) for row in rows]

    def count_failure(self, name: str, error: str) -> int:
        """Add one failure with its text, which holds no secret; return how many there are in a row."""
        values = {"name": name, "state": CLOSED, "failures": 1, "changed_at": now(), "last_error": error}
        with self._writing() as connection:
            statement = insert_into(connection, CircuitBreaker).values(**values)
            counted = statement.on_conflict_do_update(
                index_elements=["name"], set_={"failures": CircuitBreaker.failures + 1, "last_error": error}
            )
            return connection.scalars(counted.returning(CircuitBreaker.failures)).one()

    def forget_failures(self, name: str) -> None:
        """Begin to count anew, unless the breaker is open."""
        with self._writing() as connection:
            known = update(CircuitBreaker).where(CircuitBreaker.name == name, CircuitBreaker.state == CLOSED)
            connection.execute(known.values(failures=0))

    def open_breaker(self, name: str) -> None:
        """Leave the service alone from now on; where it was already, `opened_at` stays."""
        at = now()
        changed: dict[str, Any] = {"state": OPEN, "changed_at": at}
        with self._writing() as connection:
            statement = insert_into(connection, CircuitBreaker).values(name=name, failures=0, opened_at=at, **changed)
            kept = func.coalesce(CircuitBreaker.opened_at, at)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["name"], set_={**changed, "opened_at": kept})
            )

    def begin_trial(self, name: str, seen: datetime) -> bool:
        """Make an open breaker half-open, unless it has changed since `seen`; whether it was this call that did."""
        with self._writing() as connection:
            unchanged = (CircuitBreaker.name == name, CircuitBreaker.state != CLOSED, CircuitBreaker.changed_at == seen)
            begun = update(CircuitBreaker).where(*unchanged).values(state=HALF_OPEN, changed_at=now())
            return connection.execute(begun.returning(CircuitBreaker.name)).one_or_none() is not None

    def close_breaker(self, name: str) -> None:
        """Let all calls through again."""
        with self._writing() as connection:
            connection.execute(update(CircuitBreaker).where(CircuitBreaker.name == name).values(**_closed()))

    def reset_breaker(self, name: str, *, tenant_id: str, actor: str, reason: str) -> BreakerRecord:
        """Close a breaker by hand, with an entry in the audit; return what it was.

        Args:
            name: which.
            tenant_id: whose audit; empty where the service is everybody's.
            actor: who did it.
            reason: why.

        Raises:
            NotRegisteredError: there is none of that name.
        """
        with self._writing() as connection:
            known = select(*_COLUMNS).where(CircuitBreaker.name == name).with_for_update()
            row = connection.execute(known).one_or_none()
            if row is None:
                raise NotRegisteredError(f"no circuit breaker is called {name!r}: `pipeline breakers list` shows all")
            was = BreakerRecord(**row._asdict())
            connection.execute(update(CircuitBreaker).where(CircuitBreaker.name == name).values(**_closed()))
            since = was.opened_at.isoformat() if was.opened_at else None
            details = {"state": was.state, "failures": was.failures, "opened_at": since, "last_error": was.last_error}
            write_audit(connection, tenant_id, Action.RESET_BREAKER, name, actor, reason, details)
        return was


def _closed() -> dict[str, Any]:
    return {"state": CLOSED, "failures": 0, "opened_at": None, "changed_at": now()}
