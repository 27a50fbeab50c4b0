"""The searches of a training: what is searched, what is used again, and what the manifests say of it."""

from __future__ import annotations

import datetime as dt
import sqlite3
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from contracts import DemandClass, ModelManifest, Outcome
from pipeline.compute import map_unordered
from pipeline.engine.demand import Demand
from pipeline.engine.panel import Panel
from pipeline.engine.tuning import Tuned
from pipeline.engine.tuning.space import SPACE
from pipeline.errors import EngineError
from pipeline.registry.tables import TenantModel
from pipeline.training.searches import Searches
from pipeline_tests.registry.conftest import empty_postgres  # noqa: F401 - a fixture
from pipeline_tests.training import racing
from pipeline_tests.training.shop import LENGTH, TRAINABLE, Shop, sales_of

RUNNERS = 2
"""Workers that race."""


def searched(shop: Shop) -> dict[str, dt.datetime]:
    """Return when each search that the registry knows was made."""
    with shop.installation.registry._engine.connect() as connection:
        rows = connection.execute(select(TenantModel.family, TenantModel.key, TenantModel.created_at)).all()
    return {f"{row.family} {row.key}": row.created_at for row in rows if row.family.startswith("settings")}


def manifests(shop: Shop) -> dict[str, ModelManifest]:
    """Return the newest manifest of each product."""
    registry = shop.installation.registry
    return {
        product: registry.manifest("bakery", product, one.version) for product, one in registry.latest("bakery").items()
    }


def left(shop: Shop) -> list[DemandClass]:
    """Return the classes that a training would search for now."""
    opened = shop.installation
    return [task.demand_class for task in Searches(shop.data(), opened.registry, opened.store, opened.settings).tasks()]


def test_manifests_hold_their_search(trained: Shop) -> None:
    """A model says how its class was searched, trial by trial, and which settings its members were fitted with."""
    for manifest in manifests(trained).values():
        search = manifest.tuning
        assert search is not None
        assert search.demand_class is manifest.demand_class
        budget = getattr(trained.installation.settings, f"tuning_trials_{manifest.demand_class}")
        assert len(search.trials) == budget
        menu = [trial.parameters for trial in search.trials if trial.state == "complete"]
        used = {m.family: {k: v for k, v in m.parameters.items() if k in SPACE} for m in manifest.members}
        assert {name for name, own in used.items() if own} <= {"linear", "prophet"}
        assert all(own in menu for own in used.values() if own)
    assert any(m.family == "prophet" for m in manifests(trained)["baguette"].members)


def test_a_search_is_used_again(trained: Shop) -> None:
    """Another training on the same days searches nothing."""
    before = searched(trained)
    assert before
    assert left(trained) == []
    trained.train(requested=frozenset({"tart"}))
    assert searched(trained) == before


def test_a_few_days_more_change_nothing_many_do(trained: Shop) -> None:
    """New days within the stretch use the search again; the next stretch searches anew."""
    origin = trained.data().origin.date().toordinal()
    reuse = trained.installation.settings.tuning_reuse_days
    within = reuse - 1 - origin % reuse
    trained.sell(sales_of(LENGTH + within))
    assert left(trained) == []
    trained.sell(sales_of(LENGTH + within + 2))  # one of the two days may be a Sunday, without sales
    assert left(trained)


def test_corrected_history_is_searched_anew(trained: Shop) -> None:
    """Sales that were changed before the stretch of days make every class due."""
    sales = sales_of()
    sales["tart"] = np.where(np.arange(LENGTH) == 20, 99.0, sales["tart"])
    trained.sell(sales)
    assert set(left(trained)) == {one.demand_class for one in manifests(trained).values()}


@pytest.mark.parametrize(("days_before", "renewed"), [(1, True), (200, True), (0, False)])
def test_corrected_covariates_are_searched_anew(trained: Shop, days_before: int, renewed: bool) -> None:
    """Weather that was changed before the stretch of days makes every class due; from its first day on, none."""
    opened, data = trained.installation, trained.data()
    assert left(trained) == []
    known = Searches(data, opened.registry, opened.store, opened.settings)
    known.tasks()

    def searches(rain: np.ndarray) -> Searches:
        outlook = replace(data.outlook, covariates={"rain": rain})
        return Searches(replace(data, outlook=outlook), opened.registry, opened.store, opened.settings)

    rain = np.arange(float(len(data.outlook.dates)))
    first = searches(rain)
    tasks = first.tasks()
    for task in tasks:
        first.keep(task, known.tuned, 0.0)
    assert tasks
    assert searches(rain).tasks() == []
    reuse = opened.settings.tuning_reuse_days
    begun = data.origin - pd.Timedelta(days=data.origin.toordinal() % reuse)
    corrected = rain.copy()
    # What was known on the evening of the stretch's first day is what a search is told apart by.
    corrected[data.outlook.dates.get_loc(begun) + 1 - days_before] += 5
    assert bool(searches(corrected).tasks()) is renewed


@pytest.mark.parametrize("change", [{"tuning_sampler": "random"}, {"tuning_trials_high": 9}, {"seed": 5}])
def test_other_settings_are_searched_anew(trained: Shop, change: dict[str, object]) -> None:
    """A search holds for the settings that it was made with."""
    trained.configure(**change)
    assert left(trained)


def test_a_torn_search_is_made_again(trained: Shop) -> None:
    """A stored search whose file is damaged is not used."""
    for path in trained.installation.home.models.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:5])
    assert left(trained)


def test_tuning_can_be_switched_off(fresh: Shop) -> None:
    """Then nothing is searched, and the members have the settings of the regression as they are."""
    fresh.configure(tuning_enabled=False, prophet_holidays_prior_scale=0.5)
    fresh.train()
    assert searched(fresh) == {}
    for manifest in manifests(fresh).values():
        assert manifest.tuning is None
        linear = [m.parameters for m in manifest.members if m.family == "linear"]
        assert all({k: v for k, v in own.items() if k in SPACE} == {"holidays_prior_scale": 0.5} for own in linear)


def test_what_is_given_by_hand_is_kept(fresh: Shop) -> None:
    """A setting from the environment is in every regression's parameters, and is not searched."""
    fresh.configure(prophet_seasonality_mode="additive", prophet_changepoint_prior_scale=0.2)
    fresh.train()
    for manifest in manifests(fresh).values():
        assert manifest.tuning is not None
        assert {name for t in manifest.tuning.trials for name in t.parameters} <= set(SPACE) - {
            "seasonality_mode",
            "changepoint_prior_scale",
        }
        for member in (m for m in manifest.members if m.family in ("linear", "prophet")):
            given = (member.parameters["seasonality_mode"], member.parameters["changepoint_prior_scale"])
            assert given == ("additive", 0.2)


def test_a_lost_search_costs_no_model(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the search fails the products are trained untuned, and the ledger and the manifest say so."""

    def fails(*_given: object) -> None:
        raise EngineError("no search today")

    monkeypatch.setattr("pipeline.training.fitting.tune", fails)
    done, _ = fresh.train()
    trained = [one for one in done if one.ledger.outcome is Outcome.TRAINED]
    assert {one.ledger.product_id for one in trained} == set(TRAINABLE)
    for one in trained:
        assert "products was lost: EngineError: no search today" in one.ledger.reason
        assert one.manifest is not None
        assert one.manifest.tuning is None
        assert any("no search today" in note for note in one.manifest.notes)


def test_trials_are_exported_and_resumed(fresh: Shop) -> None:
    """With a database the trials of a training can be read by others, study by study."""
    import optuna

    place = f"sqlite:///{fresh.root / 'trials.db'}"
    fresh.configure(tuning_storage=place)
    fresh.train()
    studies = optuna.get_all_study_summaries(place)
    classes = {one.demand_class for one in manifests(fresh).values()}
    assert {one.study_name.split()[0] for one in studies} == {"bakery"}
    assert {one.study_name.split()[-1] for one in studies} == {str(one) for one in classes}
    baguette = manifests(fresh)["baguette"]
    name = next(one.study_name for one in studies if one.study_name.endswith(f" {baguette.demand_class}"))
    assert baguette.tuning is not None
    stored = optuna.load_study(study_name=name, storage=place).trials
    assert [one.params for one in stored] == [one.parameters for one in baguette.tuning.trials]


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("postgresql://someone:geheim@127.0.0.1:9/none", "OperationalError"),
        ("postgresql://someone:half@geheim@127.0.0.1:9/none", "OperationalError"),
        ("postgresql://someone:half:geheim", "ValueError"),
        ("no place", "ArgumentError"),
    ],
)
def test_a_database_that_cannot_be_used_costs_no_search(fresh: Shop, place: str, fault: str) -> None:
    """The search is made in memory, and the ledger says so without a word of the login."""
    fresh.configure(tuning_storage=place)
    done, _ = fresh.train()
    reasons = [one.ledger.reason for one in done if one.ledger.outcome is Outcome.TRAINED]
    assert len(reasons) == len(TRAINABLE)
    note = f"trials are not kept: the database of TUNING_STORAGE cannot be used ({fault})"
    assert all(note in reason and "geheim" not in reason for reason in reasons)
    assert all(one.tuning is not None for one in manifests(fresh).values())


def test_workers_may_begin_on_an_empty_database_at_once(fresh: Shop) -> None:
    """Its tables are there before a worker needs them: every search is made, none is lost to a race."""
    budget = dict.fromkeys([f"tuning_trials_{one}" for one in DemandClass], 2)
    fresh.configure(tuning_storage=f"sqlite:///{fresh.root / 'trials.db'}", **budget)
    opened = fresh.installation
    tasks = Searches(fresh.data(), opened.registry, opened.store, opened.settings).tasks()[:RUNNERS]
    with sqlite3.connect(fresh.root / "trials.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"studies", "trials"} <= tables
    barrier = fresh.root / "barrier"
    barrier.mkdir()
    given = [(task, barrier, RUNNERS) for task in tasks]
    outcomes = list(map_unordered(racing.searching, given, workers=RUNNERS, timeout=60))
    assert [one.error for one in outcomes] == [None] * RUNNERS
    assert all(len(record.trials) == 2 for one in outcomes if one.value for record in one.value.records.values())


def test_postgresql_keeps_trials(fresh: Shop, empty_postgres: str) -> None:  # noqa: F811 - the fixture above
    """A plain PostgreSQL URL is enough, as for the registry."""
    import optuna

    fresh.configure(tuning_storage=empty_postgres)
    fresh.train()
    assert not any("not kept" in note for one in manifests(fresh).values() for note in one.notes)
    place = empty_postgres.replace("postgresql://", "postgresql+psycopg2://")
    assert {one.study_name.split()[0] for one in optuna.get_all_study_summaries(place)} == {"bakery"}


def test_a_search_that_cannot_be_stored_is_still_used(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs the next training its reuse, not this one its settings."""

    def full(*_given: object, **_more: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(type(fresh.installation.registry), "save_tenant_model", full)
    monkeypatch.setattr("pipeline.training.pooled.PooledFits.tasks", lambda *_given: [])
    done, _ = fresh.train()
    trained = [one for one in done if one.ledger.outcome is Outcome.TRAINED]
    assert trained
    assert all("was not kept: no space left" in one.ledger.reason for one in trained)
    assert all(one.manifest is not None and one.manifest.tuning is not None for one in trained)


def test_a_lost_search_is_told_to_its_products_alone(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of other classes are tuned, and nothing is said of a loss."""
    from pipeline.engine.tuning import tune

    def fails(panel: Panel, demand: Demand, *rest: Any) -> Tuned:
        if DemandClass.HIGH in demand.classes:
            raise EngineError("no search today")
        return tune(panel, demand, *rest)

    monkeypatch.setattr("pipeline.training.fitting.tune", fails)
    done, _ = fresh.train()
    told = {one.manifest.demand_class: "was lost" in one.ledger.reason for one in done if one.manifest is not None}
    assert told.pop(DemandClass.HIGH)
    assert told
    assert not any(told.values())


def test_a_product_that_no_search_has_seen_takes_its_classs_best(trained: Shop) -> None:
    """One that came after the search has its class's settings, not the untuned ones."""
    opened = trained.installation
    data = trained.data()
    searches = Searches(data, opened.registry, opened.store, opened.settings)
    searches.tasks()
    known = searches.tuned
    product = "tart"
    label = data.demand.classes[data.panel.row[product]]
    searches._found[label] = replace(
        searches._found[label],
        by_product={name: own for name, own in known.by_product.items() if name != product},
    )
    assert searches.tuned.by_product[product] == known.records[label].best
