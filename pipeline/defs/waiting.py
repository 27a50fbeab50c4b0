"""The queue of runs as figures: which wait, and since when."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from pipeline.monitoring.metrics.read import Waiting
from pipeline.queue import priority_of

QUEUED = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])


def waiting(instance: dg.DagsterInstance) -> list[Waiting]:
    """Return the runs that wait in an instance's queue."""
    return [
        Waiting(priority_of(record.dagster_run.tags), record.create_timestamp.replace(tzinfo=dt.UTC))
        for record in instance.get_run_records(QUEUED)
    ]
