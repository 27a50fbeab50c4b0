"""Promotion: a new model is used only when its files are whole and it is better than repeating last week."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

from contracts import ArtefactRef, ModelManifest
from pipeline.errors import IntegrityError
from pipeline.registry.records import ModelRecord
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings

ACTOR = "pipeline"


class Verifies(Protocol):
    """Says of a stored file what is wrong with it, None where nothing is."""

    def verify(self, ref: ArtefactRef) -> str | None:
        """Check one file against its size and SHA-256."""


class VerifiedOnce:
    """Reads and hashes each stored file once, however many models share it: one booster serves a whole tenant."""

    def __init__(self, store: Verifies) -> None:
        self.verify = cache(store.verify)


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger becomes champion, and why; `withdrawn` is the champion that lost its place with it."""

    product_id: str
    version: str
    promoted: bool
    reason: str
    figures: dict[str, float | None]
    withdrawn: str | None = None


def judge(manifest: ModelManifest, store: Verifies, settings: Settings) -> Verdict:
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


def broken_files(manifest: ModelManifest, store: Verifies) -> list[str]:
    """Return what is wrong with a model's stored files, each fault naming its file."""
    faults = ((ref.name, store.verify(ref)) for member in manifest.members for ref in member.files)
    return [f"{name}: {fault}" for name, fault in faults if fault]


def decide_all(tenant_id: str, registry: Registry, store: ArtefactStore, settings: Settings) -> list[Verdict]:
    """Decide about the newest model of each product about which nothing was decided yet.

    A model whose manifest was changed after it was registered is refused; the other products go on.
    """
    once = VerifiedOnce(store)
    verdicts = []
    for product, record in registry.undecided(tenant_id).items():
        try:
            manifest = registry.manifest(tenant_id, product, record.version)
        except IntegrityError as error:
            verdict = Verdict(product, record.version, promoted=False, reason=f"not whole: {error}", figures={})
            _record(verdict, tenant_id, registry)
        else:
            verdict = decide(manifest, registry, once, settings)
        verdicts.append(verdict)
    return verdicts


def decide(manifest: ModelManifest, registry: Registry, store: Verifies, settings: Settings) -> Verdict:
    """Judge a challenger and record the decision.

    Where it clearly loses to the seasonal naive, so does the champion of the same recipe, of which it is a fresher
    fit: that one is withdrawn, and the naive forecasts.
    """
    verdict = judge(manifest, store, settings)
    if settings.enable_auto_deployment and loses_clearly(manifest):
        in_use = registry.models(manifest.tenant_id, manifest.product_id, deployed=True)
        loser = next((model.version for model in in_use if same_recipe(model, manifest)), None)
        verdict = replace(verdict, withdrawn=loser)
    _record(verdict, manifest.tenant_id, registry)
    return verdict


def loses_clearly(manifest: ModelManifest) -> bool:
    """Say whether a model's MAE is above the seasonal naive's by more than its own standard error.

    A champion that stands between the two stays: else chance alone would put products in and out of use.
    """
    own, naive = manifest.metrics, manifest.naive_metrics
    if own.mae is None or own.rmse is None or naive.mae is None:
        return False
    return own.mae - naive.mae > math.sqrt(max(own.rmse**2 - own.mae**2, 0.0) / own.n)


def same_recipe(champion: ModelRecord, manifest: ModelManifest) -> bool:
    """Say whether two models differ by their sales alone: the same families, settings and code."""
    families = "+".join(member.family for member in manifest.members)
    mine = (manifest.model_type, families, manifest.config_fingerprint, manifest.code_version)
    return mine == (champion.type, champion.algorithm, champion.config_fingerprint, champion.code_version)


def _record(verdict: Verdict, tenant_id: str, registry: Registry) -> None:
    """Store a verdict; a withdrawal comes first, so that a run that dies between the two decides again."""
    product, figures = verdict.product_id, verdict.figures
    if verdict.withdrawn:
        why = f"version {verdict.version} of the same recipe: {verdict.reason}"
        registry.withdraw(tenant_id, product, verdict.withdrawn, reason=why, actor=ACTOR, figures=figures)
    record = registry.promote if verdict.promoted else registry.refuse
    record(tenant_id, product, verdict.version, reason=verdict.reason, actor=ACTOR, figures=figures)
