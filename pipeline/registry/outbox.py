"""The outbox: events for other systems, written in the transaction of what they tell, and sent afterwards."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from contracts import AlertEnded, AlertRaised, TrainingCompleted, TrainingFailed
from pipeline.errors import NotRegisteredError
from pipeline.places import LONGEST
from pipeline.registry.audit import write_audit
from pipeline.registry.locks import one_at_a_time
from pipeline.registry.records import Action
from pipeline.registry.repository import Repository, columns_of, now
from pipeline.registry.tables import OutboxEvent

Event = TrainingCompleted | TrainingFailed | AlertRaised | AlertEnded


@dataclass(frozen=True)
class OutboxRecord:
    """One event as it lies in the outbox; `body` is the JSON that is sent.

    While it waits `published_at` and `dropped_at` are None. `tenant_id` is empty where it concerns the whole
    installation.
    """

    id: int
    event_id: str
    tenant_id: str
    type: str
    body: str
    created_at: datetime
    published_at: datetime | None
    dropped_at: datetime | None


_COLUMNS = columns_of(OutboxEvent, OutboxRecord.__dataclass_fields__)
_WAITS = (OutboxEvent.published_at.is_(None), OutboxEvent.dropped_at.is_(None))


class Outbox(Repository):
    """The table `outbox`."""

    def unpublished(self, limit: int, but: Collection[str] = ()) -> list[OutboxRecord]:
        """Return events that wait, the first written first, but those of some tenants."""
        query = select(*_COLUMNS).where(*_WAITS, OutboxEvent.tenant_id.not_in(but))
        with self._reading() as connection:
            rows = connection.execute(query.order_by(OutboxEvent.id).limit(limit))
            return [OutboxRecord(**row._asdict()) for row in rows]

    def waiting_events(self) -> int:
        """Return how many events wait."""
        query = select(func.count()).select_from(OutboxEvent).where(*_WAITS)
        with self._reading() as connection:
            return connection.scalar(query) or 0

    def mark_published(self, ids: Collection[int]) -> None:
        """Record that events have arrived where they were sent; who dropped one in the meantime came too late."""
        arrived = update(OutboxEvent).where(OutboxEvent.id.in_(ids)).values(published_at=now(), dropped_at=None)
        with self._writing() as connection:
            connection.execute(arrived)

    def give_up_event(self, event_id: str, *, actor: str, reason: str) -> OutboxRecord:
        """Drop an event that waits, with an entry in the audit; return what it was.

        It stays in the table for as long as those that were sent.

        Raises:
            NotRegisteredError: no event of this id waits.
        """
        with self._writing() as connection:
            known = select(*_COLUMNS).where(OutboxEvent.event_id == event_id, *_WAITS)
            row = connection.execute(known.with_for_update()).one_or_none()
            if row is None:
                raise NotRegisteredError(
                    f"no event {event_id!r} waits: `pipeline events list --waiting --json` shows those that do"
                )
            was = OutboxRecord(**row._asdict())
            connection.execute(update(OutboxEvent).where(OutboxEvent.id == was.id).values(dropped_at=now()))
            details = {"type": was.type, "created_at": was.created_at.isoformat(), "body": was.body[:LONGEST]}
            write_audit(connection, was.tenant_id, Action.DROP_EVENT, f"event {event_id}", actor, reason, details)
        return was

    def events(self, tenant_id: str | None = None, *, waiting: bool = False, limit: int = 50) -> list[OutboxRecord]:
        """Return the last events, the last first: of one tenant or, for whoever runs the installation, of all."""
        query = select(*_COLUMNS)
        if tenant_id is not None:
            query = query.where(OutboxEvent.tenant_id == tenant_id)
        if waiting:
            query = query.where(*_WAITS)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(OutboxEvent.id.desc()).limit(limit))
            return [OutboxRecord(**row._asdict()) for row in rows]


def before_events(connection: Connection, tenant_id: str) -> None:
    """Keep others from writing a tenant's events until the transaction ends.

    Whoever writes an event and locks a job's row, by changing it or by writing what refers to it, does this first:
    two that took the one and waited for the other would wait for ever.
    """
    one_at_a_time(connection, f"outbox {tenant_id}")


def write_event(connection: Connection, event: Event) -> None:
    """Write an event within the transaction that does what it tells; both are there, or neither.

    A tenant's events get their ids one transaction after the other: a later id is never to be seen before an earlier
    one.
    """
    tenant_id = event.tenant_id or ""
    before_events(connection, tenant_id)
    values = {
        "event_id": event.event_id,
        "tenant_id": tenant_id,
        "type": event.event_type,
        "body": event.model_dump_json(),
        "created_at": event.timestamp,
    }
    connection.execute(insert(OutboxEvent).values(**values))
