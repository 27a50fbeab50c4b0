"""The trainer when something goes wrong: one fault costs one family, file, origin or product, and is told."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from contracts import Cause, Outcome
from pipeline.engine.evaluate import among, score
from pipeline.engine.families import FAMILIES
from pipeline.engine.families.seasonal_naive import SeasonalNaive
from pipeline.errors import ComputeError
from pipeline.registry.store import ArtefactStore
from pipeline.training import fitting, trainer
from pipeline_tests.engine.test_evaluate_faults import Fragile
from pipeline_tests.training.shop import TRAINABLE, Shop
from pipeline_tests.training.test_trainer import ALL, MODELS, by_product, run, trainer_of


class HoledFit:
    """A fit whose forecast has a hole."""

    def __init__(self, whole):
        self.whole = whole

    def predict(self, history, outlook, horizon):
        """Return the whole fit's forecast with a NaN."""
        made = self.whole.predict(history, outlook, horizon)
        made[0, 2] = np.nan
        return made

    def to_files(self):
        """Return the whole fit's files."""
        return self.whole.to_files()


class FullDisk(ArtefactStore):
    """A store whose disk is full when it comes to some content."""

    refused = b""

    def put(self, name, content):
        """Store other content."""
        if self.refused in content:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().put(name, content)


@pytest.mark.parametrize("product", ["tart", "baguette"])
def test_a_product_that_cannot_be_stored_fails_alone(fresh: Shop, product: str) -> None:
    """A full disk under one product's files is that product's failure; all others are trained."""
    store = FullDisk(fresh.installation.home.models)
    store.refused = f'"{product}": "{{'.encode()
    done = run(trainer_of(fresh, store), fresh)
    failed = done[product].ledger
    assert (failed.outcome, failed.error_type, failed.version) == (Outcome.FAILED, "OSError", None)
    assert "No space left" in failed.reason
    assert {p for p, one in done.items() if one.ledger.outcome is Outcome.TRAINED} == set(TRAINABLE) - {product}
    assert set(fresh.installation.registry.latest("bakery")) == set(TRAINABLE) - {product}
    assert set(done) == ALL


def test_what_failed_is_due_again(fresh: Shop) -> None:
    """A product that failed is taken up by the next training, and it alone."""
    store = FullDisk(fresh.installation.home.models)
    store.refused = b'"tart": "{'
    run(trainer_of(fresh, store), fresh)
    assert [row.product_id for row in fresh.plan() if row.due] == ["tart"]
    done, _ = fresh.train()
    assert by_product(done)["tart"].ledger.cause is Cause.NEVER_TRAINED


def test_a_pooled_fit_that_cannot_be_stored_is_done_without(fresh: Shop) -> None:
    """Where the booster cannot be kept the products get their other families, and their manifests say why."""
    store = FullDisk(fresh.installation.home.models)
    store.refused = b"tree\nversion="
    done = run(trainer_of(fresh, store), fresh)
    manifest = done["tart"].manifest
    assert manifest is not None
    assert {m.family for m in manifest.members} == set(MODELS) - {"lightgbm"}
    assert any(note.startswith("lightgbm: OSError") for note in manifest.notes)
    assert done["tart"].ledger.reason.startswith("no model yet; without lightgbm: OSError: ")
    assert "without" not in done["rare"].ledger.reason


def test_a_pooled_forecast_that_is_not_finite_is_done_without(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One NaN of the booster takes the booster from every product, and nothing else; ledger and manifest say so."""
    pooled = fitting.fit_pooled

    def holed(task):
        fit = pooled(task)
        if task.family == "lightgbm":
            fit.forecasts[0, 3] = np.nan
        return fit

    monkeypatch.setattr(fitting, "fit_pooled", holed)
    done = run(trainer_of(fresh), fresh)
    for product in ("tart", "rye"):
        manifest = done[product].manifest
        assert manifest is not None
        assert {m.family for m in manifest.members} == set(MODELS) - {"lightgbm"}
        assert done[product].ledger.reason == "no model yet; without lightgbm: its forecast is not finite"


def test_a_forecast_that_is_not_finite_is_a_fault(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family whose forecast holds a NaN for a product is left out of that product's model."""

    class Holed(SeasonalNaive):
        """Forecasts NaN for the tart."""

        name = "holed"
        gatekeeper = False

        def fit(self, history, outlook, recipe):
            """Return a fit that fails the tart in silence."""
            fitted = super().fit(history, outlook, recipe)
            return HoledFit(fitted) if history.products == ("tart",) else fitted

    monkeypatch.setitem(FAMILIES, "holed", Holed())
    done = run(trainer_of(fresh), fresh)
    assert "without holed: FamilyError: the forecast of 'tart' is not finite" in done["tart"].ledger.reason
    manifest = done["rye"].manifest
    assert manifest is not None
    assert "holed" in {m.family for m in manifest.members}


def test_a_discontinued_product_is_trained_when_it_is_asked_for(fresh: Shop) -> None:
    """Asked for by name it is fitted by its own families; the pooled one does not know it."""
    done, _ = fresh.train(requested=frozenset({"gone"}))
    one = by_product(done)["gone"]
    assert one.manifest is not None
    assert {m.family for m in one.manifest.members} == {"linear", "prophet", "tsb"}


def test_a_family_that_fails_is_left_out_and_named(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family's fault on one product leaves the product its other families; ledger and manifest name it."""

    class Breaks(Fragile):
        """Cannot fit the tart."""

        def fit(self, history, outlook, recipe):
            """Fail when the tart is there."""
            if "tart" in history.products:
                raise self.error
            return super().fit(history, outlook, recipe)

    monkeypatch.setitem(FAMILIES, "fragile", Breaks(ValueError("too flaky")))
    done = run(trainer_of(fresh), fresh)
    manifest = done["tart"].manifest
    assert manifest is not None
    assert "fragile" not in {m.family for m in manifest.members}
    assert done["tart"].ledger.reason == "no model yet; without fragile: ValueError: too flaky"
    assert "fragile: ValueError: too flaky" in manifest.notes
    assert any(note.startswith("fragile at ") for note in manifest.notes)
    other = done["rye"].manifest
    assert other is not None
    assert "fragile" in {m.family for m in other.members}


def test_a_lost_fit_leaves_what_needs_none(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product whose own fit was lost with its worker is served by the pooled families, and the ledger says so."""
    fit = fitting.fit_product

    def lost(task):
        if task.product == "tart":
            raise ComputeError("its worker died")
        return fit(task)

    monkeypatch.setattr(trainer, "fit_product", lost)
    training = trainer_of(fresh)
    done = run(training, fresh)
    manifest = done["tart"].manifest
    assert manifest is not None
    assert [m.family for m in manifest.members] == ["lightgbm", "ets", "theta"]
    assert done["tart"].ledger.reason == "no model yet; without fit: ComputeError: its worker died"
    assert sum(m.weight for m in manifest.members) == pytest.approx(1)
    spoken = among(training.evaluation.scored, {"lightgbm", "ets", "theta"})
    assert manifest.metrics == score(spoken, None, "tart") != score(training.evaluation.scored, None, "tart")
    assert "fit: ComputeError: its worker died" in manifest.notes


def test_a_lost_origin_ends_the_training(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any past origin nothing is trained: nothing could be judged, and no model is registered."""

    def lost(task):
        raise MemoryError("worker gone")

    monkeypatch.setattr(fitting, "at_origin", lost)
    with pytest.raises(ComputeError, match=r"every past origin was lost.*worker gone"):
        run(trainer_of(fresh), fresh)
    assert fresh.installation.registry.latest("bakery") == {}


def test_one_lost_origin_is_done_without(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A past origin whose worker died is noted in the manifests; the others judge."""
    evaluate, taken = fitting.at_origin, []

    def lost(task):
        taken.append(task.origin)
        if len(taken) == 1:
            raise MemoryError("worker gone")
        return evaluate(task)

    monkeypatch.setattr(fitting, "at_origin", lost)
    done = run(trainer_of(fresh), fresh)
    trained = [one for one in done.values() if one.manifest is not None]
    manifest = done["baguette"].manifest
    assert manifest is not None
    assert manifest.origins == (taken[1].date(),)
    assert any(note.startswith(f"past origin {taken[0].date()} was lost: MemoryError") for note in manifest.notes)
    reasons = {one.ledger.reason for one in trained}
    assert all(f"past origin {taken[0].date()} was lost: MemoryError" in reason for reason in reasons)


def test_a_product_without_any_fit_fails(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every family was lost no model is made up: the product fails, and the ledger says why."""

    def lost(task):
        raise ComputeError("its worker died")

    monkeypatch.setattr(trainer, "fit_product", lost)
    monkeypatch.setattr(fitting, "fit_pooled", lost)
    ledger = run(trainer_of(fresh), fresh)["tart"].ledger
    assert (ledger.outcome, ledger.error_type, ledger.version) == (Outcome.FAILED, "EngineError", None)
    assert "its worker died" in ledger.reason
