"""Requests: what keeps the rules is accepted as it is, what breaks one is told by field, value and rule."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
from contracts import Contract, HyperparameterOverrides
from contracts.requests import LATEST_ZONE
from pipeline.errors import ConfigurationError
from pipeline.requests import accepted
from pipeline.settings import Settings
from pipeline_tests.asking import REQUESTS

TOMORROW = dt.datetime.now(LATEST_ZONE).date() + dt.timedelta(days=2)
WHOLE: dict[type[Contract], dict[str, Any]] = {
    contracts.TrainingRequest: {"tenant": "sol"},
    contracts.AdvancedTrainingRequest: {"tenant": "sol"},
    contracts.BulkTrainingRequest: {"tenants": ["sol"]},
    contracts.ForecastRequest: {"tenant": "sol", "days": 14},
    contracts.EvaluationRequest: {"tenant": "sol", "days": 7},
    contracts.DataQualityRequest: {"tenant": "sol"},
    contracts.ModelQuery: {"tenant": "sol"},
}
OFTEN = "each may be given once, 'bun' is given more often"
LONG = {"start": "2020-02-29", "end": "2023-03-01"}
BROKEN: list[tuple[type[Contract], dict[str, Any], str]] = [
    *((asked, {"tenant": "Sol"}, "tenant = 'Sol': must match ") for asked in WHOLE if "tenant" in asked.model_fields),
    *(
        (asked, {"products": ["bun", "pie", "bun"]}, f"products = ['bun', 'pie', 'bun']: {OFTEN}")
        for asked in WHOLE
        if "products" in asked.model_fields
    ),
    *((asked, {"oven": 3}, "oven = 3: there is no such field") for asked in WHOLE),
    (
        contracts.TrainingRequest,
        {"start": "2024-02-01", "end": "2024-02-01"},
        "end = '2024-02-01': must be after start",
    ),
    (contracts.TrainingRequest, LONG, "end = '2023-03-01': must be at most 3 years after start, 2020-02-29"),
    (contracts.TrainingRequest, {"end": TOMORROW}, f"end = {TOMORROW}: must not lie in the future"),
    (contracts.TrainingRequest, {"start": "soon"}, "start = 'soon': must be a day of the form YYYY-MM-DD"),
    (contracts.TrainingRequest, {"priority": "now"}, "priority = 'now': must be 'urgent', 'high', 'normal' or 'low'"),
    (contracts.TrainingRequest, {"scheduled": "so"}, "scheduled = 'so': must be true or false"),
    (contracts.ForecastRequest, {"days": 400}, "days = 400: must be at most 365"),
    (contracts.ForecastRequest, {"days": 0}, "days = 0: must be at least 1"),
    (contracts.ForecastRequest, {"days": 1.5}, "days = 1.5: must be a whole number"),
    (contracts.ForecastRequest, {"confidence": 0.995}, "confidence = 0.995: must be at most 0.99"),
    (contracts.ForecastRequest, {"confidence": 0.4}, "confidence = 0.4: must be at least 0.5"),
    (contracts.ForecastRequest, {"confidence": float("nan")}, "confidence = nan: must be "),
    (contracts.EvaluationRequest, {"days": 6}, "days = 6: must be at least 7"),
    (contracts.EvaluationRequest, {"ahead": 0}, "ahead = 0: must be at least 1"),
    (contracts.EvaluationRequest, {"days": None}, "days = None: either days must be given, or start and end"),
    (contracts.EvaluationRequest, {"end": "2024-01-09"}, "days = 7: either days must be given, or start and end"),
    (
        contracts.EvaluationRequest,
        {"start": "2024-01-01", "end": "2024-01-06", "days": None},
        "end = '2024-01-06': must leave at least 7 days, from start, 2024-01-01, on",
    ),
    (contracts.BulkTrainingRequest, {"tenants": []}, "tenants = []: must have at least 1"),
    (contracts.BulkTrainingRequest, {"tenants": [f"t{n}" for n in range(101)]}, "must have at most 100, there are 101"),
    (contracts.BulkTrainingRequest, {"tenants": ["bun", "pie", "bun"]}, f"tenants = ['bun', 'pie', 'bun']: {OFTEN}"),
    (contracts.AdvancedTrainingRequest, {"evaluation_origins": 53}, "evaluation_origins = 53: must be at most 52"),
    (
        contracts.AdvancedTrainingRequest,
        {"overrides": {"lightgbm_max_depth": 16}},
        "overrides.lightgbm_max_depth = 16: must be at most 15",
    ),
    (contracts.ModelQuery, {"limit": 1001}, "limit = 1001: must be at most 1000"),
    (contracts.ModelQuery, {"offset": -1}, "offset = -1: must be at least 0"),
    (contracts.ModelQuery, {"family": ""}, "family = '': must have at least 1 letters"),
    (contracts.ModelQuery, {"model_type": "guess"}, "model_type = 'guess': must be 'forecast' or 'anomaly'"),
]


@pytest.mark.parametrize("contract", REQUESTS, ids=lambda contract: contract.__name__)
@given(data=st.data())
def test_what_keeps_the_rules_is_accepted(contract: type[Contract], data: st.DataObject) -> None:
    """A valid request passes through the door unchanged."""
    asked = data.draw(REQUESTS[contract])
    assert accepted(contract, **asked.model_dump()) == asked


@pytest.mark.parametrize(("contract", "change", "words"), BROKEN)
def test_what_breaks_a_rule_is_told(contract: type[Contract], change: dict[str, Any], words: str) -> None:
    """Without the change the request is good; with it one fault is named: field, value and rule."""
    accepted(contract, **WHOLE[contract])
    with pytest.raises(ConfigurationError) as refused:
        accepted(contract, **{**WHOLE[contract], **change})
    assert words in str(refused.value)
    assert "; " not in str(refused.value)


@given(st.integers(), st.floats(allow_nan=False))
def test_limits_hold_everywhere(days: int, confidence: float) -> None:
    """Whatever numbers are given: a request is accepted within the limits, else each that is outside is named."""
    faults = {"days": not 1 <= days <= 365, "confidence": not 0.5 <= confidence <= 0.99}
    try:
        accepted(contracts.ForecastRequest, tenant="sol", days=days, confidence=confidence)
    except ConfigurationError as error:
        named = {text.split(" = ")[0] for text in str(error).split("; ")}
        assert named == {field for field, wrong in faults.items() if wrong}
    else:
        assert not any(faults.values())


@given(st.dates(dt.date(2000, 1, 1)), st.dates(dt.date(2000, 1, 1)))
def test_spans_are_judged_as_they_should(start: dt.date, end: dt.date) -> None:
    """A training's span is accepted exactly when it is in order, over, and at most three years long."""
    today = dt.datetime.now(LATEST_ZONE).date()
    try:
        accepted(contracts.TrainingRequest, tenant="sol", start=start, end=end)
        good = True
    except ConfigurationError:
        good = False
    assert good == (start < end <= today and (end.year - start.year, end.month, end.day) <= (3, start.month, start.day))


@given(REQUESTS[contracts.AdvancedTrainingRequest])
def test_terms_are_what_is_not_ordinary(request: contracts.AdvancedTrainingRequest) -> None:
    """The terms hold what differs from an ordinary training, all of it and nothing else; without it there are none."""
    given_settings = {name: value for name, value in request.overrides if value is not None}
    if request.evaluation_origins is not None:
        given_settings["evaluation_origins"] = request.evaluation_origins
    days = {name: day for name in ("start", "end") if (day := getattr(request, name)) is not None}
    if not days and not given_settings:
        assert request.terms is None
        return
    assert request.terms is not None
    assert request.terms.settings == given_settings
    assert {name: getattr(request.terms, name) for name in days} == days
    assert set(str(request.terms).split(", ")) == {f"{k} {v}" for k, v in {**days, **given_settings}.items()}
    again = request.model_copy(update={"products": ("other",), "diagnostics": True, "scheduled": True})
    assert (again.terms, hash(again.terms)) == (request.terms, hash(request.terms))


def test_several_faults_make_one_message() -> None:
    """Everything that is wrong is told at once."""
    with pytest.raises(ConfigurationError) as refused:
        accepted(contracts.ForecastRequest, days=400, confidence=0.2)
    told = "tenant is missing; days = 400: must be at most 365; confidence = 0.2: must be at least 0.5"
    assert str(refused.value) == told


def test_long_values_are_cut() -> None:
    """A message stays readable, however long the value is."""
    with pytest.raises(ConfigurationError) as refused:
        accepted(contracts.ForecastRequest, tenant="X" * 10_000, days=1)
    assert len(str(refused.value)) < 200


def test_overrides_are_settings() -> None:
    """Each override has the name, the type and so the range of a setting, and every setting of the families has one."""
    settings = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if name.startswith(("prophet_", "lightgbm_")) and field.default is None
    }
    assert {name: field.annotation for name, field in HyperparameterOverrides.model_fields.items()} == settings
