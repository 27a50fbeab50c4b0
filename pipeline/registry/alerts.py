"""Alerts: what needs a person, told once when it begins and once when it is well again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select, update

from contracts import AlertEnded, AlertRaised, Severity
from pipeline.errors import NotRegisteredError
from pipeline.registry.audit import write_audit
from pipeline.registry.locks import one_at_a_time
from pipeline.registry.outbox import write_event
from pipeline.registry.records import Action, AlertRecord
from pipeline.registry.repository import Repository, columns_of, now
from pipeline.registry.tables import Alert

_COLUMNS = columns_of(Alert, (field.name for field in fields(AlertRecord)))


@dataclass(frozen=True)
class Subject:
    """What an alert is about: its kind, whose (empty: the whole installation's), and what."""

    kind: str
    tenant_id: str
    name: str


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a subject, how much it matters, and what would help."""

    severity: Severity
    message: str
    action: str


class Alerts(Repository):
    """The table `alerts`.

    What is noted names the moment at which it happened. A moment that is not after all that is known of the subject
    changes nothing: whoever looks again, or at the same time as another, raises nothing twice.
    """

    def is_news(self, subject: Subject, at: datetime) -> bool:
        """Whether trouble at this moment would be news of the subject: what says of which kind it is may be dear."""
        with self._reading() as connection:
            return _news(_newest(connection, subject), at)

    def note_trouble(self, subject: Subject, trouble: Trouble, at: datetime) -> bool:
        """Raise an alert, or count one more time of an open one; whether it was raised."""
        with self._writing() as connection:
            last = _last(connection, subject)
            if not _news(last, at):
                return False
            said = {"severity": trouble.severity, "message": trouble.message, "action": trouble.action}
            if last is not None and last.ended_at is None:
                again = update(Alert).where(Alert.id == last.id).values(**said, last_at=at, times=Alert.times + 1)
                connection.execute(again)
                return False
            names = {"kind": subject.kind, "tenant_id": subject.tenant_id, "subject": subject.name}
            made = insert(Alert).values(**names, **said, times=1, raised_at=at, last_at=at)
            number = connection.execute(made.returning(Alert.id)).scalar_one()
            event = AlertRaised(**_told(_by_id(connection, number)), recommended_action=trouble.action)
            write_event(connection, event)
        return True

    def note_well(self, subject: Subject, outcome: str, at: datetime) -> bool:
        """End the subject's open alert, if there is one from before this moment; whether there was."""
        with self._writing() as connection:
            last = _last(connection, subject)
            if last is None or last.ended_at is not None or at <= last.last_at:
                return False
            _end(connection, last, outcome, at)
        return True

    def close_alert(self, number: int, *, actor: str, reason: str) -> AlertRecord:
        """End an alert by hand, with an entry in the audit; return what it was.

        Raises:
            NotRegisteredError: no open alert has this number.
        """
        with self._writing() as connection:
            row = connection.execute(select(*_COLUMNS).where(Alert.id == number).with_for_update()).one_or_none()
            if row is None or row.ended_at is not None:
                raise NotRegisteredError(f"no open alert has the number {number}: `pipeline alerts list` shows all")
            was = _record(row)
            _end(connection, was, f"closed by {actor}: {reason}", now())
            subject = f"alert {number}: {was.kind} of {was.subject}"
            details = {"message": was.message, "times": was.times, "raised_at": was.raised_at.isoformat()}
            write_audit(connection, was.tenant_id, Action.CLOSE_ALERT, subject, actor, reason, details)
        return was

    def alerts(self, tenant_id: str | None = None, *, ended: bool = False, limit: int | None = 50) -> list[AlertRecord]:
        """Return the alerts, the last first: those that are open, or all of them.

        Args:
            tenant_id: whose; None, for whoever runs the installation, all.
            ended: those that have ended, too.
            limit: so many at the most.
        """
        query = select(*_COLUMNS)
        if tenant_id is not None:
            query = query.where(Alert.tenant_id == tenant_id)
        if not ended:
            query = query.where(Alert.ended_at.is_(None))
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query.order_by(Alert.id.desc()).limit(limit))]


def _last(connection: Connection, subject: Subject) -> AlertRecord | None:
    """The last alert of a subject; until the transaction ends nobody else notes anything of it."""
    one_at_a_time(connection, f"alert {subject.kind} {subject.tenant_id} {subject.name}")
    return _newest(connection, subject)


def _newest(connection: Connection, subject: Subject) -> AlertRecord | None:
    mine = (Alert.kind == subject.kind, Alert.tenant_id == subject.tenant_id, Alert.subject == subject.name)
    row = connection.execute(select(*_COLUMNS).where(*mine).order_by(Alert.raised_at.desc()).limit(1)).one_or_none()
    return None if row is None else _record(row)


def _news(last: AlertRecord | None, at: datetime) -> bool:
    return last is None or at > max(last.last_at, last.ended_at or last.last_at)


def _by_id(connection: Connection, number: int) -> AlertRecord:
    return _record(connection.execute(select(*_COLUMNS).where(Alert.id == number)).one())


def _end(connection: Connection, alert: AlertRecord, outcome: str, at: datetime) -> None:
    connection.execute(update(Alert).where(Alert.id == alert.id).values(ended_at=at, outcome=outcome))
    write_event(connection, AlertEnded(**_told(alert), outcome=outcome))


def _told(alert: AlertRecord) -> dict[str, Any]:
    """What an event says of an alert."""
    return {
        "event_id": uuid4().hex,
        "alert_id": alert.id,
        "kind": alert.kind,
        "tenant_id": alert.tenant_id or None,
        "subject": alert.subject,
        "severity": alert.severity,
        "message": alert.message,
        "timestamp": now(),
    }


def _record(row: Any) -> AlertRecord:
    return AlertRecord(**{**row._asdict(), "severity": Severity(row.severity)})
