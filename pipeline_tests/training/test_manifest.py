"""What a manifest says beside its figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts import CovariateKind, CovariateSource, Grade, Metrics, SignalKind, SignalSource
from pipeline.training.manifest import Stored, grade
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.shop import quick_settings


@pytest.mark.parametrize(
    ("mape", "expected"),
    [
        (None, None),
        (0.0, Grade.EXCELLENT),
        (10.0, Grade.EXCELLENT),
        (10.1, Grade.GOOD),
        (20.0, Grade.GOOD),
        (30.0, Grade.ACCEPTABLE),
        (30.1, Grade.POOR),
        (900.0, Grade.POOR),
    ],
)
def test_grades_by_mape(training: Training, mape: float | None, expected: Grade | None) -> None:
    """Up to 10, 20 and 30 percent a model is excellent, good and acceptable, above it is poor; else it has no grade."""
    assert grade(Metrics(n=1, mape=mape), training.shop.installation.settings) is expected


def test_the_limits_of_grades_are_settings(training: Training) -> None:
    """With other limits the same error has another grade."""
    strict = quick_settings(training.shop.root, grade_excellent=1, grade_good=2, grade_acceptable=3)
    assert grade(Metrics(n=1, mape=2.5), strict) is Grade.ACCEPTABLE


def test_a_manifest_has_the_grade_of_its_mape(training: Training) -> None:
    """The stored grade is that of the stored figures."""
    for one in training.done:
        if one.manifest is not None:
            assert one.manifest.grade is grade(one.manifest.metrics, training.shop.installation.settings)


def test_covariates_that_are_forecasts_in_life_are_named(training: Training) -> None:
    """Weather that was evaluated as it came true, not as it was foreseen, is said to be."""
    maker, row = training.job.trainer._makes, next(row for row in training.job.plan if row.due)
    kinds = {"rain": CovariateKind.FORECAST, "promotion": CovariateKind.KNOWN}
    tenant = maker.data.tenant.model_copy(update={"covariates": CovariateSource(path="weather.csv", kinds=kinds)})
    told = replace(maker, data=replace(maker.data, tenant=tenant)).make(row, Stored({}, {}, ("a note",)), 0.1)
    assert told.notes[:2] == ("evaluated with realised rain", "a note")
    assert maker.make(row, Stored({}, {}, ("a note",)), 0.1).notes[0] == "a note"


def test_weather_is_a_forecast_and_what_is_wrong_with_it_is_noted(training: Training) -> None:
    """Columns of a weather service are named as forecasts, those of traffic are not, and a fault stands beside them."""
    maker, row = training.job.trainer._makes, next(row for row in training.job.plan if row.due)
    signals = tuple(
        SignalSource(kind=kind, url="https://sky.example/days", columns={kind.value: "x"}) for kind in SignalKind
    )
    tenant = maker.data.tenant.model_copy(update={"signals": signals})
    data = replace(maker.data, tenant=tenant, degraded={"weather (weather)": "late"})
    told = replace(maker, data=data).make(row, Stored({}, {}, ()), 0.1)
    assert told.notes[:2] == ("evaluated with realised weather", "weather (weather): late")
