"""Asks for a training where accuracy or drift found that a model holds no longer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import dagster as dg

from contracts import Finding, Priority
from pipeline.defs.ingestion.sensors import UNFINISHED
from pipeline.defs.jobs import train_and_forecast
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.errors import DataError
from pipeline.installation import Installation
from pipeline.monitoring.causes import findings, open_findings
from pipeline.queue import priority_tags
from pipeline.settings import get_settings
from pipeline.tenants import list_tenants

CAUSE = "accuracy and drift"
NAMED = 5


@dg.sensor(
    job=train_and_forecast,
    minimum_interval_seconds=get_settings().watch_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Trains where live accuracy fell or sales drifted, and no training has answered it yet.",
)
def watched_models(
    context: dg.SensorEvaluationContext, installation: InstallationResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Train where live accuracy fell or sales drifted, and no training has answered it yet.

    It reads the small file that `forecast_accuracy` and `drift` leave, and asks the registry only where that names a
    product. The run key is the tenant, the last day of its sales and what was found: the same is asked for once, and
    again when a further day bears it out, as after a training that failed. Not while a run of it waits or works.
    """
    opened = installation.open()
    registered = set(context.instance.get_dynamic_partitions(TENANTS.name or ""))
    told, asked = [], 0
    busy: set[str | None] | None = None
    for tenant in list_tenants(opened.home).usable:
        try:
            key, found = _found(opened, tenant.id)
        except DataError as error:
            told.append(str(error))
            continue
        if not found or tenant.id not in registered:
            continue
        busy = _at_work(context.instance) if busy is None else busy
        if tenant.id in busy:
            told.append(f"{tenant.id}: {len(found)} products found, and a run of it waits or works")
            continue
        asked += 1
        yield dg.RunRequest(
            run_key=key,
            partition_key=tenant.id,
            tags={"cause": CAUSE, "tenant": tenant.id, **priority_tags(Priority.NORMAL)},
        )
    if not asked:
        nothing = "nothing was found in any tenant's models that no training has answered"
        yield dg.SkipReason("; ".join(told[:NAMED]) or nothing)


def _found(opened: Installation, tenant_id: str) -> tuple[str, list[Finding]]:
    """The run key of what was found and not answered, and what it is."""
    stored = findings(opened.home, tenant_id)
    found = open_findings(stored, opened.registry)
    if stored is None or not found:
        return "", []
    text = "\n".join(f"{one.product_id} {one.version} {one.cause}" for one in found)
    return f"{CAUSE} {tenant_id} {stored.origin} {hashlib.sha256(text.encode()).hexdigest()[:16]}", found


def _at_work(instance: dg.DagsterInstance) -> set[str | None]:
    """Tenants of which a run waits or works."""
    return {run.tags.get("tenant") for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))}
