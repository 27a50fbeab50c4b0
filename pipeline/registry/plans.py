"""The plan of a job (which products are due) and its ledger (what became of them)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from contracts import LedgerRow, PlanRow
from pipeline.keys import slug
from pipeline.registry.announcements import tell_failure
from pipeline.registry.records import JobStatus
from pipeline.registry.repository import Repository, columns_of, require_job, upsert
from pipeline.registry.tables import TrainingJob, TrainingLedger, TrainingPlan

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

    def left(self, since: dt.datetime) -> dict[tuple[str, str], list[str]]:
        """Return the due products that completed jobs did not come to, by tenant and job, in the plan's order.

        Args:
            since: jobs that ended before, UTC, are not looked at.
        """
        settled = select(TrainingLedger.id).where(
            TrainingLedger.job_id == TrainingPlan.job_id, TrainingLedger.product_key == TrainingPlan.product_key
        )
        query = (
            select(TrainingPlan.tenant_id, TrainingPlan.job_id, TrainingPlan.product_id)
            .join(TrainingJob, TrainingJob.id == TrainingPlan.job_id)
            .where(TrainingJob.status == JobStatus.COMPLETED, TrainingJob.finished_at >= since)
            .where(TrainingPlan.due, ~settled.exists())
            .order_by(TrainingPlan.id)
        )
        found: dict[tuple[str, str], list[str]] = {}
        with self._reading() as connection:
            for row in connection.execute(query):
                found.setdefault((row.tenant_id, row.job_id), []).append(row.product_id)
        return found

    def record(self, row: LedgerRow, product_name: str | None = None) -> None:
        """Commit what became of one product; recorded again for the same job, it replaces itself.

        A product that failed or has too few days is an event for other systems, which calls it `product_name`.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: the job is another tenant's.
        """
        with self._writing() as connection:
            write_ledger(connection, row, product_name)

    def ledger(self, tenant_id: str, job_id: str | None = None) -> list[LedgerRow]:
        """Return a tenant's ledger, of one job or of all, in the order in which products were first recorded."""
        query = select(*_LEDGER).where(TrainingLedger.tenant_id == tenant_id).order_by(TrainingLedger.id)
        if job_id is not None:
            query = query.where(TrainingLedger.job_id == job_id)
        with self._reading() as connection:
            return [LedgerRow.model_validate(row._asdict()) for row in connection.execute(query)]


def write_ledger(connection: Connection, row: LedgerRow, product_name: str | None = None) -> None:
    """Write a ledger row within a transaction, and the event that it is for other systems, if any."""
    require_job(connection, row.job_id, row.tenant_id)
    tell_failure(connection, row, product_name)
    upsert(connection, TrainingLedger, _values(row), ("job_id", "product_key"))


def _values(row: PlanRow | LedgerRow) -> dict[str, Any]:
    return {**row.model_dump(), "product_key": slug(row.product_id)}
