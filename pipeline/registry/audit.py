"""The audit: who did what to whose models, when and why. It is added to, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, insert, select

from pipeline.registry.records import Action, AuditRecord
from pipeline.registry.repository import Repository, columns_of, now, plain_json
from pipeline.registry.tables import AuditEntry

_COLUMNS = columns_of(AuditEntry, (field.name for field in fields(AuditRecord)))


class Audit(Repository):
    """The table `audit`."""

    def record_action(
        self,
        tenant_id: str,
        action: Action,
        subject: str,
        *,
        actor: str,
        reason: str,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an entry for what was done outside the registry's own transactions.

        Raises:
            RegistryError: `details` holds what JSON cannot.
        """
        with self._writing() as connection:
            write_audit(connection, tenant_id, action, subject, actor, reason, details or {})

    def audit(self, tenant_id: str, limit: int = 100) -> list[AuditRecord]:
        """Return what was done to a tenant's models, the last first."""
        query = select(*_COLUMNS).where(AuditEntry.tenant_id == tenant_id)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(AuditEntry.id.desc()).limit(limit))
            return [AuditRecord(**{**row._asdict(), "action": Action(row.action)}) for row in rows]


def write_audit(
    connection: Connection,
    tenant_id: str,
    action: Action,
    subject: str,
    actor: str,
    reason: str,
    details: Mapping[str, Any],
) -> None:
    """Add an entry within the transaction that does what it tells."""
    values = {
        "at": now(),
        "actor": actor,
        "action": action,
        "tenant_id": tenant_id,
        "subject": subject,
        "reason": reason,
        "details": plain_json(details, f"the audit of {subject}"),
    }
    connection.execute(insert(AuditEntry).values(**values))
