"""Deciding about new models while things go wrong: silent stores, broken champions, other hands at work."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contracts import ArtefactRef, ModelManifest
from pipeline.errors import RegistryError, TaskTimeoutError
from pipeline.registry.store import ArtefactStore
from pipeline.training.promotion import decide_all
from pipeline.training.rivals import Refit, Side
from pipeline_tests.training.shop import LENGTH, TRAINABLE, Shop, sales_of
from pipeline_tests.training.test_contest import FOUR, NO_WEEK, against, newest, retrained


@dataclass
class Silent:
    """A store that does not answer for boosters the first time that it is asked."""

    store: ArtefactStore
    asked: list[str] = field(default_factory=list)

    def broken(self, ref: ArtefactRef) -> str | None:
        """Answer but for the first question about a booster."""
        if "booster" in ref.name:
            self.asked.append(ref.sha256)
            if len(self.asked) == 1:
                raise RegistryError("no answer within 60 s")
        return self.store.broken(ref)


class Interrupting(ArtefactStore):
    """A store during whose first verification another hand puts newer models in use."""

    shop: Shop
    done = False

    def broken(self, ref: ArtefactRef) -> str | None:
        """Verify, after the other hand."""
        if not self.done:
            self.done = True
            registry = self.shop.installation.registry
            for product, model in registry.latest("bakery").items():
                manifest = registry.manifest("bakery", product, model.version)
                later = {"origin": manifest.origin + dt.timedelta(days=7)}
                newer = registry.register(manifest.model_copy(update=later))
                registry.promote("bakery", product, newer.version, reason="newer", actor="another", figures={})
        return super().broken(ref)


def champions(shop: Shop) -> dict[str, str]:
    """Return the version in use by product."""
    return {product: model.version for product, model in shop.installation.registry.champions("bakery").items()}


def files_of(shop: Shop, manifest: ModelManifest) -> list[Path]:
    """Return where the files lie that no other product has the same of."""
    refs = [ref for member in manifest.members if member.family == "prophet" for ref in member.files]
    return [path for ref in refs for path in shop.installation.home.models.glob(f"{ref.sha256[:2]}/{ref.sha256[2:]}*")]


def weekless(shop: Shop) -> None:
    """Put a model of rye in use, and train it again, for the worse."""
    shop.configure(**FOUR)
    shop.train(requested=frozenset({"rye"}))
    shop.promote()
    shop.sell(sales_of(LENGTH + 14))


def test_what_a_silent_store_holds_is_decided_about_later(trained: Shop) -> None:
    """A store that does not answer refuses nothing: the model waits, the others go on, the next run decides."""
    opened = trained.installation
    silent = Silent(opened.store)
    verdicts = {one.product_id: one for one in decide_all("bakery", opened.registry, silent, opened.settings)}
    (waiting,) = [one for one in verdicts.values() if not one.decided]
    assert waiting.reason == "not decided, the next run asks again: no answer within 60 s"
    assert set(verdicts) == set(TRAINABLE)
    assert not any("not whole" in one.reason for one in verdicts.values())
    assert set(opened.registry.undecided("bakery")) == {waiting.product_id}
    assert trained.promote()[waiting.product_id].decided


def test_a_newer_champion_of_another_hand_stays(trained: Shop) -> None:
    """Where newer models are put in use while older ones are verified, the older ones do not replace them."""
    opened = trained.installation
    store = Interrupting(opened.home.models)
    store.shop = trained
    verdicts = decide_all("bakery", opened.registry, store, opened.settings)
    latest = {product: model.version for product, model in opened.registry.latest("bakery").items()}
    assert champions(trained) == latest
    assert not any(one.promoted for one in verdicts)
    assert any("was trained later" in one.reason for one in verdicts)


def test_a_broken_champion_gives_way_to_a_whole_model(trained: Shop) -> None:
    """A worse recipe replaces a champion that cannot forecast; its product is not due for ever."""
    weekless(trained)
    champion = newest(trained, "rye")
    retrained(trained, "rye", **FOUR, **NO_WEEK)
    for path in files_of(trained, champion):
        path.unlink()
    verdict = trained.promote()["rye"]
    assert verdict.promoted, verdict.reason


def test_a_whole_model_that_waits_is_no_reason_to_train(trained: Shop) -> None:
    """With deployment by hand, a broken champion makes its product due until a whole model waits for a person."""
    from pipeline.training.integrity import unusable

    trained.promote()
    opened = trained.installation
    for path in files_of(trained, newest(trained, "rye")):
        path.unlink()
    assert set(unusable(opened.registry, opened.store, "bakery")) == {"rye"}
    assert set(unusable(opened.registry, opened.store, "bakery", {"tart"})) == set()
    trained.sell(sales_of(LENGTH + 1))
    trained.configure(enable_auto_deployment=False)
    trained.train(requested=frozenset({"rye"}))
    opened = trained.installation
    assert unusable(opened.registry, opened.store, "bakery") == {}


def test_a_lost_fit_of_the_champions_recipe_opens_no_gate(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the champion's recipe could not be fitted in time nothing is compared, and the new one is refused."""
    from pipeline.training import rivals

    def slow(one: Refit) -> object:
        if one.side is Side.CHAMPION:
            raise TaskTimeoutError("took longer than 600 s")
        return rivals.at_origin(one.task)

    weekless(trained)
    monkeypatch.setattr("pipeline.training.trainer.refit", slow)
    found = against(retrained(trained, "rye", **FOUR, **NO_WEEK))
    assert found.loss is None
    assert found.lost is not None
    assert "TaskTimeoutError: took longer than 600 s" in found.lost
    verdict = trained.promote()["rye"]
    assert not verdict.promoted
    assert "could not be held against" in verdict.reason


def test_a_registry_that_cannot_be_read_opens_no_gate(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the champion's manifest cannot be read for the database's sake, the training fails and says so."""
    from pipeline.registry.registry import Registry

    def away(*_args: object) -> None:
        raise RegistryError("connection reset")

    weekless(trained)
    trained.configure(**FOUR, **NO_WEEK)
    monkeypatch.setattr(Registry, "manifest", away)
    with pytest.raises(RegistryError, match="connection reset"):
        trained.train(requested=frozenset({"rye"}))
