"""The trainer: every product gets its model, its manifest and its ledger row."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from contracts import Cause, Outcome
from pipeline.engine.evaluate import score
from pipeline.engine.families import FAMILIES
from pipeline.engine.metrics import seasonal_scales
from pipeline.errors import ComputeError
from pipeline.registry.store import ArtefactStore
from pipeline.training import fitting
from pipeline.training.job import training_job
from pipeline.training.trainer import EVALUATING, TRAINING, Done, Trainer
from pipeline_tests.engine.test_evaluate import Fragile
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.shop import ORDER, TRAINABLE, Inline, Shop

ALL = {*TRAINABLE, "new", "gone"}


def by_product(done: list[Done]) -> dict[str, Done]:
    """Return what became of each product; none may come twice."""
    found = {one.ledger.product_id: one for one in done}
    assert len(found) == len(done)
    return found


def run(trainer: Trainer, shop: Shop) -> dict[str, Done]:
    """Train what is due with a trainer of one's own."""
    return by_product(list(trainer.train(shop.plan())))


def trainer_of(shop: Shop, store: ArtefactStore | None = None) -> Trainer:
    """Return a trainer of the shop under a job of its own."""
    opened = shop.installation
    job_id = opened.registry.start_job("bakery", name="t", cause="t", requested_by="t")
    return Trainer(
        shop.data(), opened.home, opened.settings, opened.registry, store or opened.store, job_id, 0, lambda *_: None
    )


def test_every_product_has_one_row_in_the_ledger(training: Training) -> None:
    """Trained, too young or discontinued: each product is settled once, in the registry as in what is yielded."""
    done, job = training.done, training.job
    rows = {one.ledger.product_id: one.ledger for one in done}
    assert {product: row.outcome for product, row in rows.items()} == {
        **dict.fromkeys(TRAINABLE, Outcome.TRAINED),
        "new": Outcome.INSUFFICIENT,
        "gone": Outcome.SKIPPED,
    }
    stored = {row.product_id: row for row in training.shop.installation.registry.ledger("bakery", job.trainer.job_id)}
    assert stored == rows
    plan = {row.product_id: row for row in training.shop.installation.registry.plan(job.trainer.job_id)}
    assert set(plan) == ALL
    for product, row in rows.items():
        assert (row.cause, row.data_days, row.data_fingerprint) == (
            plan[product].cause,
            plan[product].data_days,
            plan[product].data_fingerprint,
        )


def test_trained_products_come_in_order_of_importance(training: Training) -> None:
    """First those that are not due, then the trained ones, the most important first."""
    done = training.done
    order = [one.ledger.product_id for one in done]
    assert set(order[:2]) == {"new", "gone"}
    assert order[2:] == list(TRAINABLE)


def test_a_manifest_says_what_was_done(training: Training) -> None:
    """Members, figures, data and origins of a manifest are those of the training."""
    done, job = training.done, training.job
    data, evaluation = job.trainer.data, job.trainer.evaluation
    scale, _ = seasonal_scales(data.panel)
    for product in ("baguette", "young"):
        manifest = by_product(done)[product].manifest
        assert manifest is not None
        assert {m.family: (m.scope, m.weight, m.metrics_from) for m in manifest.members} == {
            "linear": ("product", 0.25, None),
            "prophet": ("product", 0.25, "linear"),
            "lightgbm": ("tenant", 0.5, None),
        }
        assert manifest.origin == data.origin.date()
        seen = [one.origin.date() for one in evaluation.scored if product in one.row]
        assert manifest.origins == tuple(seen)
        assert len(seen) == (1 if product == "young" else 2)
        row = data.panel.products.index(product)
        assert manifest.data_days == int(data.panel.observed[row].sum())
        assert manifest.scale == pytest.approx(scale[row])
        assert manifest.metrics == score(evaluation.scored, None, product)
        assert manifest.naive_metrics == score(evaluation.scored, "seasonal_naive", product)
        figures = {m.family: m.metrics for m in manifest.members}
        assert figures["prophet"] == figures["linear"] == score(evaluation.scored, "linear", product)
        assert figures["lightgbm"] == score(evaluation.scored, "lightgbm", product)
        assert manifest.metrics.n == (6 if product == "young" else 12)
        assert manifest.metrics.coverage is not None
        assert [band.first_day for band in manifest.bands] == [1, 8, 15]
        assert set(manifest.libraries) == {"lightgbm", "numpy", "pandas", "prophet"}


def test_a_manifest_stands_in_the_registry_with_its_files(trained: Shop) -> None:
    """Every registered model's files are whole, and read back they are what their families can read."""
    opened = trained.installation
    latest = opened.registry.latest("bakery")
    assert set(latest) == set(TRAINABLE)
    for product, record in latest.items():
        manifest = opened.registry.manifest("bakery", product, record.version)
        for member in manifest.members:
            files = {ref.name: opened.store.get(ref) for ref in member.files}
            FAMILIES[member.family].from_files(files)


def test_the_pooled_fit_is_one_for_all(trained: Shop) -> None:
    """Every product's manifest refers to the same booster."""
    opened = trained.installation
    boosters = set()
    for product, record in opened.registry.latest("bakery").items():
        members = {m.family: m for m in opened.registry.manifest("bakery", product, record.version).members}
        boosters |= {ref.sha256 for ref in members["lightgbm"].files} if "lightgbm" in members else set()
    assert len(boosters) == 2


def test_a_product_that_hardly_sells_gets_the_naive(training: Training) -> None:
    """A restricted product's model is the seasonal naive, without a file, and with figures of its own."""
    done = training.done
    manifest = by_product(done)["rare"].manifest
    assert manifest is not None
    assert [(m.family, m.weight, m.files) for m in manifest.members] == [("seasonal_naive", 1.0, ())]
    assert manifest.metrics == manifest.naive_metrics.model_copy(update={"coverage": manifest.metrics.coverage})


def test_what_a_model_forecasts_is_given_along(training: Training) -> None:
    """Each trained model comes with its mean and quantiles a day ahead, zero on the coming Sunday."""
    done = training.done
    for product in ("baguette", "tart", "rye", "young"):
        one = by_product(done)[product]
        assert one.y_hat is not None
        assert one.ahead is not None
        assert (one.y_hat.shape, one.ahead.shape) == ((7,), (7, 7))
        sunday = np.array([(training.shop.data().origin.dayofweek + 1 + ahead) % 7 == 6 for ahead in range(7)])
        assert (one.y_hat[sunday] == 0).all()
        assert (one.ahead[:, sunday] == 0).all()
        assert (one.y_hat[~sunday] > 0).all()
        assert (np.diff(one.ahead, axis=0) >= 0).all()


def test_progress_is_told(fresh: Shop) -> None:
    """Both steps count up to their totals."""
    told: list[tuple[str, int, int]] = []
    trainer = trainer_of(fresh)
    trainer.progress = lambda step, done, total: told.append((step, done, total))
    run(trainer, fresh)
    assert [t[1:] for t in told if t[0] == EVALUATING] == [(0, 2), (1, 2), (2, 2)]
    assert [t[1:] for t in told if t[0] == TRAINING] == [(n, 5) for n in range(1, 6)]


def test_without_a_past_origin_models_are_trained_all_the_same(fresh: Shop) -> None:
    """A product of a few weeks gets a model whose figures are empty and whose manifest says why."""
    fresh.sell({"rye": np.where(np.arange(36) % 7 == 6, 0, 20.0 + np.arange(36) % 7)}, "young-shop")
    done, _ = fresh.train("young-shop")
    manifest = done[0].manifest
    assert manifest is not None
    assert (manifest.metrics.n, manifest.metrics.mae, manifest.origins) == (0, None, ())
    assert manifest.evaluation == "not evaluated: too little history for a past origin"
    assert [m.family for m in manifest.members] == ["linear", "prophet"]
    assert any("lightgbm" in note and "too few to grow trees" in note for note in manifest.notes)


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
    assert [m.family for m in manifest.members] == ["linear", "prophet"]
    assert any(note.startswith("lightgbm: OSError") for note in manifest.notes)


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
    assert done["tart"].ledger.reason == "no model yet; without fragile"
    assert "fragile: ValueError: too flaky" in manifest.notes
    assert any(note.startswith("fragile at ") for note in manifest.notes)
    other = done["rye"].manifest
    assert other is not None
    assert "fragile" in {m.family for m in other.members}


def test_a_lost_fit_leaves_what_needs_none(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product whose own fit was lost with its worker is served by the pooled family, and the ledger says so."""
    fit = fitting.fit_product

    def lost(task):
        if task.product == "tart":
            raise ComputeError("its worker died")
        return fit(task)

    monkeypatch.setattr(fitting, "fit_product", lost)
    done = run(trainer_of(fresh), fresh)
    manifest = done["tart"].manifest
    assert manifest is not None
    assert [m.family for m in manifest.members] == ["lightgbm"]
    assert done["tart"].ledger.reason == "no model yet; without fit"
    assert manifest.metrics.mae == next(m for m in manifest.members if m.family == "lightgbm").metrics.mae
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
    manifest = run(trainer_of(fresh), fresh)["baguette"].manifest
    assert manifest is not None
    assert manifest.origins == (taken[1].date(),)
    assert any(note.startswith(f"past origin {taken[0].date()} was lost: MemoryError") for note in manifest.notes)


def test_a_product_without_any_fit_fails(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every family was lost no model is made up: the product fails, and the ledger says why."""

    def lost(task):
        raise ComputeError("its worker died")

    monkeypatch.setattr(fitting, "fit_product", lost)
    monkeypatch.setattr(fitting, "fit_pooled", lost)
    ledger = run(trainer_of(fresh), fresh)["tart"].ledger
    assert (ledger.outcome, ledger.error_type, ledger.version) == (Outcome.FAILED, "EngineError", None)
    assert "its worker died" in ledger.reason


@pytest.mark.long
def test_workers_give_the_same_models(fresh: Shop, trained: Shop) -> None:
    """In processes of their own the fits are the same, bit by bit, as in this one."""
    opened = fresh.installation
    with training_job(opened, fresh.data(), fresh.plan(), ORDER) as job:
        job.trainer.workers = 1
        done = list(job.train())
    here = trained.installation.registry
    for one in done:
        if one.manifest is not None:
            product = one.manifest.product_id
            other = here.manifest("bakery", product, here.latest("bakery")[product].version)
            assert [m.files for m in one.manifest.members] == [m.files for m in other.members]
            assert one.manifest.metrics == other.metrics
            assert one.manifest.bands == other.bands


def test_an_installation_in_this_process_starts_no_worker(fresh: Shop) -> None:
    """What these tests rest on: the work is done here."""
    assert isinstance(fresh.installation, Inline)
    assert fresh.installation.workers == 0
