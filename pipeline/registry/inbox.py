"""The inbox: messages of other systems, each kept once however often it comes, and what each has led to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update

from pipeline.registry.locks import one_at_a_time
from pipeline.registry.repository import Repository, columns_of, insert_into, now
from pipeline.registry.tables import InboxMessage


@dataclass(frozen=True)
class Incoming:
    """A message that was read and checked.

    `message_id` is the name under which repeats are dropped; the lower its `rank`, the sooner a run is asked for.
    """

    message_id: str
    type: str
    tenant_id: str
    body: str
    rank: int = 0


@dataclass(frozen=True)
class InboxRecord:
    """A message as it lies in the inbox; `asked_at` is when a run was last asked for because of it, by `run_key`."""

    id: int
    message_id: str
    type: str
    tenant_id: str
    body: str
    rank: int
    received_at: datetime
    asked_at: datetime | None
    run_key: str | None
    handled_at: datetime | None
    outcome: str | None

    @property
    def key(self) -> str:
        """The run that it waits for: one that was asked for already, else its own.

        It holds the moment as well as the name: a name that comes again once the first was purged is another message.
        """
        return self.run_key or f"{self.message_id} {self.received_at.isoformat()}"


_COLUMNS = columns_of(InboxMessage, InboxRecord.__dataclass_fields__)


class Inbox(Repository):
    """The table `inbox`."""

    def take_in(self, message: Incoming) -> bool:
        """Keep a message; False where it is there already."""
        return self.take_in_all([message])[0]

    def take_in_all(self, messages: Sequence[Incoming]) -> list[bool]:
        """Keep messages in one transaction, all or none; of each whether it is new."""
        with self._writing() as connection:
            if len(messages) > 1:  # Two that keep the same ones in different orders would wait for each other.
                one_at_a_time(connection, "inbox")
            return [_keep(connection, message) for message in messages]

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
        """Return those of them that can be claimed, the most urgent first: no run was asked for, or so long ago."""
        free = or_(InboxMessage.asked_at.is_(None), InboxMessage.asked_at < now() - again_after)
        query = select(*_COLUMNS).where(InboxMessage.handled_at.is_(None), free)
        query = query.order_by(InboxMessage.rank, InboxMessage.id).limit(limit)
        with self._reading() as connection:
            return [InboxRecord(**row._asdict()) for row in connection.execute(query)]

    def claim_request(self, message: InboxRecord, again_after: timedelta, *, together: bool = False) -> bool:
        """Say that a run is asked for because of a message now; False where somebody else just did, or it is handled.

        Of several who claim the same message at once one alone is told True. A claim that led to nothing, since its
        process died, can be made again after a while; it is for the same run.

        Args:
            message: which.
            again_after: so long after a claim another can be made.
            together: claim what waits of its tenant and kind for the same run: what no run was asked for yet, or,
                where its own was, what waits for that.
        """
        asked = InboxMessage.asked_at
        free = (InboxMessage.handled_at.is_(None), or_(asked.is_(None), asked < now() - again_after))
        claimed = update(InboxMessage).where(*free).values(asked_at=now(), run_key=message.key)
        with self._writing() as connection:
            if connection.execute(claimed.where(InboxMessage.id == message.id)).rowcount == 0:
                return False
            if together:
                alike = (InboxMessage.tenant_id == message.tenant_id, InboxMessage.type == message.type)
                known = InboxMessage.run_key
                same = known.is_(None) if message.run_key is None else known == message.run_key
                connection.execute(claimed.where(*alike, same))
        return True

    def mark_handled(self, message_id: int, outcome: str) -> None:
        """Record what a message has led to; what was recorded before stays."""
        open_ = (InboxMessage.id == message_id, InboxMessage.handled_at.is_(None))
        with self._writing() as connection:
            connection.execute(update(InboxMessage).where(*open_).values(handled_at=now(), outcome=outcome))


def _keep(connection: Connection, message: Incoming) -> bool:
    statement = insert_into(connection, InboxMessage).values(**vars(message), received_at=now())
    return connection.execute(statement.on_conflict_do_nothing(index_elements=["message_id"])).rowcount == 1
