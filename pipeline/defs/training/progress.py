"""A training's progress as tags of its run, where the UI shows it while it goes on."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pipeline.installation import Installation
from pipeline.progress import in_words, listening

TAG = "pipeline/progress"
EVERY_SECONDS = 10.0
"""Between two writings; a tag costs Dagster's storage a transaction."""


@contextmanager
def shown_progress(context: dg.AssetExecutionContext, installation: Installation, tenant_id: str) -> Iterator[None]:
    """Write how far the run's job is into its tags, at the start of each step and every ten seconds."""
    last: tuple[str, float] = ("", 0.0)

    def write(step: str, done: int, total: int) -> None:
        nonlocal last
        if step == last[0] and time.monotonic() < last[1] + EVERY_SECONDS:
            return
        last = (step, time.monotonic())
        jobs = installation.registry.jobs(tenant_id, 1, run_id=context.run.run_id)
        if jobs:
            told = in_words(step, done, total, jobs[0].progress(dt.datetime.now(dt.UTC)))
            context.instance.add_run_tags(context.run.run_id, {TAG: told})

    with listening(write):
        yield
