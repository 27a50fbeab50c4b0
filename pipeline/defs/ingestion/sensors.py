"""Watches the tenants' sales."""

from __future__ import annotations

import time

import dagster as dg

from contracts import FileSource, Tenant
from pipeline.defs.jobs import train_and_forecast
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.home import Home
from pipeline.settings import get_settings
from pipeline.sources.extract import planned, planned_at
from pipeline.sources.looking import TOGETHER_SECONDS, looks
from pipeline.tenants import list_tenants

LISTED = 5
RETRY_SECONDS = 3600
CAUSE = "new sales"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dg.sensor(
    job=train_and_forecast,
    minimum_interval_seconds=get_settings().watch_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs a tenant when its sales have changed, and registers tenants that were added.",
)
def new_sales(context: dg.SensorEvaluationContext, installation: InstallationResource) -> dg.SensorResult:
    """Run a tenant when its sales have changed; register tenants that were added.

    What a training plan has seen is remembered beside the sales: what a nightly check or a daily forecast takes in is
    still to be planned with, so that a product that has come of age, a model that has grown old and a history that was
    corrected are found by the data alone. The run key is the tenant, the fingerprint of its sales (names, sizes, times
    of files; what tells the last days of a database or a service from others) and the moment of the last plan: a
    replayed tick, a second daemon or a restart asks for nothing twice,
    files that fail are not tried again until they change, and a file that is put back as it was before is taken
    in again. A database or a service that failed is tried again every hour: it may have been down; not
    while a run that was asked for before still waits or works. What a tick has no time for is first at the next.
    """
    opened = installation.open()
    home = opened.home
    tenants, faults = _readable(home)
    changed, missed = [], []
    for tenant, found in looks(tenants, home, opened.settings, opened.services):
        if found is None:
            missed.append(tenant.id)
        elif isinstance(found, Exception):
            faults.append(f"{tenant.id}: {found}")
        elif found != planned(home, tenant.id) and _on_its_way(context.instance, tenant):
            context.log.info(f"{tenant.id}: the run that was asked for before still waits or works")
        elif found != planned(home, tenant.id):
            changed.append(_request(tenant, found, planned_at(home, tenant.id)))
            context.log.info(f"{tenant.id}: a run is asked for, no training plan has seen its sales or settings yet")
    troubles = _troubles(faults, missed)
    if changed and troubles:  # otherwise the skip reason names them
        context.log.warning(troubles)
    ids = [tenant.id for tenant in tenants]
    return dg.SensorResult(
        run_requests=changed,
        skip_reason=None if changed else _why_nothing(ids, troubles),
        dynamic_partitions_requests=_new_partitions(context, ids),
    )


def _readable(home: Home) -> tuple[list[Tenant], list[str]]:
    tenants, broken = list_tenants(home)
    return tenants, [f"{tenant_id}: {error}" for tenant_id, error in broken.items()]


def _on_its_way(instance: dg.DagsterInstance, tenant: Tenant) -> bool:
    """Whether a run that was asked for before still waits or works; a file's run has the same key and is dropped."""
    if isinstance(tenant.source, FileSource):
        return False
    mine = dg.RunsFilter(tags={"cause": CAUSE, "tenant": tenant.id}, statuses=UNFINISHED)
    return bool(instance.get_runs(mine, limit=1))


def _request(tenant: Tenant, fingerprint: str, after: int) -> dg.RunRequest:
    again = "" if isinstance(tenant.source, FileSource) else f" {int(time.time() // RETRY_SECONDS)}"
    return dg.RunRequest(
        run_key=f"{tenant.id} {fingerprint} {after}{again}",
        partition_key=tenant.id,
        tags={"cause": CAUSE, "tenant": tenant.id},
    )


def _why_nothing(tenants: list[str], troubles: str) -> str:
    if not tenants and not troubles:
        return "no tenant is registered yet; add one with `pipeline tenants add`"
    nothing = f"no sales of {len(tenants)} tenants have changed"
    return f"{nothing}; {troubles}" if troubles else nothing


def _troubles(faults: list[str], missed: list[str]) -> str:
    """Whose sales a tick did not see, and why; empty where it saw all."""
    unreadable = f"{len(faults)} cannot be looked at: {'; '.join(faults[:LISTED])}"
    late = f"{len(missed)} not reached within {TOGETHER_SECONDS:g} s, first at the next tick"
    return "; ".join([late] * bool(missed) + [unreadable] * bool(faults))


def _new_partitions(context: dg.SensorEvaluationContext, tenants: list[str]) -> list[dg.AddDynamicPartitionsRequest]:
    known = set(context.instance.get_dynamic_partitions(TENANTS.name or ""))
    new = [tenant_id for tenant_id in tenants if tenant_id not in known]
    return [TENANTS.build_add_request(new)] if new else []
