"""Storage care: what need not be kept is announced by one run and deleted by the next, so that a person can look."""

import datetime as dt

import dagster as dg
import pandas as pd

from pipeline.defs.ingestion.assets import OWNERS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import preview
from pipeline.registry.sweep import Announced, Proposal, carry_out, propose
from pipeline.settings import get_settings
from pipeline.tenants import list_tenants

ACTOR = "storage care"
SHOWN = 100


@dg.asset(group_name="monitoring", kinds={"sqlite"}, owners=OWNERS)
def storage_care(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """What need not be kept any longer: deleted, where the run before announced it; announced for the next run.

    Never a champion, the model that it replaced, a product's newest model, or an object that a model refers to.
    """
    opened = installation.open()
    at, place = dt.datetime.now(dt.UTC), opened.home.root / "storage_care.json"
    tenants = [tenant.id for tenant in list_tenants(opened.home).usable]
    proposal = propose(opened.registry, opened.store, opened.settings, tenants, at)
    swept = carry_out(Announced.read(place).among(proposal), opened.registry, opened.store, ACTOR)
    left = propose(opened.registry, opened.store, opened.settings, tenants, at)
    Announced.of(left).write(place)
    context.log.info(f"deleted {swept}; announced {len(left.models)} models and {len(left.objects)} objects")
    return dg.MaterializeResult(
        metadata={
            "deleted_models": swept.models,
            "deleted_jobs": swept.jobs,
            "deleted_fits": swept.fits,
            "deleted_log_lines": swept.logs,
            "deleted_objects": swept.objects,
            "freed_bytes": swept.freed,
            "announced_models": len(left.models),
            "announced_objects": len(left.objects),
            "to_be_freed_bytes": left.freed,
            "stored_bytes": left.stored,
            "bytes_saved_by_sharing": left.shared,
            "announced": preview(announced(left), SHOWN),
        }
    )


def announced(proposal: Proposal) -> pd.DataFrame:
    """Return a line for each thing of a proposal: kind, what, why."""
    lines = [("model", f"{one.tenant_id}/{one.product_id} {one.version}", one.reason) for one in proposal.models]
    lines += [("job", job, "ended long ago, no model of it is left") for job in proposal.jobs]
    lines += [("fit", str(fit), "shared fit or search, made long ago") for fit in proposal.fits]
    lines += [("object", one.key, f"{one.bytes} bytes that nothing refers to") for one in proposal.objects]
    return pd.DataFrame(lines, columns=["kind", "what", "why"])


care_for_storage = dg.define_asset_job(
    "care_for_storage",
    selection=[storage_care],
    description="Deletes what the run before announced, and announces what the next one will delete.",
    executor_def=dg.in_process_executor,
)


@dg.schedule(
    job=care_for_storage,
    cron_schedule=get_settings().storage_care_cron,
    execution_timezone="UTC",
    description="Cares for the storage every night; MAX_MODEL_VERSIONS_PER_PRODUCT and MODEL_RETENTION_DAYS say how.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_storage_care(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Care for the storage every night."""
    return dg.RunRequest(run_key=f"storage {context.scheduled_execution_time:%Y-%m-%d %H:%M}")
