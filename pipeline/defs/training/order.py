"""What a Dagster run says about the training that it asks for."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from pipeline.queue import priority_of
from pipeline.tags import own_tags
from pipeline.training.job import Order

PRIORITY = "pipeline/priority"
"""Tag of a run that another system wanted: urgent, high, normal or low."""
RETRY, PARENT = "dagster/retry_number", "dagster/parent_run_id"


def order_of(context: dg.AssetExecutionContext, name: str, requested_by: str = "dagster") -> Order:
    """Return the order of a run: its tags but Dagster's and ours, how often it was tried before, its priority."""
    tags = context.run.tags
    return Order(
        name, requested_by, context.run.run_id, own_tags(tags), retries(context.instance, tags), priority_of(tags)
    )


def retries(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> int:
    """Return how many runs were tried before: as Dagster counts its own retries, else the runs that it goes back to."""
    if RETRY in tags:
        return int(tags[RETRY])
    count, seen = 0, set()
    while (parent := tags.get(PARENT)) and parent not in seen:
        seen.add(parent)
        count += 1
        run = instance.get_run_by_id(parent)
        tags = run.tags if run else {}
    return count
