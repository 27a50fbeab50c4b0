"""Tuning: the errors that settings are judged by, the search, and what each product takes from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts import DemandClass
from pipeline.engine.demand import understand
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.families.design import DEFAULTS, lay_design
from pipeline.engine.families.linear import alternate, mean
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.tuning import Search, Tuned, joined, tune
from pipeline.engine.tuning.folds import Folds
from pipeline.engine.tuning.space import SPACE, searched
from pipeline.engine.tuning.study import conduct, importance
from pipeline.errors import ConfigurationError, EngineError
from pipeline_tests.engine.builders import NAN, outlook_of, panel_of
from pipeline_tests.engine.simulated import shop

H = 14
FEW = dict.fromkeys(DemandClass, 8)
SETTINGS = [
    {},
    {"changepoint_prior_scale": 0.3, "seasonality_prior_scale": 0.05, "holidays_prior_scale": 0.5},
    {"seasonality_mode": "multiplicative", "holidays_prior_scale": 0.3},
]


def folds_of(panel: Panel, known: Outlook, count: int = 3) -> Folds:
    """Return the inner origins of all products of a panel."""
    return Folds(panel, range(len(panel.products)), understand(panel).level, known, H, count)


def slowly(panel: Panel, row: int, known: Outlook, given: dict[str, Any], fold: int) -> float:
    """Return a product's absolute error at an inner origin: fitted anew to what was seen, day by day."""
    settings = {**DEFAULTS, **given}
    design, dates, units = lay_design(panel, row, known, -1, settings)
    cut = len(panel.dates) - 1 - H * (fold + 1)
    place = np.array([(date - panel.dates[0]).days for date in dates])
    seen, tested = place <= cut, (place > cut) & (place <= cut + H)
    x, y, prior = design.matrix(dates, known, -1), units / units.max(), design.prior_variances(settings)
    if settings["seasonality_mode"] == "multiplicative":
        trend = design.trend_columns
        forecast = mean(x[tested], alternate(x[seen], y[seen], prior, trend, turns=3), trend)
    else:
        noise = float(np.mean(y[seen] ** 2))
        for turn in range(5):
            pulled = np.vstack([x[seen], np.diag(np.sqrt(noise / prior))])
            found = np.linalg.lstsq(pulled, np.concatenate([y[seen], np.zeros(len(prior))]), rcond=None)[0]
            if turn < 4:
                noise = max(float(np.mean((y[seen] - x[seen] @ found) ** 2)), 1e-9)
        forecast = x[tested] @ found
    return float(np.abs(np.maximum(forecast, 0) * units.max() - units[tested]).sum())


@pytest.mark.parametrize("given", SETTINGS, ids=["usual", "narrow", "multiplied"])
def test_errors_equal_those_of_fits_made_one_by_one(given: dict[str, Any]) -> None:
    """Gram matrices with days taken off, solved together, give the errors of fits of their own."""
    panel, known = shop(420, (60.0, 15.0, 30.0), seed=4)
    folds = folds_of(panel, known)
    for fold in range(3):
        told = folds.losses(given, fold)
        for row in range(3):
            assert told[row] == pytest.approx(slowly(panel, row, known, given, fold), rel=1e-5)


def test_small_products_are_judged_by_squares() -> None:
    """Below five units a day forecasting nothing must cost more than forecasting the mean."""
    rng = np.random.default_rng(3)
    panel, known = panel_of((rng.random((1, 300)) < 0.3).astype(float)), outlook_of(400)
    folds = folds_of(panel, known)
    one = folds._ones[0]
    nothing, usual = (sum(one.loss(np.full(H, value), fold) for fold in range(3)) for value in (0.0, 0.3))
    assert not one.absolute
    assert usual < nothing


def test_a_product_is_not_judged_where_it_was_too_young() -> None:
    """A product of fifty days has errors at the inner origins that left it four weeks, and none before."""
    units = np.full((2, 200), 20.0) + np.arange(200) % 7
    units[1, :150] = NAN
    panel = panel_of(units)
    folds = folds_of(panel, outlook_of(300))
    assert [np.isfinite(folds.losses({}, fold)).tolist() for fold in range(3)] == [
        [True, True],
        [True, False],
        [True, False],
    ]


def test_who_cannot_carry_a_regression_is_left_out() -> None:
    """A product without sales, or with ten days, is no reason to fail."""
    units = np.vstack([np.full(100, 9.0), np.zeros(100), np.where(np.arange(100) < 90, NAN, 5.0)])
    assert folds_of(panel_of(units), outlook_of(200)).rows == [0]


def world(count: int = 500) -> tuple[Panel, Outlook]:
    """Return six products whose weekly season grows with their level, and a calendar."""
    rng, t = np.random.default_rng(5), np.arange(count)
    week = np.array([0.6, 0.8, 0.9, 1.0, 1.1, 1.5, 1.1])[t % 7]
    units = [rng.poisson((60 + 20 * row) * (0.3 + 1.4 * t / count) * week) for row in range(6)]
    return panel_of(np.array(units, float)), outlook_of(count + 60)


def found(panel: Panel, known: Outlook, **changes: Any) -> Tuned:
    """Return what a short search finds."""
    return tune(panel, understand(panel), known, H, Search(**{"trials": FEW, "folds": 3, **changes}))


def test_multiplying_seasons_are_found() -> None:
    """Where the season grows with the level, every product's settings multiply, and forecast better than untuned."""
    panel, known = world()
    before = panel.until(panel.dates[-H - 1])
    tuned = found(before, known, trials=dict.fromkeys(DemandClass, 20))
    assert {own["seasonality_mode"] for own in tuned.by_product.values()} == {"multiplicative"}
    family, actual = FAMILIES["linear"], panel.quantity[:, -H:]
    errors = [
        np.abs(family.fit(before, known, recipe).predict(before, known, H) - actual).sum()
        for recipe in (Recipe(), tuned.applied({"linear": Recipe()})["linear"])
    ]
    assert errors[1] < 0.95 * errors[0]


def test_only_the_tuned_families_take_the_settings() -> None:
    """Trees and the naive keep their recipes."""
    applied = Tuned({"a": {"x": 1}}).applied({name: Recipe(seed=3) for name in FAMILIES})
    taken = {name for name, recipe in applied.items() if recipe.by_product}
    assert taken == {"linear", "prophet"}
    assert {recipe.seed for recipe in applied.values()} == {3}


def test_nothing_after_the_panel_is_needed_or_used() -> None:
    """Covariates and holidays after the panel's end change nothing of what is found."""
    panel, known = shop(300, (60.0, 20.0), seed=6)
    late = np.arange(len(known.dates)) > 310
    other = Outlook(
        known.dates,
        {name: marks & ~late for name, marks in known.holidays.items()},
        None,
        {name: np.where(late, 99.0, values) for name, values in known.covariates.items()},
    )
    assert found(panel, known) == found(panel, other)


def test_the_same_seed_finds_the_same() -> None:
    """Two searches with one seed are equal; another seed draws other trials."""
    panel, known = world(300)
    assert found(panel, known) == found(panel, known)
    drawn = [[one.parameters for one in tried(panel, known, seed=seed)[1:]] for seed in (0, 1)]
    assert drawn[0] != drawn[1]


def tried(panel: Panel, known: Outlook, **changes: Any) -> Any:
    """Return the trials of the only class."""
    (record,) = found(panel, known, **changes).records.values()
    return record.trials


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
def test_every_sampler_and_pruner(sampler: str, pruner: str) -> None:
    """The budget is used, the untuned settings come first and are worth 1, and all values lie within their limits."""
    panel, known = world(300)
    trials = tried(panel, known, sampler=sampler, pruner=pruner, trials=dict.fromkeys(DemandClass, 12))
    assert len(trials) == 12
    assert trials[0].value == pytest.approx(1.0)
    assert trials[0].parameters == {name: DEFAULTS[name] for name in SPACE}
    for one in trials:
        assert all(SPACE[name].allows(value) for name, value in one.parameters.items())
    if pruner == "none":
        assert {one.state for one in trials} == {"complete"}


def test_each_class_has_its_budget() -> None:
    """A class is searched with its own number of trials, and classes without products are not searched."""
    units = np.vstack([np.full(200, 80.0), np.full(200, 12.0)]) + np.arange(200) % 7
    budget = {DemandClass.HIGH: 3, DemandClass.MEDIUM: 5, DemandClass.LOW: 7, DemandClass.INTERMITTENT: 9}
    records = found(panel_of(units), outlook_of(300), trials=budget).records
    assert {one: len(record.trials) for one, record in records.items()} == {DemandClass.HIGH: 3, DemandClass.MEDIUM: 5}


def test_the_time_limit_ends_a_search() -> None:
    """With no time at most the first trial is made, and the untuned settings stay."""
    panel, known = world(300)
    tuned = found(panel, known, seconds=1e-9)
    (record,) = tuned.records.values()
    usual = {name: DEFAULTS[name] for name in SPACE}
    assert len(record.trials) == 1
    assert record.best == usual
    assert all(own == usual for own in tuned.by_product.values())


def test_what_is_given_by_hand_is_not_searched() -> None:
    """A fixed setting is in every product's settings, and in no trial."""
    panel, known = world(300)
    tuned = found(panel, known, fixed={"seasonality_mode": "additive", "holidays_prior_scale": 0.7})
    assert {own["holidays_prior_scale"] for own in tuned.by_product.values()} == {0.7}
    assert {own["seasonality_mode"] for own in tuned.by_product.values()} == {"additive"}
    (record,) = tuned.records.values()
    assert {name for one in record.trials for name in one.parameters} == {
        "changepoint_prior_scale",
        "seasonality_prior_scale",
    }
    assert record.best["holidays_prior_scale"] == 0.7


def test_all_given_by_hand_leaves_no_search() -> None:
    """With every setting fixed no trial is made, and the products have those settings."""
    panel, known = world(300)
    fixed = {name: DEFAULTS[name] for name in SPACE}
    tuned = found(panel, known, fixed=fixed)
    (record,) = tuned.records.values()
    assert record.trials == ()
    assert all(own == fixed for own in tuned.by_product.values())


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("changepoint_prior_scale", 0.6, "a number from 0.001 to 0.5"),
        ("holidays_prior_scale", 0, "a number from 0.01 to 10"),
        ("seasonality_mode", "both", "additive or multiplicative"),
        ("seasonality_prior_scale", "wide", "a number from 0.01 to 10"),
    ],
)
def test_a_value_outside_its_limits_is_refused(name: str, value: Any, told: str) -> None:
    """The error names the setting, the value and what would be right."""
    with pytest.raises(ConfigurationError, match=f"{name}={value!r} cannot be used: it must be {told}"):
        searched({name: value})


def test_a_stored_study_is_resumed(tmp_path: Path) -> None:
    """A search in a database goes on where it ended, up to its budget, and can be read by others."""
    import optuna

    panel, known = world(300)
    folds, place = folds_of(panel, known), f"sqlite:///{tmp_path / 'trials.db'}"
    for budget in (4, 10, 10):
        search = Search(dict.fromkeys(DemandClass, budget), folds=3, storage=place, study="shop")
        record = conduct(folds, DemandClass.HIGH, search).record
        assert [one.number for one in record.trials] == list(range(budget))
    assert len({str(one.parameters) for one in record.trials}) == 10
    stored = optuna.load_study(study_name="shop high", storage=place)
    assert [trial.params for trial in stored.trials] == [one.parameters for one in record.trials]


def test_a_resumed_menu_has_the_same_errors(tmp_path: Path) -> None:
    """What a study finished before is judged again, and chosen from as if it had been found now."""
    panel, known = world(300)
    folds, place = folds_of(panel, known), f"sqlite:///{tmp_path / 'trials.db'}"
    search = Search(FEW, folds=3, storage=place)
    first, again = (conduct(folds, DemandClass.HIGH, search) for _ in range(2))
    assert first.menu == again.menu
    np.testing.assert_allclose(first.losses, again.losses)


def test_importances_are_shares() -> None:
    """They add up to one, and the mode is what matters where seasons grow with the level; unasked there are none."""
    panel, known = world()
    (record,) = found(panel, known, trials=dict.fromkeys(DemandClass, 20), importances=True).records.values()
    assert sum(record.importance.values()) == pytest.approx(1, abs=0.01)
    assert max(record.importance, key=lambda name: record.importance[name]) == "seasonality_mode"
    (record,) = found(panel, known).records.values()
    assert record.importance == {}


@pytest.mark.parametrize(
    "units",
    [
        np.full(200, 9.0),
        np.full(200, 1e9),
        np.where(np.arange(200) == 190, 1e6, 5.0),
        np.where(np.arange(200) < 165, NAN, 7.0 + np.arange(200) % 3),
        np.where(np.arange(200) % 40 == 0, 1.0, 0.0),
        np.where(np.arange(200) > 150, NAN, 20.0 + np.arange(200) % 7),
        np.full(200, 9.0) + 1e-12 * (np.arange(200) % 2),
    ],
    ids=["constant", "huge", "spike", "thirty-five days", "rare", "long silent", "nearly constant"],
)
def test_odd_sales_are_searched_without_fault(units: Floats) -> None:
    """Whatever one product sold, it is given settings within their limits, importances included."""
    panel, known = panel_of(units), outlook_of(300)
    tuned = found(panel, known, trials=dict.fromkeys(DemandClass, 6), importances=True)
    for own in tuned.by_product.values():
        assert all(SPACE[name].allows(value) for name, value in own.items())
    forecast = FAMILIES["linear"].fit(panel, known, tuned.applied({"linear": Recipe()})["linear"])
    assert np.isfinite(forecast.predict(panel, known, H)).all()


def test_importances_of_errors_that_hardly_differ_are_none() -> None:
    """Where all trials err alike but for rounding nothing mattered, and the search stands."""
    import optuna

    run = optuna.create_study()
    space = {"x": optuna.distributions.FloatDistribution(1, 10, log=True)}
    for number, value in enumerate([1.0, 1.0 + 2.3e-16, *[1.0] * 6]):
        run.add_trial(optuna.trial.create_trial(params={"x": 1.0 + number}, distributions=space, value=value))
    assert importance(run, run.trials, seed=0) == {}


def test_large_classes_are_searched_on_a_part_and_chosen_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more products than a study takes, every product still has settings from the study's menu."""
    monkeypatch.setattr("pipeline.engine.tuning.STUDY_PRODUCTS", 2)
    panel, known = world(300)
    tuned = found(panel, known)
    (record,) = tuned.records.values()
    menu = [one.parameters for one in record.trials if one.state == "complete"]
    assert record.products == 2
    assert set(tuned.by_product) == set(panel.products)
    assert all(own in menu for own in tuned.by_product.values())


def test_found_settings_are_read_back() -> None:
    """Written as files and read back they are equal; a torn file is an error that names what is there."""
    panel, known = world(300)
    tuned = found(panel, known)
    assert Tuned.from_files(tuned.to_files()) == tuned
    for files in ({}, {"settings.json": b"{"}, {"settings.json": b"[]"}, {"settings.json": b'{"by_product": 3}'}):
        with pytest.raises(EngineError, match=r"settings\.json"):
            Tuned.from_files(files)


def test_parts_are_joined() -> None:
    """Settings and records of several searches stand side by side."""
    assert joined([Tuned({"a": {"x": 1}}), Tuned({"b": {"x": 2}})]).by_product == {"a": {"x": 1}, "b": {"x": 2}}
