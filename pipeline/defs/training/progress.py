"""A training's progress as tags of its run, where the UI shows it while it goes on."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dagster as dg

from pipeline.errors import RegistryError
from pipeline.installation import Installation
from pipeline.progress import in_words, listening
from pipeline.registry.records import JobRecord, JobStatus

TAG = "pipeline/progress"
EVERY_SECONDS = 10.0
"""Between two writings; a tag costs Dagster's storage a transaction."""
ENDINGS = {JobStatus.COMPLETED: "done", JobStatus.CANCELLED: "cancelled", JobStatus.FAILED: "failed"}


@contextmanager
def shown_progress(context: dg.AssetExecutionContext, installation: Installation, tenant_id: str) -> Iterator[None]:
    """Write how far the run's job is into its tags, at the start of each step and every ten seconds, and how it ended.

    The block holds the job whole: what is left when it ends is the job's end, not the last step that was told of.
    """
    last: tuple[str, float] = ("", 0.0)

    def write(step: str, done: int, total: int) -> None:
        nonlocal last
        if step == last[0] and time.monotonic() < last[1] + EVERY_SECONDS:
            return
        last = (step, time.monotonic())
        if (job := _job(context, installation, tenant_id)) is not None:
            told = in_words(step, done, total, job.progress(dt.datetime.now(dt.UTC)))
            context.instance.add_run_tags(context.run.run_id, {TAG: told})

    try:
        with listening(write):
            yield
    finally:
        with suppress(RegistryError):  # What the job ended of may be the registry, and is worth more than this.
            _write_end(context, _job(context, installation, tenant_id))


def _job(context: dg.AssetExecutionContext, installation: Installation, tenant_id: str) -> JobRecord | None:
    jobs = installation.registry.jobs(tenant_id, 1, run_id=context.run.run_id)
    return jobs[0] if jobs else None


def _write_end(context: dg.AssetExecutionContext, job: JobRecord | None) -> None:
    """Write how a job ended, with the products that are done with; nothing where it has not."""
    if job is not None and job.status in ENDINGS:
        told = f"{ENDINGS[job.status]}, {job.products_completed} of {job.products_total} products"
        context.instance.add_run_tags(context.run.run_id, {TAG: told})
