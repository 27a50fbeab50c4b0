"""The gate: what a new model must be before it replaces the one in use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from contracts import Metrics, ModelManifest, RecipeComparison
from pipeline.engine.paired import Difference
from pipeline.registry.records import ModelRecord
from pipeline.settings import Settings
from pipeline.training.integrity import Verifies, broken_files

MIN_DAYS = 28
"""Past days below which the coverage of one product's range says nothing."""
NEGLIGIBLE = 0.001
"""Share of the champion's loss below which a difference is none, however sure it is."""


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger becomes champion, and why; `withdrawn` is the champion that lost its place with it."""

    product_id: str
    version: str
    promoted: bool
    reason: str
    figures: dict[str, float | None]
    withdrawn: str | None = None
    decided: bool = True
    """False: nobody knows whether it is whole; it is decided about the next time."""


def judge(manifest: ModelManifest, champion: ModelRecord | None, store: Verifies, settings: Settings) -> Verdict:
    """Decide about one challenger.

    It has to be whole, not worse than the seasonal naive, and allowed to go live. A fresh fit of the champion's recipe
    needs no more. Another recipe must not be worse than the champion's at the same origins by more than noise, and its
    range must hold what came true, unless the champion has grown too old to be held to.

    Args:
        manifest: of the challenger.
        champion: the model in use; None: there is none.
        store: holds the challenger's files.
        settings: metric, margin, least coverage, age from which a champion is due for a fresh fit.

    Raises:
        RegistryError: the store does not answer.
    """
    own, naive = loss_of(manifest.metrics, settings), loss_of(manifest.naive_metrics, settings)
    metric = settings.promotion_metric.upper()
    refresh = champion is not None and same_recipe(champion, manifest)
    refusal = None
    if faults := broken_files(manifest, store):
        refusal = f"not whole: {'; '.join(faults)}"
    elif own is not None and naive is not None and own > naive:
        refusal = f"worse than the seasonal naive: {metric} {own:.3g} against {naive:.3g}"
    elif not settings.enable_auto_deployment:
        refusal = "ENABLE_AUTO_DEPLOYMENT is off; `pipeline models deploy` puts it in use"
    elif champion is not None and champion.version > manifest.version:
        refusal = f"version {champion.version}, which is in use, was trained later"
    elif not refresh:
        refusal = too_narrow(manifest, champion, settings)
        if champion is not None and refusal is None:
            refusal = worse_than(champion, manifest, settings)
    if refusal:
        reason = refusal
    elif own is None or naive is None:
        reason = "no past origin to score it at; whole, and nothing speaks against it"
    else:
        reason = f"not worse than the seasonal naive: {metric} {own:.3g} against {naive:.3g}"
        if champion is not None and not refresh:
            reason += f"; {_told(champion, manifest, settings)}"
    return Verdict(manifest.product_id, manifest.version, refusal is None, reason, _figures(manifest))


def loss_of(metrics: Metrics, settings: Settings) -> float | None:
    """Return the error that decides about a promotion."""
    return metrics.mae if settings.promotion_metric == "mae" else metrics.rmse


def too_narrow(manifest: ModelManifest, champion: ModelRecord | None, settings: Settings) -> str | None:
    """Say why a model's range is not to be trusted; None: it may be.

    One product's days are few: it fails where it fails grossly. Its class's are many; they count where there is
    something better to keep.
    """
    own, of_class = manifest.metrics, manifest.class_metrics
    least = settings.promotion_min_coverage
    if own.coverage is not None and own.n >= MIN_DAYS and own.coverage < least:
        return f"its range held {own.coverage:.0%} of {own.n} past days; PROMOTION_MIN_COVERAGE is {least:.0%}"
    least = settings.promotion_min_class_coverage
    held_to = champion is not None and not stale(champion, manifest, settings)
    if held_to and of_class is not None and of_class.coverage is not None and of_class.coverage < least:
        return (
            f"the ranges of its class, {manifest.demand_class}, held {of_class.coverage:.0%} of {of_class.n} past "
            f"days; PROMOTION_MIN_CLASS_COVERAGE is {least:.0%}"
        )
    return None


def worse_than(champion: ModelRecord, manifest: ModelManifest, settings: Settings) -> str | None:
    """Say why a new recipe does not replace the champion's; None: it may."""
    against, whose = manifest.against, f"the recipe of version {champion.version}"
    if stale(champion, manifest, settings) or (against is not None and against.fault):
        return None
    if against is None or against.version != champion.version:
        return f"not held against {whose}, which is in use since; train it again"
    if against.lost:
        return f"could not be held against {whose} this time: {against.lost}"
    if against.loss is None or against.champion_loss is None:
        return None
    apart = Difference(against.loss - against.champion_loss, against.standard_error, against.days, against.weeks)
    together = Difference(against.class_difference or 0.0, against.class_standard_error, 0, 0)
    found = None
    if apart.beyond(settings.promotion_margin, NEGLIGIBLE * against.champion_loss):
        found = f"worse than {whose}: {_loss_told(against)}"
    elif apart.mean > 0 and together.beyond(settings.promotion_margin):
        found = (
            f"worse than {whose}, as its class is: {_loss_told(against)}; over {against.class_products} products "
            f"{together.mean:+.3f} +- {against.class_standard_error:.3f} scaled"
        )
    return found


def stale(champion: ModelRecord, manifest: ModelManifest, settings: Settings) -> bool:
    """Say whether a champion has gone without a fresh fit for so long that it is due for its age.

    Where settings have changed, nobody fits its recipe again: without this an old model would stay for ever.
    """
    return (manifest.origin - champion.origin).days > settings.retrain_after_days


def _told(champion: ModelRecord, manifest: ModelManifest, settings: Settings) -> str:
    """How a new recipe that is promoted did against the champion's."""
    against = manifest.against
    if stale(champion, manifest, settings):
        days = (manifest.origin - champion.origin).days
        return f"version {champion.version} is {days} days old, RETRAIN_AFTER_DAYS is {settings.retrain_after_days}"
    if against is None or against.fault:
        return f"not held against version {champion.version}: {against.fault if against else 'it was not compared'}"
    if against.loss is None:
        return f"no day to hold it against version {champion.version} on"
    return f"not worse than the recipe of version {champion.version}: {_loss_told(against)}"


def _loss_told(against: RecipeComparison) -> str:
    noise = "too few weeks for more" if against.standard_error is None else f"+- {against.standard_error:.3g}"
    what = "mean absolute error" if against.metric == "mae" else "mean squared error"
    return f"{what} {against.loss:.3g} against {against.champion_loss:.3g} {noise} on {against.days} days"


def _figures(manifest: ModelManifest) -> dict[str, float | None]:
    against = manifest.against
    figures = {
        "mae": manifest.metrics.mae,
        "naive_mae": manifest.naive_metrics.mae,
        "wape": manifest.metrics.wape,
        "coverage": manifest.metrics.coverage,
        "class_coverage": manifest.class_metrics.coverage if manifest.class_metrics else None,
    }
    if against is not None:
        figures |= {
            "recipe_loss": against.loss,
            "champion_recipe_loss": against.champion_loss,
            "standard_error": against.standard_error,
            "class_difference": against.class_difference,
            "class_standard_error": against.class_standard_error,
        }
    return figures


def loses_clearly(manifest: ModelManifest) -> bool:
    """Say whether a model's MAE is above the seasonal naive's by more than its own standard error.

    A champion that stands between the two stays: else chance alone would put products in and out of use.
    """
    own, naive = manifest.metrics, manifest.naive_metrics
    if own.mae is None or own.rmse is None or naive.mae is None:
        return False
    return own.mae - naive.mae > math.sqrt(max(own.rmse**2 - own.mae**2, 0.0) / own.n)


def same_recipe(champion: ModelRecord, manifest: ModelManifest) -> bool:
    """Say whether two models differ by their sales and their code alone: the same families and settings."""
    families = "+".join(member.family for member in manifest.members)
    mine = (manifest.model_type, families, manifest.config_fingerprint)
    return mine == (champion.type, champion.algorithm, champion.config_fingerprint)


def fresher_fit(champion: ModelRecord, manifest: ModelManifest) -> bool:
    """Say whether a model is what the champion would be today, so that its fault is the champion's too.

    One of other code is none, nor is one that was trained on other days by its terms.
    """
    alike = (champion.code_version, champion.terms) == (manifest.code_version, manifest.terms)
    return alike and same_recipe(champion, manifest)
