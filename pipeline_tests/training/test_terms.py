"""Trainings under terms: what their models have seen, how they are planned, reproduced, judged and used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts import Cause, HyperparameterOverrides, ModelManifest, Outcome, TrainingTerms
from pipeline.engine.families import FAMILIES
from pipeline.errors import InsufficientDataError
from pipeline.forecasting.members import predict_all
from pipeline.training.fingerprint import fingerprints
from pipeline.training.job import training_job
from pipeline.training.reproduce import reproduce
from pipeline.training.terms import data_under, settings_under
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.shop import FIRST, LENGTH, ORDER, TRAINABLE, Shop, sales_of

START, END = (FIRST + pd.Timedelta(days=60)).date(), (FIRST + pd.Timedelta(days=LENGTH - 6)).date()
CHOSEN = HyperparameterOverrides(prophet_changepoint_prior_scale=0.2, lightgbm_max_depth=4)
TERMS = TrainingTerms(start=START, end=END, evaluation_origins=1, overrides=CHOSEN)
ASKED = frozenset({"baguette", "rye"})


@pytest.fixture(scope="module")
def under_terms(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """The trained shop, two products of which were trained again under terms."""
    shop = training.shop.copy_to(tmp_path_factory.mktemp("terms") / "shop")
    return Training(shop, *shop.train(requested=ASKED, terms=TERMS))


@pytest.fixture
def retrained(under_terms: Training, tmp_path: Path) -> Iterator[Shop]:
    """A copy of it, to be changed."""
    shop = under_terms.shop.copy_to(tmp_path / "retrained")
    yield shop
    shop.close()


def manifest(shop: Shop, product: str = "baguette") -> ModelManifest:
    """The manifest of a product's newest model."""
    registry = shop.installation.registry
    return registry.manifest("bakery", product, registry.latest("bakery")[product].version)


def due(shop: Shop, **occasion: object) -> dict[str, Cause | None]:
    """The causes of what is due, by product."""
    return {row.product_id: row.cause for row in shop.plan(**occasion) if row.due}


def test_a_model_has_seen_what_its_terms_say(under_terms: Training) -> None:
    """Origin, days, settings, past origins and the sales that it was fitted to are those of the terms."""
    made = manifest(under_terms.shop)
    assert (made.terms, made.origin) == (TERMS, END)
    assert made.data_days == sum(day.weekday() != 6 for day in pd.date_range(START, END))
    assert made.origins == (END - dt.timedelta(days=7),)
    by_family = {member.family: member.parameters for member in made.members}
    assert by_family["prophet"]["changepoint_prior_scale"] == 0.2
    assert by_family["linear"]["changepoint_prior_scale"] == 0.2
    assert by_family["lightgbm"]["max_depth"] == 4
    prophet = next(member for member in made.members if member.family == "prophet")
    files = {ref.name: under_terms.shop.installation.store.get(ref) for ref in prophet.files}
    seen = FAMILIES["prophet"].from_files(files).models["baguette"].history["ds"]
    assert (seen.min().date(), seen.max().date()) == (START, END)


def test_the_ledger_tells_the_terms(under_terms: Training) -> None:
    """The reason and the job's parameters name them; products that were not asked for are left alone."""
    rows = {done.ledger.product_id: done.ledger for done in under_terms.done}
    assert {product for product, row in rows.items() if row.outcome is Outcome.TRAINED} == ASKED
    assert rows["rye"].reason == f"asked for; under terms: {TERMS}"
    told = f"start {START}, end {END}, evaluation_origins 1, prophet_changepoint_prior_scale 0.2, lightgbm_max_depth 4"
    assert str(TERMS) == told
    job = under_terms.shop.installation.registry.jobs("bakery")[0]
    assert TrainingTerms.model_validate_json(job.parameters["terms"]) == TERMS
    assert (job.parameters["lightgbm.max_depth"], job.parameters["origin"]) == (4, str(END))


def test_nothing_is_due_afterwards(under_terms: Training) -> None:
    """A model under terms is neither corrected history nor of another configuration; new days alone count."""
    plan = {row.product_id: row for row in under_terms.shop.plan()}
    assert not [row for row in plan.values() if row.due]
    assert plan["rye"].reason.endswith("is 5 days old")
    assert due(under_terms.shop, scheduled=True) == dict.fromkeys(ASKED, Cause.SCHEDULE)


def test_days_outside_the_terms_are_not_the_models(retrained: Shop) -> None:
    """Corrected sales before the first day concern the models that have seen them, and no other."""
    sales = sales_of()
    for product in ("baguette", "tart"):
        sales[product][30] += 1
    retrained.sell(sales)
    assert due(retrained) == {"tart": Cause.CORRECTED_HISTORY}
    sales["baguette"][100] += 1
    retrained.sell(sales)
    assert due(retrained) == dict.fromkeys(("baguette", "tart"), Cause.CORRECTED_HISTORY)


def test_settings_that_the_terms_replace_are_not_the_models(retrained: Shop) -> None:
    """Another value of a setting makes those models due that were made with it; of other settings, all."""
    retrained.configure(lightgbm_max_depth=6)
    assert due(retrained) == dict.fromkeys(set(TRAINABLE) - ASKED, Cause.NEW_CONFIGURATION)
    retrained.configure(seed=3)
    assert due(retrained) == dict.fromkeys(TRAINABLE, Cause.NEW_CONFIGURATION)


@pytest.mark.parametrize(("days", "aged"), [(22, False), (23, True)])
def test_models_under_terms_grow_old(retrained: Shop, days: int, aged: bool) -> None:
    """Their age counts from the last day that they have seen, as that of any other."""
    retrained.sell(sales_of(LENGTH + days))
    retrained.configure(retrain_after_new_days=1000)
    found = due(retrained)
    found.pop("new")  # It has enough days by now.
    assert found == (dict.fromkeys(ASKED, Cause.AGE) if aged else {})


def test_sales_that_end_before_the_terms_begin(retrained: Shop) -> None:
    """Where the days that a model has seen were taken back it is due, and the plan is made all the same."""
    retrained.sell({name: np.where(np.arange(LENGTH) < 50, units, 0) for name, units in sales_of().items()})
    assert {due(retrained)[product] for product in ASKED} == {Cause.CORRECTED_HISTORY}


def test_the_next_training_is_an_ordinary_one(retrained: Shop, training: Training) -> None:
    """Without terms a product is trained as if there had been none: the same fingerprints, families and settings."""
    before = manifest(training.shop)
    retrained.train(requested=frozenset({"baguette"}))
    after = manifest(retrained)
    assert after.version > before.version
    assert after.terms is None
    kept = ("origin", "origins", "data_days", "data_fingerprint", "config_fingerprint", "members", "metrics")
    assert {name: getattr(after, name) for name in kept} == {name: getattr(before, name) for name in kept}


def test_what_was_evaluated_for_ordinary_trainings_is_kept(under_terms: Training, training: Training) -> None:
    """A training under terms throws none of the past origins away that the next ordinary one can use."""
    kept = [
        {path.name for path in one.shop.installation.home.tenant("bakery").glob("evaluated/*.npz")}
        for one in (under_terms, training)
    ]
    assert kept[0] == kept[1] != set()


@pytest.mark.parametrize("product", sorted(ASKED))
def test_a_model_under_terms_can_be_made_again(under_terms: Training, product: str) -> None:
    """From its manifest, with today's settings and all sales, every file is made again byte for byte."""
    opened = under_terms.shop.installation
    made = reproduce(manifest(under_terms.shop, product), under_terms.shop.data(), opened.store, opened.settings)
    assert made.differences == ()
    assert [(one.same_files, one.difference, one.fault) for one in made.members] == [(True, 0.0, None)] * len(
        made.members
    )


def test_it_is_promoted_as_any_other(retrained: Shop) -> None:
    """The gate decides about it, and where it is promoted it is the model in use, with its terms."""
    verdicts = retrained.promote()
    champions = retrained.installation.registry.champions("bakery")
    assert set(verdicts) == set(TRAINABLE)
    assert verdicts["rye"].promoted
    assert {product: one.terms for product, one in champions.items() if product in ASKED | {"tart"}} == {
        product: TERMS if product in ASKED else None for product in champions.keys() & (ASKED | {"tart"})
    }
    assert "seasonal naive: MAE" in verdicts["rye"].reason


def test_the_forecast_sees_no_day_before_the_terms(retrained: Shop) -> None:
    """Members that are solved anew each day see the days from the start on, as when they were scored."""
    opened, both = retrained.installation, {}
    ordinary = opened.registry.models("bakery", "baguette")[-1]
    manifests = (manifest(retrained), opened.registry.manifest("bakery", "baguette", ordinary.version))
    for factor in (1, 3):
        sales = sales_of()
        sales["baguette"][:60] *= factor
        data = retrained.sell(sales)
        found = [predict_all((one,), data, opened.store, opened.settings, 0).made for one in manifests]
        both[factor] = [np.concatenate([made["baguette", name] for name in ("linear", "prophet")]) for made in found]
    assert (both[1][0] == both[3][0]).all()
    assert (both[1][1] != both[3][1]).any()


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"start": dt.date(2031, 1, 1)}, "start = 2031-01-01: the sales end on 2024-08-27; give an earlier day"),
        ({"end": dt.date(2023, 1, 1)}, "end = 2023-01-01: the sales begin on 2024-01-01; give a later day"),
        (
            {"start": dt.date(2024, 3, 1), "end": dt.date(2024, 3, 29)},
            "start 2024-03-01, end 2024-03-29: leaves 29 days, 2024-03-01 to 2024-03-29; "
            "MIN_TRAINING_DATA_DAYS = 30 are needed",
        ),
        (
            {"start": dt.date(2024, 8, 1)},
            "start 2024-08-01: leaves 27 days, 2024-08-01 to 2024-08-27; MIN_TRAINING_DATA_DAYS = 30 are needed",
        ),
    ],
)
def test_terms_that_leave_nothing_are_refused(fresh: Shop, terms: dict[str, dt.date], words: str) -> None:
    """Plan and job say which days there are, and the registry knows how the job ended."""
    asked = {"terms": TrainingTerms(**terms)}
    with pytest.raises(InsufficientDataError) as planned:
        fresh.plan(**asked)
    with pytest.raises(InsufficientDataError) as begun:
        fresh.train(**asked)
    assert (str(planned.value), str(begun.value)) == (words, words)
    job = fresh.installation.registry.jobs("bakery")[0]
    assert (str(job.status), job.error) == ("failed", f"InsufficientDataError: {words}")


def test_a_product_with_too_few_days_left_is_told(fresh: Shop) -> None:
    """Where the days that are left suffice for some products, the others are insufficient as in any plan."""
    plan = {row.product_id: row for row in fresh.plan(terms=TrainingTerms(end=END, start=END - dt.timedelta(days=36)))}
    assert plan["baguette"].due
    assert (plan["gone"].due, plan["gone"].data_days) == (False, 0)
    assert "Currently: 0 days." in plan["gone"].reason


def test_terms_reach_beyond_the_sales(fresh: Shop) -> None:
    """A start before the first day and an end after the last one cut nothing."""
    data, settings = fresh.data(), fresh.installation.settings
    wide = TrainingTerms(start=dt.date(2020, 1, 1), end=dt.date(2031, 1, 1))
    seen = data_under(wide, data, settings)
    assert seen.origin == data.origin
    assert fingerprints(seen.panel) == fingerprints(data.panel)
    assert settings_under(wide, settings) == settings
    assert settings_under(None, settings) is settings
    assert data_under(None, data, settings) is data


def test_a_profile_is_written_for_this_job_alone(trained: Shop) -> None:
    """A job that asks for a profile leaves one, whatever the settings say, and the next one leaves none."""
    for diagnostics in (True, False):
        order = replace(ORDER, diagnostics=diagnostics)
        with training_job(trained.installation, "bakery", lambda _data: trained.plan(), order) as job:
            list(job.train())
        if diagnostics:
            asked = job.trainer.job_id
    assert [path.stem for path in (trained.installation.home.root / "profiles").glob("*.prof")] == [asked]
