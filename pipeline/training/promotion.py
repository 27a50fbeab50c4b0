"""Promotion: a new model is used only when its files are whole and it is better than repeating last week."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import ModelManifest
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings

ACTOR = "pipeline"


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger becomes champion, and why."""

    product_id: str
    version: str
    promoted: bool
    reason: str
    figures: dict[str, float | None]


def judge(manifest: ModelManifest, store: ArtefactStore, settings: Settings) -> Verdict:
    """Decide about one challenger: whole, not worse than the seasonal naive, and allowed to go live."""
    faults = broken_files(manifest, store)
    mae, naive = manifest.metrics.mae, manifest.naive_metrics.mae
    if faults:
        promoted, reason = False, f"not whole: {'; '.join(faults)}"
    elif mae is not None and naive is not None and mae > naive:
        promoted, reason = False, f"worse than the seasonal naive: MAE {mae:.3g} against {naive:.3g}"
    elif not settings.enable_auto_deployment:
        promoted, reason = False, "ENABLE_AUTO_DEPLOYMENT is off; `pipeline models deploy` puts it in use"
    elif mae is None or naive is None:
        promoted, reason = True, "no past origin to score it at; whole, and nothing speaks against it"
    else:
        promoted, reason = True, f"not worse than the seasonal naive: MAE {mae:.3g} against {naive:.3g}"
    figures = {"mae": mae, "naive_mae": naive, "wape": manifest.metrics.wape, "coverage": manifest.metrics.coverage}
    return Verdict(manifest.product_id, manifest.version, promoted, reason, figures)


def broken_files(manifest: ModelManifest, store: ArtefactStore) -> list[str]:
    """Return what is wrong with a model's stored files, each fault naming its file."""
    faults = ((ref.name, store.verify(ref)) for member in manifest.members for ref in member.files)
    return [f"{name}: {fault}" for name, fault in faults if fault]


def decide(manifest: ModelManifest, registry: Registry, store: ArtefactStore, settings: Settings) -> Verdict:
    """Judge a challenger and record the decision."""
    verdict = judge(manifest, store, settings)
    record = registry.promote if verdict.promoted else registry.refuse
    record(
        manifest.tenant_id,
        manifest.product_id,
        manifest.version,
        reason=verdict.reason,
        actor=ACTOR,
        figures=verdict.figures,
    )
    return verdict


def undecided(registry: Registry, tenant_id: str) -> list[ModelManifest]:
    """Return the newest model of each product about which nothing was decided yet.

    Raises:
        IntegrityError: a manifest was changed after it was registered.
    """
    return [
        registry.manifest(tenant_id, product, record.version)
        for product, record in registry.undecided(tenant_id).items()
    ]
