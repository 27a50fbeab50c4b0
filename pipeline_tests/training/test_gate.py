"""The gate: what replaces a champion, and what does not, by the figures of both."""

from __future__ import annotations

import datetime as dt

import pytest

from contracts import Metrics, ModelManifest, RecipeComparison
from pipeline.registry.records import ModelRecord
from pipeline.training.gate import Verdict, judge
from pipeline_tests.training.shop import Shop, quick_settings

OLD = "20240801_000000"
COMPARED = {"version": OLD, "metric": "mae", "days": 56, "weeks": 8}
GOOD, NAIVE = Metrics(n=56, mae=2.0, rmse=2.5, coverage=0.9), Metrics(n=56, mae=3.0, rmse=4.0)


def challenger(shop: Shop, **changes: object) -> ModelManifest:
    """Return a whole model of tart with fair figures, and other ones where they are given."""
    registry = shop.installation.registry
    found = registry.manifest("bakery", "tart", registry.latest("bakery")["tart"].version)
    fair = {"metrics": GOOD, "naive_metrics": NAIVE, "class_metrics": GOOD}
    return found.model_copy(update=fair | changes)


def champion(shop: Shop, manifest: ModelManifest, age: int = 7, **changes: object) -> ModelRecord:
    """Return a champion of other settings whose last day lies `age` days before the challenger's."""
    from dataclasses import replace

    record = shop.installation.registry.latest("bakery")["tart"]
    old = {"version": OLD, "config_fingerprint": "0" * 64, "origin": manifest.origin - dt.timedelta(days=age)}
    return replace(record, **(old | changes))


def held(**figures: object) -> RecipeComparison:
    """Return a comparison with the champion: a loss of 2, 0.1 of noise, and what is given."""
    return RecipeComparison.model_validate(
        COMPARED | {"loss": 2.0, "champion_loss": 2.0, "standard_error": 0.1} | figures
    )


def verdict(shop: Shop, manifest: ModelManifest, age: int = 7, **settings: object) -> Verdict:
    """Judge a challenger against a champion of other settings."""
    chosen = quick_settings(shop.root / "home", **settings)
    return judge(manifest, champion(shop, manifest, age), shop.installation.store, chosen)


@pytest.mark.parametrize(
    ("figures", "promoted"),
    [
        ({"champion_loss": 1.91}, True),
        ({"champion_loss": 1.89}, False),
        ({"champion_loss": 1.0, "standard_error": None}, True),
        ({"champion_loss": 1.99, "standard_error": 0.0}, False),
        ({"champion_loss": 1.9999, "standard_error": 0.0}, True),
        ({"loss": None, "champion_loss": None, "standard_error": None}, True),
        ({"fault": "gone", "loss": None}, True),
    ],
    ids=["within noise", "beyond it", "too few weeks", "surely", "negligible", "no day", "cannot be fitted"],
)
def test_a_new_recipe_may_be_worse_by_noise_alone(trained: Shop, figures: dict[str, object], promoted: bool) -> None:
    """More than one standard error, and more than a thousandth, above the champion's loss is refused."""
    found = verdict(trained, challenger(trained, against=held(**figures)))
    assert found.promoted is promoted, found.reason
    assert OLD in found.reason


def test_the_reason_and_the_figures_tell_all(trained: Shop) -> None:
    """A refusal says both losses, the noise and the days, and stores them."""
    found = verdict(trained, challenger(trained, against=held(champion_loss=1.5, class_difference=0.1)))
    assert found.reason == (
        f"worse than the recipe of version {OLD}: mean absolute error 2 against 1.5 +- 0.1 on 56 days"
    )
    assert found.figures == {
        "mae": 2.0,
        "naive_mae": 3.0,
        "wape": None,
        "coverage": 0.9,
        "class_coverage": 0.9,
        "recipe_loss": 2.0,
        "champion_recipe_loss": 1.5,
        "standard_error": 0.1,
        "class_difference": 0.1,
        "class_standard_error": None,
    }


def test_the_margin_is_a_setting(trained: Shop) -> None:
    """PROMOTION_MARGIN counts standard errors: what is refused with one is promoted with two."""
    close = challenger(trained, against=held(champion_loss=1.85))
    assert not verdict(trained, close).promoted
    assert verdict(trained, close, promotion_margin=2).promoted


@pytest.mark.parametrize(("own", "promoted"), [(2.05, False), (1.95, True)])
def test_a_class_that_is_worse_costs_those_that_are_worse_themselves(trained: Shop, own: float, promoted: bool) -> None:
    """One product's days are few: where its class is worse beyond noise, it is refused if it is worse itself."""
    figures = {"loss": own, "class_difference": 0.05, "class_standard_error": 0.01, "class_products": 40}
    found = verdict(trained, challenger(trained, against=held(**figures)))
    assert found.promoted is promoted
    if not promoted:
        assert "as its class is" in found.reason
        assert "40 products +0.050 +- 0.010" in found.reason


@pytest.mark.parametrize("against", [None, held(version="20240101_000000", champion_loss=9.0)])
def test_another_champion_than_it_was_held_against_is_not_replaced(
    trained: Shop, against: RecipeComparison | None
) -> None:
    """After a rollback in between, or uncompared, another recipe is refused, and training it again is asked for."""
    found = verdict(trained, challenger(trained, against=against))
    assert not found.promoted
    assert found.reason.endswith("train it again")


@pytest.mark.parametrize(("age", "promoted"), [(28, False), (29, True)])
def test_an_old_champion_is_not_held_to(trained: Shop, age: int, promoted: bool) -> None:
    """A champion older than RETRAIN_AFTER_DAYS gives way to a worse recipe that beats the naive."""
    found = verdict(trained, challenger(trained, against=held(champion_loss=1.0)), age)
    assert found.promoted is promoted
    assert ("RETRAIN_AFTER_DAYS is 28" in found.reason) is promoted


def test_a_fresh_fit_needs_no_more_than_to_be_whole_and_to_beat_the_naive(trained: Shop) -> None:
    """Neither a comparison nor a coverage is asked of the champion's own recipe, whatever code fitted it."""
    manifest = challenger(trained, metrics=GOOD.model_copy(update={"coverage": 0.1}), code_version="another")
    same = champion(trained, manifest, config_fingerprint=manifest.config_fingerprint)
    store, settings = trained.installation.store, trained.installation.settings
    assert judge(manifest, same, store, settings).promoted
    worse = manifest.model_copy(update={"metrics": GOOD.model_copy(update={"mae": 3.1})})
    assert not judge(worse, same, store, settings).promoted


@pytest.mark.parametrize(
    ("coverage", "days", "promoted"), [(0.74, 56, False), (0.75, 56, True), (0.74, 27, True), (None, 56, True)]
)
def test_a_range_that_fails_grossly_is_refused(
    trained: Shop, coverage: float | None, days: int, promoted: bool
) -> None:
    """Below PROMOTION_MIN_COVERAGE on 28 days and more, a product's new recipe is refused, its first model too."""
    manifest = challenger(trained, metrics=GOOD.model_copy(update={"coverage": coverage, "n": days}), against=held())
    first = judge(manifest, None, trained.installation.store, trained.installation.settings)
    assert (verdict(trained, manifest).promoted, first.promoted) == (promoted, promoted)
    assert ("PROMOTION_MIN_COVERAGE is 75%" in first.reason) is not promoted


def test_a_class_whose_ranges_fail_keeps_its_champions(trained: Shop) -> None:
    """Below PROMOTION_MIN_CLASS_COVERAGE no new recipe replaces a champion; where there is none, a model is better."""
    narrow = challenger(trained, class_metrics=GOOD.model_copy(update={"coverage": 0.79}), against=held())
    found = verdict(trained, narrow)
    assert not found.promoted
    assert "held 79% of 56 past days; PROMOTION_MIN_CLASS_COVERAGE is 80%" in found.reason
    assert verdict(trained, narrow, promotion_min_class_coverage=0.7).promoted
    assert judge(narrow, None, trained.installation.store, trained.installation.settings).promoted


def test_an_old_champion_is_not_held_to_for_its_class(trained: Shop) -> None:
    """A class whose ranges fail does not keep champions that have grown old."""
    narrow = challenger(trained, class_metrics=GOOD.model_copy(update={"coverage": 0.79}), against=held())
    assert not verdict(trained, narrow, 28).promoted
    assert verdict(trained, narrow, 29).promoted


def test_a_later_champion_is_not_replaced(trained: Shop) -> None:
    """A model that was trained before the one in use is refused, whatever its figures."""
    manifest = challenger(trained)
    later = champion(trained, manifest, config_fingerprint=manifest.config_fingerprint, version="20990101_000000")
    found = judge(manifest, later, trained.installation.store, trained.installation.settings)
    assert (found.promoted, found.reason) == (False, "version 20990101_000000, which is in use, was trained later")


def test_the_metric_is_a_setting(trained: Shop) -> None:
    """With PROMOTION_METRIC=rmse the naive is the floor by its RMSE, and the reason names it."""
    manifest = challenger(trained, metrics=Metrics(n=56, mae=2.0, rmse=4.5), against=held())
    assert verdict(trained, manifest).promoted
    found = verdict(trained, manifest, promotion_metric="rmse")
    assert not found.promoted
    assert found.reason == "worse than the seasonal naive: RMSE 4.5 against 4"
