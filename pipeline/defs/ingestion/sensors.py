"""Watches the tenants' sales files."""

from __future__ import annotations

import dagster as dg

from pipeline.defs.jobs import train_and_forecast
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.errors import PipelineError
from pipeline.settings import get_settings
from pipeline.sources.extract import source_fingerprint, taken_in, taken_in_at
from pipeline.tenants import load_tenant, tenant_ids

LISTED = 5


@dg.sensor(
    job=train_and_forecast,
    minimum_interval_seconds=get_settings().watch_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs a tenant when its sales files have changed, and registers tenants that were added.",
)
def new_sales_files(context: dg.SensorEvaluationContext, installation: InstallationResource) -> dg.SensorResult:
    """Run a tenant when its sales files have changed; register tenants that were added.

    What a run has taken in is remembered beside the sales. The run key is the tenant, the fingerprint of its
    files (names, sizes, times) and the moment that files were last taken in: a replayed tick, a second daemon
    or a restart asks for nothing twice, files that fail are not tried again until they change, and a file that
    is put back as it was before is taken in again.
    """
    home = installation.open().home
    tenants, changed, faults = [], [], []
    for tenant_id in tenant_ids(home):
        try:
            tenant = load_tenant(home, tenant_id)
            tenants.append(tenant.id)
            fingerprint = source_fingerprint(tenant)
        except (PipelineError, OSError) as error:
            faults.append(f"{tenant_id}: {error}")
            continue
        if fingerprint != taken_in(home, tenant.id):
            changed.append(_request(tenant.id, fingerprint, taken_in_at(home, tenant.id)))
    if changed and faults:  # otherwise the skip reason names them
        context.log.warning(_unreadable(faults))
    return dg.SensorResult(
        run_requests=changed,
        skip_reason=None if changed else _why_nothing(tenants, faults),
        dynamic_partitions_requests=_new_partitions(context, tenants),
    )


def _request(tenant_id: str, fingerprint: str, after: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{tenant_id} {fingerprint} {after}",
        partition_key=tenant_id,
        tags={"cause": "new sales files", "tenant": tenant_id},
    )


def _why_nothing(tenants: list[str], faults: list[str]) -> str:
    if not tenants and not faults:
        return "no tenant is registered yet; add one with `pipeline tenants add`"
    nothing = f"no sales file of {len(tenants)} tenants has changed"
    return f"{nothing}; {_unreadable(faults)}" if faults else nothing


def _unreadable(faults: list[str]) -> str:
    return f"{len(faults)} cannot be looked at: {'; '.join(faults[:LISTED])}"


def _new_partitions(context: dg.SensorEvaluationContext, tenants: list[str]) -> list[dg.AddDynamicPartitionsRequest]:
    known = set(context.instance.get_dynamic_partitions(TENANTS.name or ""))
    new = [tenant_id for tenant_id in tenants if tenant_id not in known]
    return [TENANTS.build_add_request(new)] if new else []
