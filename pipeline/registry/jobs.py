"""Training jobs: started, followed, finished. The table records; the queue is the orchestrator's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select, update

from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.registry.records import JobRecord, JobStatus
from pipeline.registry.repository import AnyRow, Repository, columns_of, now
from pipeline.registry.tables import TrainingJob

PRIORITIES = ("urgent", "high", "normal", "low")
COUNTS = ("trained", "skipped", "insufficient", "failed")
_COLUMNS = columns_of(TrainingJob, (field.name for field in fields(JobRecord)))


class Jobs(Repository):
    """The table `training_jobs`."""

    def start_job(
        self,
        tenant_id: str,
        *,
        name: str,
        cause: str,
        requested_by: str,
        products_total: int = 0,
        run_id: str | None = None,
        priority: str = "normal",
        retry_count: int = 0,
        git_commit: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Record that a job runs from now on, and return its id.

        Raises:
            RegistryError: the priority is not known.
        """
        if priority not in PRIORITIES:
            raise RegistryError(f"a training job cannot have priority {priority!r}; use {', '.join(PRIORITIES)}")
        job_id = uuid4().hex
        values = {
            "id": job_id,
            "tenant_id": tenant_id,
            "name": name,
            "status": JobStatus.RUNNING,
            "cause": cause,
            "requested_by": requested_by,
            "percentage": 0.0,
            "products_total": products_total,
            "products_completed": 0,
            "started_at": now(),
            "run_id": run_id,
            "priority": priority,
            "retry_count": retry_count,
            "git_commit": git_commit,
            "tags": dict(tags or {}),
        }
        with self._writing() as connection:
            connection.execute(insert(TrainingJob).values(**values, **dict.fromkeys(COUNTS, 0)))
        return job_id

    def update_job(
        self,
        job_id: str,
        *,
        step: str | None = None,
        percentage: float | None = None,
        products_completed: int | None = None,
    ) -> None:
        """Record how far a job is; what is None stays as it was.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: the job has ended, or `percentage` is not within 0 to 100.
        """
        if percentage is not None and not 0 <= percentage <= 100:
            raise RegistryError(f"training job {job_id!r}: percentage is {percentage}, it must be 0 to 100")
        given = {"step": step, "percentage": percentage, "products_completed": products_completed}
        self._change(job_id, {name: value for name, value in given.items() if value is not None})

    def finish_job(self, job_id: str, status: str, *, counts: Mapping[str, int], error: str | None = None) -> None:
        """Record a job's end: `completed`, `failed` or `cancelled`, and how many products met which outcome.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: it has ended before, or a status or count has an unknown name.
        """
        if status not in set(JobStatus) or not JobStatus(status).final:
            raise RegistryError(f"training job {job_id!r} cannot end as {status!r}; use completed, failed or cancelled")
        if unknown := sorted(set(counts) - set(COUNTS)):
            raise RegistryError(f"training job {job_id!r}: counts {unknown} are not known; use {', '.join(COUNTS)}")
        values: dict[str, Any] = {**counts, "status": JobStatus(status), "error": error, "finished_at": now()}
        if status == JobStatus.COMPLETED:
            values["percentage"] = 100.0
        self._change(job_id, values)

    def job(self, tenant_id: str, job_id: str) -> JobRecord:
        """Return one of a tenant's jobs.

        Raises:
            NotRegisteredError: the tenant has no such job.
        """
        query = select(*_COLUMNS).where(TrainingJob.tenant_id == tenant_id, TrainingJob.id == job_id)
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotRegisteredError(f"training job {job_id!r} of tenant {tenant_id!r} is not registered")
        return _record(row)

    def jobs(self, tenant_id: str, limit: int = 20) -> list[JobRecord]:
        """Return a tenant's newest jobs, newest first."""
        query = select(*_COLUMNS).where(TrainingJob.tenant_id == tenant_id)
        query = query.order_by(TrainingJob.started_at.desc()).limit(limit)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def _change(self, job_id: str, values: Mapping[str, Any]) -> None:
        with self._writing() as connection:
            query = select(TrainingJob.status).where(TrainingJob.id == job_id).with_for_update()
            status = connection.scalar(query)
            if status is None:
                raise NotRegisteredError(f"training job {job_id!r} is not registered")
            if JobStatus(status).final:
                raise RegistryError(f"training job {job_id!r} has ended as {status}; it cannot be changed")
            if values:
                connection.execute(update(TrainingJob).where(TrainingJob.id == job_id).values(**values))


def _record(row: AnyRow) -> JobRecord:
    values = row._asdict()
    return JobRecord(**{**values, "status": JobStatus(values["status"])})
