"""Training jobs: started, followed, finished. The table records; the queue is the orchestrator's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select, update

from contracts import Priority
from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.registry.announcements import tell_end
from pipeline.registry.outbox import before_events
from pipeline.registry.records import JobRecord, JobStatus
from pipeline.registry.repository import Repository, columns_of, now, plain_json
from pipeline.registry.tables import TrainingJob
from pipeline.registry.totals import count_end

COUNTS = ("trained", "skipped", "insufficient", "failed")
JOB_COLUMNS = columns_of(TrainingJob, (field.name for field in fields(JobRecord)))


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
        priority: Priority = Priority.NORMAL,
        retry_count: int = 0,
        git_commit: str | None = None,
        tags: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        pending: bool = False,
    ) -> str:
        """Record that a job runs from now on, or that it is pending, and return its id.

        Raises:
            RegistryError: `parameters` holds what JSON cannot.
        """
        job_id = uuid4().hex
        values = {
            "id": job_id,
            "tenant_id": tenant_id,
            "name": name,
            "status": JobStatus.PENDING if pending else JobStatus.RUNNING,
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
            "parameters": plain_json(parameters or {}, f"the parameters of training job {name!r}"),
        }
        with self._writing() as connection:
            connection.execute(insert(TrainingJob).values(**values, **dict.fromkeys(COUNTS, 0)))
        return job_id

    def begin_job(self, job_id: str, *, cause: str, products_total: int, parameters: Mapping[str, Any]) -> None:
        """Record that a pending job runs from now on, and what it is about to do.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: it has ended, or `parameters` holds what JSON cannot.
        """
        values = {
            "status": JobStatus.RUNNING,
            "started_at": now(),
            "cause": cause,
            "products_total": products_total,
            "parameters": plain_json(parameters, f"the parameters of training job {job_id!r}"),
        }
        self._change(job_id, values)

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

    def finish_job(
        self,
        job_id: str,
        status: str,
        *,
        counts: Mapping[str, int],
        error: str | None = None,
        kind: str = "Exception",
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Record a job's end and, in the same transaction, the event of it for other systems; it is counted there, too.

        Args:
            job_id: the job.
            status: `completed`, `failed` or `cancelled`.
            counts: how many products met which outcome.
            error: why it did not complete.
            kind: the kind of that error; the event's severity and advice follow it.
            names: what people call the products, by id, for the event.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: it has ended before, or a status or count has an unknown name.
        """
        if status not in set(JobStatus) or not JobStatus(status).final:
            raise RegistryError(f"training job {job_id!r} cannot end as {status!r}; use completed, failed or cancelled")
        if unknown := sorted(set(counts) - set(COUNTS)):
            raise RegistryError(f"training job {job_id!r}: counts {unknown} are not known; use {', '.join(COUNTS)}")
        values: dict[str, Any] = {**counts, "status": JobStatus(status), "error": error}
        if status == JobStatus.COMPLETED:
            values["percentage"] = 100.0

        def told_and_counted(connection: Connection) -> None:
            tell_end(connection, job_id, names or {}, kind)
            count_end(connection, job_id)

        self._change(job_id, values, told_and_counted)

    def job(self, tenant_id: str, job_id: str) -> JobRecord:
        """Return one of a tenant's jobs.

        Raises:
            NotRegisteredError: the tenant has no such job.
        """
        query = select(*JOB_COLUMNS).where(TrainingJob.tenant_id == tenant_id, TrainingJob.id == job_id)
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotRegisteredError(f"training job {job_id!r} of tenant {tenant_id!r} is not registered")
        return job_record(row._asdict())

    def jobs(
        self, tenant_id: str, limit: int | None = 20, *, run_id: str | None = None, unfinished: bool = False
    ) -> list[JobRecord]:
        """Return a tenant's newest jobs, newest first: all, those of a run, or those that have not ended."""
        query = select(*JOB_COLUMNS).where(TrainingJob.tenant_id == tenant_id)
        if run_id is not None:
            query = query.where(TrainingJob.run_id == run_id)
        if unfinished:
            query = query.where(TrainingJob.status.in_([status for status in JobStatus if not status.final]))
        query = query.order_by(TrainingJob.started_at.desc()).limit(limit)
        with self._reading() as connection:
            return [job_record(row._asdict()) for row in connection.execute(query)]

    def _change(
        self, job_id: str, values: Mapping[str, Any], then: Callable[[Connection], None] = lambda _connection: None
    ) -> None:
        with self._writing() as connection:
            query = select(TrainingJob.tenant_id, TrainingJob.status, TrainingJob.started_at)
            query = query.where(TrainingJob.id == job_id)
            row = connection.execute(query).one_or_none()
            if row is None:
                raise NotRegisteredError(f"training job {job_id!r} is not registered")
            if ends := JobStatus(values.get("status", JobStatus.RUNNING)).final:
                before_events(connection, row.tenant_id)
            row = connection.execute(query.with_for_update()).one()
            if JobStatus(row.status).final:
                raise RegistryError(f"training job {job_id!r} has ended as {row.status}; it cannot be changed")
            if ends:  # It ends no earlier than it began, whatever became of the clock.
                values = {**values, "finished_at": max(now(), row.started_at)}
            if values:
                connection.execute(update(TrainingJob).where(TrainingJob.id == job_id).values(**values))
            then(connection)


def job_record(values: Mapping[str, Any]) -> JobRecord:
    """Return a job from the values of its columns."""
    read = {"status": JobStatus(values["status"]), "priority": Priority(values["priority"])}
    return JobRecord(**{**values, **read})
