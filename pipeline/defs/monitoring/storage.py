"""Storage care: what need not be kept is announced by one run and deleted by the next, so that a person can look."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import datetime as dt

import dagster as dg
import pandas as pd

from pipeline.defs.ingestion.assets import OWNERS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import preview
from pipeline.registry.contents import Kind
from pipeline.registry.sweep import Announced, Proposal, carry_out, propose
from pipeline.settings import get_settings
from pipeline.tenants import list_tenants
from pipeline.training.integrity import Fault, Verifier, standing

ACTOR = "storage care"
SHOWN = 100
WHY = {
    Kind.OBJECT: "that nothing refers to",
    Kind.QUARANTINED: "that were broken, moved away more than QUARANTINE_DAYS ago",
    Kind.REMAINS: "of a write that was never finished",
}


@dg.asset(group_name="monitoring", kinds={"sqlite"}, owners=OWNERS)
def storage_care(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """What need not be kept any longer: deleted, where the run before announced it; announced for the next run.

    Never a champion, the model that it replaced, a product's newest model, or an object that a model refers to.
    """
    opened = installation.open()
    at, place = dt.datetime.now(dt.UTC), opened.home.root / "storage_care.json"
    tenants = [tenant.id for tenant in list_tenants(opened.home).usable]
    proposal, known = propose(opened.registry, opened.store, opened.settings, tenants, at), Announced.read(place)
    swept = carry_out(known.among(proposal), opened.registry, opened.store, ACTOR)
    left = known.beside(proposal)
    Announced.of(left).write(place)
    context.log.info(f"deleted {swept}; announced {len(left.models)} models and {len(left.objects)} objects")
    return dg.MaterializeResult(
        metadata={
            "deleted_models": swept.models,
            "deleted_jobs": swept.jobs,
            "deleted_fits": swept.fits,
            "deleted_log_lines": swept.logs,
            "deleted_objects": swept.objects,
            "deleted_quarantined": swept.quarantined,
            "deleted_remains": swept.remains,
            "deleted_access_logs": swept.access,
            "deleted_lineage_logs": swept.lineage,
            "deleted_events": swept.events,
            "freed_bytes": swept.freed,
            "announced_models": len(left.models),
            "announced_objects": len(left.objects),
            "announced_access_logs": len(left.access),
            "announced_lineage_logs": len(left.lineage),
            "to_be_freed_bytes": left.freed,
            "stored_bytes": left.stored - swept.freed,
            "bytes_saved_by_sharing": left.shared,
            "announced": preview(announced(left), SHOWN),
        }
    )


@dg.asset_check(asset=storage_care)
def stored_models_whole(
    context: dg.AssetCheckExecutionContext, installation: InstallationResource
) -> dg.AssetCheckResult:
    """Every manifest and file of the models that forecast, or may next, is there and matches its SHA-256."""
    opened = installation.open()
    verifier = Verifier(opened.registry, opened.store)
    models = [model for one in list_tenants(opened.home).usable for model in standing(opened.registry, one.id)]
    faults = [fault for model in models for fault in verifier.faults(model)]
    named = pd.DataFrame(
        [{"tenant": one.model.tenant_id, "product": one.model.product_id, **_told(one)} for one in faults]
    )
    return dg.AssetCheckResult(
        passed=not faults,
        metadata={
            "models": len(models),
            "files": len(verifier.verdicts),
            "broken": len({fault.model.id for fault in faults if not fault.silent}),
            "not_known": len({fault.model.id for fault in faults if fault.silent}),
            **({"products": preview(named, SHOWN)} if faults else {}),
        },
    )


def _told(fault: Fault) -> dict[str, str]:
    return {"version": fault.model.version, "in_use": "yes" if fault.model.deployed else "", "fault": fault.fault}


def announced(proposal: Proposal) -> pd.DataFrame:
    """Return a line for each thing of a proposal: kind, what, why."""
    lines = [("model", f"{one.tenant_id}/{one.product_id} {one.version}", one.reason) for one in proposal.models]
    lines += [("job", job, "ended long ago, no model of it is left") for job in proposal.jobs]
    lines += [("fit", str(fit), "shared fit or search, made long ago") for fit in proposal.fits]
    lines += [(one.kind, one.key, f"{one.bytes} bytes {WHY[one.kind]}") for one in proposal.objects]
    lines += [("access log", path.name, "older than ACCESS_LOG_DAYS") for path in proposal.access]
    lines += [("lineage log", path.name, "older than LINEAGE_KEPT_DAYS") for path in proposal.lineage]
    return pd.DataFrame(lines, columns=["kind", "what", "why"])


care_for_storage = dg.define_asset_job(
    "care_for_storage",
    selection=dg.AssetSelection.assets(storage_care),
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
