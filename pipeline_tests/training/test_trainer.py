"""The trainer: every product gets its model, its manifest and its ledger row."""

from __future__ import annotations

import numpy as np
import pytest

from contracts import Outcome, PartKind
from pipeline.engine.evaluate import score, weights_of
from pipeline.engine.families import FAMILIES
from pipeline.engine.metrics import seasonal_scales
from pipeline.engine.parts import LEVEL, WEEKDAY, Part, total
from pipeline.registry.store import ArtefactStore
from pipeline.training.trainer import EVALUATING, TRAINING, Done, Trainer
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.shop import TRAINABLE, Inline, Shop

MODELS = ("linear", "prophet", "lightgbm", "ets", "theta", "tsb")
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
    plan = {row.product_id: row for row in training.shop.installation.registry.plan("bakery", job.trainer.job_id)}
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
        shares = weights_of(evaluation.scored).shares(MODELS, manifest.demand_class)
        assert {m.family: (m.scope, m.weight, m.metrics_from) for m in manifest.members} == {
            "linear": ("product", shares["linear"], None),
            "prophet": ("product", shares["prophet"], "linear"),
            "lightgbm": ("tenant", shares["lightgbm"], None),
            "ets": ("tenant", shares["ets"], None),
            "theta": ("tenant", shares["theta"], None),
            "tsb": ("product", shares["tsb"], None),
        }
        assert (shares["linear"], shares["ets"]) == (shares["prophet"], shares["theta"])
        assert sum(shares.values()) == pytest.approx(1)
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
        assert set(manifest.libraries) == {"lightgbm", "numpy", "optuna", "pandas", "prophet"}


def test_direct_trees_take_part_when_asked_for(fresh: Shop) -> None:
    """With no family left out the direct trees are evaluated, weighed, stored, and can be read back."""
    fresh.configure(without_families="")
    done, job = fresh.train()
    manifest = by_product(done)["baguette"].manifest
    assert manifest is not None
    [member] = [m for m in manifest.members if m.family == "lightgbm_direct"]
    learnt = weights_of(job.trainer.evaluation.scored).shares([*MODELS, "lightgbm_direct"], manifest.demand_class)
    assert member.weight == learnt["lightgbm_direct"]
    assert member.metrics == score(job.trainer.evaluation.scored, "lightgbm_direct", "baguette")
    FAMILIES[member.family].from_files({ref.name: fresh.installation.store.get(ref) for ref in member.files})


def test_without_the_regression_nothing_is_searched(fresh: Shop) -> None:
    """Where no family with searched settings takes part, nothing is searched, and the others make the model."""
    fresh.configure(without_families="linear,prophet,lightgbm_direct")
    manifest = by_product(fresh.train()[0])["baguette"].manifest
    assert manifest is not None
    assert manifest.tuning is None
    assert {m.family for m in manifest.members} == {"lightgbm", "ets", "theta", "tsb"}


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


def test_a_product_that_hardly_sells_gets_the_intermittent_family(training: Training) -> None:
    """A restricted product's model is the family for rare sales alone, with figures of its own."""
    done = training.done
    manifest = by_product(done)["rare"].manifest
    assert manifest is not None
    assert [(m.family, m.weight, [ref.name for ref in m.files]) for m in manifest.members] == [
        ("tsb", 1.0, ["tsb.json"])
    ]
    assert manifest.metrics.mae == manifest.members[0].metrics.mae
    assert manifest.naive_metrics.mae is not None


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


def test_each_model_tells_why_its_first_day_is_what_it_is(training: Training) -> None:
    """The parts that come with a trained model add up to its forecast for the first day, and say what speaks for it."""
    for product in ("baguette", "tart", "rye", "young"):
        one = by_product(training.done)[product]
        assert one.why is not None
        assert one.y_hat is not None
        assert {units.shape for units in one.why.values()} == {(1, 1)}
        np.testing.assert_allclose(total(one.why)[0, 0], one.y_hat[0], rtol=1e-6)
        assert {LEVEL, WEEKDAY, Part(PartKind.RECENT_DAYS)} <= set(one.why)


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
    assert {m.family: m.weight for m in manifest.members} == pytest.approx(
        {"linear": 0.25, "prophet": 0.25, "ets": 0.25, "theta": 0.25, "tsb": 0.0}
    )
    assert any("lightgbm" in note and "too few to grow trees" in note for note in manifest.notes)


@pytest.mark.long
def test_workers_give_the_same_models(fresh: Shop, trained: Shop) -> None:
    """In processes of their own the fits are the same, bit by bit, as in this one."""
    with fresh.job() as job:
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
