"""A code location with one job that only waits: what is tested with it is the queue that it stands in."""

# Dagster reads the annotation of `config` as it stands: annotations must not be postponed here.

import os
import time
from pathlib import Path

import dagster as dg


class Wait(dg.Config):
    """How long, and where to say which process waits."""

    seconds: float
    told: str


@dg.op
def wait(config: Wait) -> None:
    """Say the process id, and wait."""
    Path(config.told).write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(config.seconds)


@dg.job(executor_def=dg.in_process_executor)
def waiting() -> None:
    """Wait in a run of its own."""
    wait()


defs = dg.Definitions(jobs=[waiting])
