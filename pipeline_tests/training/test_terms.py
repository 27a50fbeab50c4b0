"""Trainings under terms: what their models have seen, how they are planned, reproduced, judged and used."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts import Cause, HyperparameterOverrides, ModelManifest, Outcome, TrainingTerms
from pipeline.errors import InsufficientDataError
from pipeline.forecasting import members
from pipeline.forecasting.members import predict_all
from pipeline.training.fingerprint import fingerprints
from pipeline.training.gate import fresher_fit
from pipeline.training.reproduce import reproduce
from pipeline.training.terms import data_under, settings_under
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.shop import FIRST, LENGTH, TRAINABLE, Shop, sales_of

START, END = (FIRST + pd.Timedelta(days=60)).date(), (FIRST + pd.Timedelta(days=LENGTH - 6)).date()
LAST = (FIRST + pd.Timedelta(days=LENGTH - 2)).date()
"""The last day with sales: the one after is a Sunday."""
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
    stored = json.loads(json.loads(under_terms.shop.installation.store.get(prophet.files[0]))["baguette"])
    seen = pd.read_json(json.dumps(json.loads(json.dumps(stored["history"]))) if isinstance(stored["history"], dict)
                        else stored["history"], orient="table")
    assert (seen["ds"].min().date(), seen["ds"].max().date()) == (START, END)
