"""What a training job wrote down on its way, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import insert, select

from pipeline.errors import RegistryError
from pipeline.registry.records import LogLine
from pipeline.registry.repository import Repository, columns_of, now, plain_json, require_job
from pipeline.registry.tables import TrainingJob, TrainingLog

LEVELS = ("debug", "info", "warning", "error")
_COLUMNS = columns_of(TrainingLog, (field.name for field in fields(LogLine)))


class Logs(Repository):
    """The table `training_logs`."""

    def log(
        self,
        tenant_id: str,
        job_id: str,
        level: str,
        step: str,
        message: str,
        *,
        milliseconds: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a line to a job's log.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: the job is another tenant's, the level is unknown, or `details` holds what JSON cannot.
        """
        if level not in LEVELS:
            raise RegistryError(f"training job {job_id!r}: level {level!r} is not known; use {', '.join(LEVELS)}")
        values = {
            "job_id": job_id,
            "at": now(),
            "level": level,
            "step": step,
            "message": message,
            "milliseconds": milliseconds,
            "details": plain_json(details or {}, f"the log of training job {job_id!r}"),
        }
        with self._writing() as connection:
            require_job(connection, job_id, tenant_id)
            connection.execute(insert(TrainingLog).values(**values))

    def logs(self, tenant_id: str, job_id: str, level: str = "debug", limit: int = 1000) -> list[LogLine]:
        """Return the lines of a tenant's job at this level or above, the first written first."""
        query = (
            select(*_COLUMNS)
            .join(TrainingJob, TrainingJob.id == TrainingLog.job_id)
            .where(
                TrainingLog.job_id == job_id,
                TrainingJob.tenant_id == tenant_id,
                TrainingLog.level.in_(LEVELS[LEVELS.index(level) :]),
            )
            .order_by(TrainingLog.id)
            .limit(limit)
        )
        with self._reading() as connection:
            return [LogLine(**row._asdict()) for row in connection.execute(query)]
