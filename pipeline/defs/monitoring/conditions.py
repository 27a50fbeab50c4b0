"""Watches what needs a person though no run has failed: services, the queue, stale products, servers, accuracy."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from pipeline.defs.resources import InstallationResource
from pipeline.defs.waiting import waiting
from pipeline.errors import StorageError
from pipeline.installation import Installation
from pipeline.monitoring.conditions import Memory, look, note
from pipeline.monitoring.metrics.read import Waiting
from pipeline.monitoring.metrics.textfile import write_metrics
from pipeline.settings import get_settings


@dg.sensor(
    minimum_interval_seconds=get_settings().watch_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Raises an alert for what is wrong though no run has failed, and ends it when it is well again.",
)
def conditions(context: dg.SensorEvaluationContext, installation: InstallationResource) -> dg.SkipReason:
    """Raise an alert for each condition that holds, once, and end those of conditions that hold no more.

    It reads the registry, the queue and what the feedback layer found, and starts no run. A file that is not there says
    nothing; one that cannot be read is told of, and the alerts that came of it stay as they are. Each look leaves the
    metrics in their file: those of a run that was killed, too, which can leave none itself.
    """
    opened, at, queue = installation.open(), dt.datetime.now(dt.UTC), waiting(context.instance)
    with opened.registry:
        found = look(opened, queue, Memory.read(context.cursor), at)
        changed = list(note(opened.registry, found, at))
        faults = [*found.faults, *_left(opened, queue)]
    context.update_cursor(found.memory.model_dump_json())
    for one in (*changed, *faults):
        context.log.warning(one)
    told = "; ".join([*changed, *faults]) or "nothing has changed"
    return dg.SkipReason(f"{told}; {len(found.holds)} conditions hold")


def _left(opened: Installation, queue: list[Waiting]) -> list[str]:
    """Leave the metrics in their file; return why that could not be, if so."""
    try:
        write_metrics(opened, lambda: queue)
    except StorageError as error:
        return [str(error)]
    return []
