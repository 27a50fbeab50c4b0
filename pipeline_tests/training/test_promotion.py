"""Promotion: whole files, better than repeating last week, and allowed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from contracts import ArtefactRef, Metrics, ModelManifest, TrainingTerms
from pipeline.registry.records import Decision
from pipeline.registry.store import ArtefactStore
from pipeline.registry.tables import TrainedModel
from pipeline.training.gate import Verdict, judge
from pipeline.training.integrity import VerifiedOnce, broken_files
from pipeline.training.promotion import decide
from pipeline_tests.training.shop import LENGTH, TRAINABLE, Shop, sales_of


def manifest_of(shop: Shop, product: str = "tart", **figures: float | None) -> ModelManifest:
    """Return the product's newest manifest, with other errors of it and of the naive where they are given."""
    registry = shop.installation.registry
    found = registry.manifest("bakery", product, registry.latest("bakery")[product].version)
    if not figures:
        return found
    changed = {name: Metrics(n=1, mae=value) for name, value in figures.items()}
    return found.model_copy(update=changed)


def files_of(shop: Shop, manifest: ModelManifest, family: str) -> Iterator[Path]:
    """Return where a member's files lie on the disk."""
    member = next(m for m in manifest.members if m.family == family)
    for ref in member.files:
        yield from shop.installation.home.models.glob(f"{ref.sha256[:2]}/{ref.sha256[2:]}*")


def decided(shop: Shop, manifest: ModelManifest) -> Verdict:
    """Decide about a manifest."""
    opened = shop.installation
    return decide(manifest, opened.registry, opened.store, opened.settings)


def verdict_on(shop: Shop, manifest: ModelManifest) -> Verdict:
    """Return the verdict on a manifest."""
    return judge(manifest, None, shop.installation.store, shop.installation.settings)


def test_a_model_that_beats_the_naive_is_promoted(trained: Shop) -> None:
    """A whole model with a smaller error than the naive becomes champion, and the decision has its figures."""
    manifest = manifest_of(trained, metrics=2.0, naive_metrics=3.0)
    verdict = decided(trained, manifest)
    assert verdict.promoted
    assert verdict.reason == "not worse than the seasonal naive: MAE 2 against 3"
    registry = trained.installation.registry
    assert registry.champions("bakery")["tart"].version == manifest.version
    decision = registry.promotions("bakery", "tart")[0]
    assert (decision.decision, decision.from_version, decision.to_version) == (
        Decision.PROMOTED,
        None,
        manifest.version,
    )
    assert (decision.figures["mae"], decision.figures["naive_mae"], decision.actor) == (2.0, 3.0, "pipeline")


def test_a_model_that_is_worse_than_the_naive_is_refused(trained: Shop) -> None:
    """A larger error than the naive's is refused with both figures, and there is no champion."""
    manifest = manifest_of(trained, metrics=3.1, naive_metrics=3.0)
    verdict = decided(trained, manifest)
    assert not verdict.promoted
    assert verdict.reason == "worse than the seasonal naive: MAE 3.1 against 3"
    registry = trained.installation.registry
    assert registry.champions("bakery") == {}
    assert registry.promotions("bakery", "tart")[0].decision is Decision.REFUSED


@pytest.mark.parametrize("figures", [{"metrics": None, "naive_metrics": 3.0}, {"metrics": 3.0, "naive_metrics": None}])
def test_a_model_that_could_not_be_scored_is_used(trained: Shop, figures: dict[str, float | None]) -> None:
    """Without a past origin nothing speaks against a whole model, and the reason says that there was none."""
    verdict = verdict_on(trained, manifest_of(trained, **figures))
    assert verdict.promoted
    assert verdict.reason.startswith("no past origin")


def test_equal_to_the_naive_is_good_enough(trained: Shop) -> None:
    """The naive itself, as a model, may be used."""
    assert verdict_on(trained, manifest_of(trained, "rare")).promoted


@pytest.mark.parametrize("damage", [b"", b"something else", None])
@pytest.mark.parametrize("family", ["linear", "prophet", "lightgbm"])
def test_a_broken_file_is_refused(trained: Shop, family: str, damage: bytes | None) -> None:
    """A model with a file that is torn, exchanged or gone is refused, and the reason names the file."""
    manifest = manifest_of(trained)
    path = next(files_of(trained, manifest, family))
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    verdict = verdict_on(trained, manifest)
    assert not verdict.promoted
    assert verdict.reason.startswith("not whole: ")
    assert any(fault.split(":")[0] in verdict.reason for fault in broken_files(manifest, trained.installation.store))


def test_broken_is_said_before_everything_else(trained: Shop) -> None:
    """However good its figures, a broken model is refused for being broken."""
    manifest = manifest_of(trained, metrics=0.1, naive_metrics=3.0)
    next(files_of(trained, manifest, "linear")).unlink()
    assert verdict_on(trained, manifest).reason.startswith("not whole: linear.json: ")


def test_automatic_deployment_can_be_switched_off(trained: Shop) -> None:
    """Where a person decides, even the best model is only registered; the reason names the setting."""
    trained.configure(enable_auto_deployment=False)
    verdict = decided(trained, manifest_of(trained, metrics=2.0, naive_metrics=3.0))
    assert not verdict.promoted
    assert "ENABLE_AUTO_DEPLOYMENT" in verdict.reason
    assert not any(verdict.promoted for verdict in trained.promote().values())
    assert trained.installation.registry.champions("bakery") == {}


def test_each_new_model_is_decided_about_once(trained: Shop) -> None:
    """After a decision, for or against, nothing is left to decide."""
    assert set(trained.promote()) == set(TRAINABLE)
    assert trained.installation.registry.undecided("bakery") == {}
    assert trained.promote() == {}


def test_the_previous_champion_is_kept(trained: Shop) -> None:
    """A promoted successor remembers whom it replaced; a refused one changes nothing."""
    registry = trained.installation.registry
    for product in ("baguette", "tart"):
        assert decided(trained, manifest_of(trained, product, metrics=2.0, naive_metrics=3.0)).promoted
    first = {product: record.version for product, record in registry.champions("bakery").items()}
    trained.sell(sales_of(LENGTH + 1))
    trained.train(scheduled=True)
    better = manifest_of(trained, "baguette", metrics=1.0, naive_metrics=3.0)
    assert decided(trained, better).promoted
    assert not decided(trained, manifest_of(trained, "tart", metrics=9.0, naive_metrics=3.0)).promoted
    champions = {product: record.version for product, record in registry.champions("bakery").items()}
    assert champions == {"baguette": better.version, "tart": first["tart"]}
    assert better.version != first["baguette"]
    assert registry.previous_champions("bakery")["baguette"].version == first["baguette"]
    for product, version in first.items():
        assert broken_files(registry.manifest("bakery", product, version), trained.installation.store) == []


def test_only_the_newest_model_is_decided_about(trained: Shop) -> None:
    """Of two models that nobody has decided about the older is passed over."""
    trained.sell(sales_of(LENGTH + 1))
    trained.train(scheduled=True)
    latest = trained.installation.registry.latest("bakery")
    decided_on = {product: verdict.version for product, verdict in trained.promote().items()}
    assert decided_on == {product: record.version for product, record in latest.items()}
    assert {one.to_version for one in trained.installation.registry.promotions("bakery")} == set(decided_on.values())


def test_a_changed_manifest_is_refused_and_the_others_go_on(trained: Shop) -> None:
    """One manifest that was changed after it was registered costs its own product the promotion, no other's."""
    registry = trained.installation.registry
    with registry._engine.begin() as connection:
        connection.execute(update(TrainedModel).where(TrainedModel.product_id == "tart").values(manifest="{}"))
    verdicts = trained.promote()
    assert set(verdicts) == set(TRAINABLE)
    assert not verdicts["tart"].promoted
    assert "not whole: the manifest of bakery/tart" in verdicts["tart"].reason
    assert registry.promotions("bakery", "tart")[0].reason == verdicts["tart"].reason
    assert registry.undecided("bakery") == {}
    assert "rare" in registry.champions("bakery")
    assert "tart" not in registry.champions("bakery")


def test_a_shared_file_is_read_once(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deciding about all products reads the booster that they share once; every other file once as well."""
    read: list[str] = []
    broken = ArtefactStore.broken

    def counted(store: ArtefactStore, ref: ArtefactRef) -> str | None:
        read.append(ref.sha256)
        return broken(store, ref)

    monkeypatch.setattr(ArtefactStore, "broken", counted)
    boosters = [
        f for p in TRAINABLE for m in manifest_of(trained, p).members for f in m.files if m.family == "lightgbm"
    ]
    assert len(boosters) > len(set(boosters))
    trained.promote()
    assert set(read) >= {ref.sha256 for ref in boosters}
    assert len(read) == len(set(read))
    once = VerifiedOnce(trained.installation.store)
    path = next(files_of(trained, manifest_of(trained), "lightgbm"))
    path.unlink()
    assert broken_files(manifest_of(trained), once) == broken_files(manifest_of(trained, "baguette"), once) != []


def losing(shop: Shop, product: str = "tart", **changes: object) -> ModelManifest:
    """Return the newest manifest with an error above the naive's by two standard errors: 0.25 = sqrt(4.25 - 4) / 2."""
    own = Metrics(n=4, mae=2.0, rmse=4.25**0.5)
    return manifest_of(shop, product).model_copy(
        update={"metrics": own, "naive_metrics": Metrics(n=4, mae=1.5)} | changes
    )


def next_after_champion(shop: Shop, product: str = "tart") -> str:
    """Put the newest model in use, train another of the same recipe, and return the champion's version."""
    first = manifest_of(shop, product, metrics=2.0, naive_metrics=3.0)
    assert decided(shop, first).promoted
    shop.sell(sales_of(LENGTH + 1))
    shop.train(requested=frozenset({product}))
    return first.version


def test_the_naive_takes_the_place_of_a_recipe_that_loses_to_it(trained: Shop) -> None:
    """When a fresh fit clearly loses to the naive its recipe is out of use: champion withdrawn, with both decisions."""
    champion = next_after_champion(trained)
    registry, challenger = trained.installation.registry, losing(trained)
    verdict = decided(trained, challenger)
    assert (verdict.promoted, verdict.withdrawn) == (False, champion)
    assert "tart" not in registry.champions("bakery")
    assert "tart" not in registry.previous_champions("bakery")
    refused, withdrawn = registry.promotions("bakery", "tart")[:2]
    assert (refused.decision, refused.to_version) == (Decision.REFUSED, challenger.version)
    assert (withdrawn.decision, withdrawn.to_version) == (Decision.WITHDRAWN, champion)
    assert withdrawn.reason == (
        f"version {challenger.version} of the same recipe: worse than the seasonal naive: MAE 2 against 1.5"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"naive_metrics": Metrics(n=4, mae=1.8)},
        {"metrics": Metrics(n=4, mae=2.0)},
        {"config_fingerprint": "0" * 64},
        {"code_version": "another"},
        {"members": ()},
        {"terms": TrainingTerms(start=dt.date(2024, 6, 1))},
    ],
    ids=["within chance", "without a spread", "other settings", "other code", "other families", "other days"],
)
def test_a_champion_stays_where_nothing_is_shown_against_it(trained: Shop, changes: dict[str, object]) -> None:
    """A refusal within one standard error, of another recipe, or under terms, says nothing about the champion."""
    champion = next_after_champion(trained)
    verdict = decided(trained, losing(trained, **changes))
    assert (verdict.promoted, verdict.withdrawn) == (False, None)
    assert trained.installation.registry.champions("bakery")["tart"].version == champion


def test_nothing_is_withdrawn_where_a_person_decides(trained: Shop) -> None:
    """With automatic deployment switched off a champion stays in use, whatever the figures."""
    champion = next_after_champion(trained)
    trained.configure(enable_auto_deployment=False)
    assert decided(trained, losing(trained)).withdrawn is None
    assert trained.installation.registry.champions("bakery")["tart"].version == champion
