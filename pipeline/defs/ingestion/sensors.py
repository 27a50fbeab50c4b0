"""Watches the tenants' sales files."""

from __future__ import annotations

import dagster as dg

from contracts import Tenant
from pipeline.defs.jobs import train_and_forecast
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.errors import PipelineError
from pipeline.settings import get_settings
from pipeline.sources.extract import source_fingerprint, taken_in
from pipeline.tenants import list_tenants

LISTED = 5


@dg.sensor(
    job=train_and_forecast,
    minimum_interval_seconds=get_settings().watch_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs a tenant when its sales files have changed, and registers tenants that were added.",
)
def new_sales_files(context: dg.SensorEvaluationContext, installation: InstallationResource) -> dg.SensorResult:
    """Run a tenant when its sales files have changed; register tenants that were added.

    What a run has taken in is remembered beside the sales, and the run key is the tenant with the fingerprint
    of its files (names, sizes, times): a replayed tick, a second daemon or a restart asks for nothing twice,
    and files that fail are not tried again until they change.
    """
    home = installation.open().home
    tenants, changed, faults = list_tenants(home), [], []
    for tenant in tenants:
        try:
            fingerprint = source_fingerprint(tenant)
        except (PipelineError, OSError) as error:
            faults.append(f"{tenant.id}: {error}")
            continue
        if fingerprint != taken_in(home, tenant.id):
            changed.append(_request(tenant.id, fingerprint))
    return dg.SensorResult(
        run_requests=changed,
        skip_reason=None if changed else _why_nothing(tenants, faults),
        dynamic_partitions_requests=_new_partitions(context, tenants),
    )


def _request(tenant_id: str, fingerprint: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{tenant_id} {fingerprint}",
        partition_key=tenant_id,
        tags={"cause": "new sales files", "tenant": tenant_id},
    )


def _why_nothing(tenants: list[Tenant], faults: list[str]) -> str:
    if not tenants:
        return "no tenant is registered yet; add one with `pipeline tenants add`"
    unreadable = f"; {len(faults)} cannot be looked at: {'; '.join(faults[:LISTED])}" if faults else ""
    return f"no sales file of {len(tenants)} tenants has changed{unreadable}"


def _new_partitions(context: dg.SensorEvaluationContext, tenants: list[Tenant]) -> list[dg.AddDynamicPartitionsRequest]:
    known = set(context.instance.get_dynamic_partitions(TENANTS.name or ""))
    new = [tenant.id for tenant in tenants if tenant.id not in known]
    return [TENANTS.build_add_request(new)] if new else []
