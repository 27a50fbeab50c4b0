"""One training of a tenant at a time, whoever asks for it, on every machine that shares the registry."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import LockedError
from pipeline.installation import Installation
from pipeline.registry.locks import Held, hold
from pipeline.registry.records import JobRecord, JobStatus

logger = logging.getLogger(__name__)


@contextmanager
def training_lock(installation: Installation, tenant_id: str, wait_seconds: float) -> Iterator[Held]:
    """Hold the tenant's training lock; a product is of one tenant, so that none is fitted twice at once.

    Raises:
        LockedError: another training held it all through `wait_seconds`; names it.
        RegistryError: the database cannot be reached.
    """
    begun: list[float] = []

    def waiting() -> None:
        begun.append(time.monotonic())
        logger.warning(
            "tenant %r is being trained already, by %s; waiting for up to %g s",
            tenant_id,
            holder(installation, tenant_id),
            wait_seconds,
        )

    try:
        with hold(installation.settings, f"training {tenant_id}", wait_seconds, waiting) as held:
            _count_wait(installation, begun)
            yield held
    except LockedError as error:
        _count_wait(installation, begun)
        raise LockedError(
            f"tenant {tenant_id!r} is being trained by {holder(installation, tenant_id)}, which was not done after "
            f"{wait_seconds:g} s; wait for it, or end it in the Dagster UI"
        ) from error


def _count_wait(installation: Installation, begun: list[float]) -> None:
    """Count a wait that is over, once, where there was one."""
    if begun:
        installation.registry.count_lock_wait(time.monotonic() - begun.pop())


def holder(installation: Installation, tenant_id: str) -> str:
    """Say which job holds a tenant's lock: its record is written under the lock, a moment after it was taken."""
    unfinished = installation.registry.jobs(tenant_id, limit=None, unfinished=True)
    running = [job for job in unfinished if job.status is JobStatus.RUNNING]
    return _told(running[0]) if running else "a training that has just begun"


def _told(job: JobRecord) -> str:
    run = f", Dagster run {job.run_id}" if job.run_id else ""
    return f"{job.name!r} for {job.requested_by!r} since {job.started_at:%Y-%m-%d %H:%M:%S} UTC (job {job.id}{run})"
