"""Promotion: every new model is judged, and what was decided is written down with its figures."""

from __future__ import annotations

from dataclasses import replace

from contracts import ModelManifest
from pipeline.errors import ChampionChangedError, IntegrityError, RegistryError
from pipeline.registry.promotions import ANY
from pipeline.registry.records import ModelRecord
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings
from pipeline.training.gate import Verdict, fresher_fit, judge, loses_clearly
from pipeline.training.integrity import VerifiedOnce, Verifies, broken_files

ACTOR = "pipeline"


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
    champion = _champion(manifest, registry)
    try:
        verdict = judge(manifest, champion, store, settings)
        if not verdict.promoted and champion is not None and _broken(champion, registry, store):
            verdict = judge(manifest, None, store, settings)
    except RegistryError as error:
        reason = f"not decided, the next run asks again: {error}"
        return Verdict(manifest.product_id, manifest.version, promoted=False, reason=reason, figures={}, decided=False)
    if settings.enable_auto_deployment and not verdict.promoted and loses_clearly(manifest):
        same = champion is not None and fresher_fit(champion, manifest)
        verdict = replace(verdict, withdrawn=champion.version if champion and same else None)
    try:
        _record(verdict, manifest.tenant_id, registry, champion.version if champion else None)
    except ChampionChangedError:
        return decide(manifest, registry, store, settings)
    return verdict


def _champion(manifest: ModelManifest, registry: Registry) -> ModelRecord | None:
    in_use = registry.models(manifest.tenant_id, manifest.product_id, deployed=True)
    return next((model for model in in_use if model.type == manifest.model_type), None)


def _broken(champion: ModelRecord, registry: Registry, store: Verifies) -> bool:
    """Whether a champion cannot forecast, so that there is nothing to hold a whole model against."""
    try:
        manifest = registry.manifest(champion.tenant_id, champion.product_id, champion.version)
    except IntegrityError:
        return True
    return bool(broken_files(manifest, store))


def _record(verdict: Verdict, tenant_id: str, registry: Registry, champion: str | None = ANY) -> None:
    """Store a verdict; a withdrawal comes first, so that a run that dies between the two decides again.

    Raises:
        ChampionChangedError: another champion than the verdict was found against is in use meanwhile.
    """
    product, figures = verdict.product_id, verdict.figures
    if verdict.withdrawn:
        why = f"version {verdict.version} of the same recipe: {verdict.reason}"
        registry.withdraw(tenant_id, product, verdict.withdrawn, reason=why, actor=ACTOR, figures=figures)
        champion = None
    product_and_version = (tenant_id, product, verdict.version)
    if verdict.promoted:
        registry.promote(*product_and_version, reason=verdict.reason, actor=ACTOR, figures=figures, instead_of=champion)
    else:
        registry.refuse(*product_and_version, reason=verdict.reason, actor=ACTOR, figures=figures)
