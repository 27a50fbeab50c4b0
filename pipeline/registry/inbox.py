"""The inbox: messages of other systems, each kept once however often it comes, and what each has led to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from pipeline.registry.repository import Repository, columns_of, insert_into, now
from pipeline.registry.tables import InboxMessage


@dataclass(frozen=True)
class Incoming:
    """A message that was read and checked; `message_id` is the name under which repeats are dropped."""

    message_id: str
    type: str
    tenant_id: str
    body: str


@dataclass(frozen=True)
class InboxRecord:
    """A message as it lies in the inbox; `asked_at` is when a run was last asked for because of it."""

    id: int
    message_id: str
    type: str
    tenant_id: str
    body: str
    received_at: datetime
    asked_at: datetime | None
    handled_at: datetime | None
    outcome: str | None


_COLUMNS = columns_of(InboxMessage, InboxRecord.__dataclass_fields__)


class Inbox(Repository):
    """The table `inbox`."""

    def take_in(self, message: Incoming) -> bool:
        """Keep a message; False where it is there already."""
        with self._writing() as connection:
            statement = insert_into(connection, InboxMessage).values(**vars(message), received_at=now())
            return connection.execute(statement.on_conflict_do_nothing(index_elements=["message_id"])).rowcount == 1

    def messages(self, tenant_id: str | None = None, *, waiting: bool = False, limit: int = 50) -> list[InboxRecord]:
        """Return the last messages, the last first: of one tenant or, for whoever runs the installation, of all."""
        query = select(*_COLUMNS)
        if tenant_id is not None:
            query = query.where(InboxMessage.tenant_id == tenant_id)
        if waiting:
            query = query.where(InboxMessage.handled_at.is_(None))
        with self._reading() as connection:
            rows = connection.execute(query.order_by(InboxMessage.id.desc()).limit(limit))
            return [InboxRecord(**row._asdict()) for row in rows]

    def waiting_messages(self, limit: int | None = None) -> list[InboxRecord]:
        """Return messages that nothing has come of yet, the first received first."""
        query = select(*_COLUMNS).where(InboxMessage.handled_at.is_(None)).order_by(InboxMessage.id).limit(limit)
        with self._reading() as connection:
            return [InboxRecord(**row._asdict()) for row in connection.execute(query)]

    def unclaimed_messages(self, limit: int, again_after: timedelta) -> list[InboxRecord]:
        """Return those of them that can be claimed: no run was asked for because of them, or so long ago."""
        free = or_(InboxMessage.asked_at.is_(None), InboxMessage.asked_at < now() - again_after)
        query = select(*_COLUMNS).where(InboxMessage.handled_at.is_(None), free).order_by(InboxMessage.id).limit(limit)
        with self._reading() as connection:
            return [InboxRecord(**row._asdict()) for row in connection.execute(query)]

    def claim_request(self, message_id: int, again_after: timedelta) -> bool:
        """Say that a run is asked for because of a message now; False where somebody else just did, or it is handled.

        Of several who claim the same message at once one alone is told True. A claim that led to nothing, since its
        process died, can be made again after a while.
        """
        asked = InboxMessage.asked_at
        free = or_(asked.is_(None), asked < now() - again_after)
        mine = (InboxMessage.id == message_id, InboxMessage.handled_at.is_(None), free)
        with self._writing() as connection:
            return connection.execute(update(InboxMessage).where(*mine).values(asked_at=now())).rowcount == 1

    def mark_handled(self, message_id: int, outcome: str) -> None:
        """Record what a message has led to; what was recorded before stays."""
        open_ = (InboxMessage.id == message_id, InboxMessage.handled_at.is_(None))
        with self._writing() as connection:
            connection.execute(update(InboxMessage).where(*open_).values(handled_at=now(), outcome=outcome))
