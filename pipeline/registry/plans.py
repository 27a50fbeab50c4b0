"""The plan of a job (which products are due) and its ledger (what became of them)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from contracts import LedgerRow, PlanRow
from pipeline.keys import slug
from pipeline.registry.repository import Repository, columns_of, require_job, upsert
from pipeline.registry.tables import TrainingLedger, TrainingPlan

_PLAN = columns_of(TrainingPlan, PlanRow.model_fields)
_LEDGER = columns_of(TrainingLedger, LedgerRow.model_fields)


class Plans(Repository):
    """The tables `training_plan` and `training_ledger`."""

    def save_plan(self, job_id: str, rows: Iterable[PlanRow]) -> None:
        """Store a job's plan, in the order given; a plan stored before is replaced.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: a row is of another tenant than the job.
        """
        kept = list(rows)
        with self._writing() as connection:
            for tenant_id in {row.tenant_id for row in kept}:
                require_job(connection, job_id, tenant_id)
            connection.execute(delete(TrainingPlan).where(TrainingPlan.job_id == job_id))
            if kept:
                connection.execute(insert(TrainingPlan), [{"job_id": job_id, **_values(row)} for row in kept])

    def plan(self, tenant_id: str, job_id: str) -> list[PlanRow]:
        """Return the plan of a tenant's job in the order in which it was stored; empty when it has none."""
        query = select(*_PLAN).where(TrainingPlan.tenant_id == tenant_id, TrainingPlan.job_id == job_id)
        query = query.order_by(TrainingPlan.id)
        with self._reading() as connection:
            return [PlanRow.model_validate(row._asdict()) for row in connection.execute(query)]

    def record(self, row: LedgerRow) -> None:
        """Commit what became of one product; recorded again for the same job, it replaces itself.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: the job is another tenant's.
        """
        with self._writing() as connection:
            write_ledger(connection, row)

    def ledger(self, tenant_id: str, job_id: str | None = None) -> list[LedgerRow]:
        """Return a tenant's ledger, of one job or of all, in the order in which products were first recorded."""
        query = select(*_LEDGER).where(TrainingLedger.tenant_id == tenant_id).order_by(TrainingLedger.id)
        if job_id is not None:
            query = query.where(TrainingLedger.job_id == job_id)
        with self._reading() as connection:
            return [LedgerRow.model_validate(row._asdict()) for row in connection.execute(query)]


def write_ledger(connection: Connection, row: LedgerRow) -> None:
    """Write a ledger row within a transaction."""
    require_job(connection, row.job_id, row.tenant_id)
    upsert(connection, TrainingLedger, _values(row), ("job_id", "product_key"))


def _values(row: PlanRow | LedgerRow) -> dict[str, Any]:
    return {**row.model_dump(), "product_key": slug(row.product_id)}
