"""Each figure against the same figure worked out slowly, day by day."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from contracts import Metrics
from pipeline.engine.intervals import LEVELS
from pipeline.engine.metrics import measure, pinball_losses, scaled_errors, seasonal_scales
from pipeline_tests.engine.builders import NAN, panel_of

UNITS = st.one_of(st.just(NAN), st.integers(0, 40).map(float))


def slowly(
    actual: list[float],
    forecast: list[float],
    laid: list[tuple[float, ...]],
) -> Metrics:
    """Return the metrics as one would explain them."""
    days = [i for i in range(len(actual)) if math.isfinite(actual[i]) and math.isfinite(forecast[i])]
    if not days:
        return Metrics(n=0)
    n, total = len(days), sum(actual[i] for i in days)
    errors = [forecast[i] - actual[i] for i in days]
    sold = [i for i in days if actual[i] > 0]
    mape = 100 * sum(abs(forecast[i] - actual[i]) / actual[i] for i in sold) / len(sold) if sold else None
    around = sum((actual[i] - total / n) ** 2 for i in days)
    return Metrics(
        n=n,
        mae=sum(abs(e) for e in errors) / n,
        rmse=math.sqrt(sum(e * e for e in errors) / n),
        r2_score=1 - sum(e * e for e in errors) / around if around > 0 else None,
        mape=mape,
        mape_days_left_out=1 - len(sold) / n,
        accuracy=None if mape is None else max(0.0, 100 - mape),
        wape=sum(abs(e) for e in errors) / total if total else None,
        bias=sum(errors) / total if total else None,
        coverage=sum(laid[i][0] <= actual[i] <= laid[i][-1] for i in days) / n,
        below_upper=sum(actual[i] <= laid[i][-1] for i in days) / n,
        pinball=sum(
            level * (actual[i] - said) if actual[i] > said else (1 - level) * (said - actual[i])
            for i in days
            for level, said in zip(LEVELS, laid[i], strict=True)
        )
        / (n * len(LEVELS)),
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_figure_against_the_slow_one(data: st.DataObject) -> None:
    """All figures of a block equal their slow forms, whatever is missing."""
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 6)))
    blocks = [data.draw(npst.arrays(float, shape, elements=UNITS)) for _ in range(2)]
    actual, forecast = blocks
    steps = np.array([-5, -3, -2, 0, 1, 2, 3]).reshape(-1, 1, 1)
    laid = np.nan_to_num(forecast) + steps
    found = measure(actual, forecast, lower=laid[0], upper=laid[-1], losses=pinball_losses(actual, laid))
    expected = slowly(*(block.ravel().tolist() for block in blocks), list(zip(*laid.reshape(7, -1), strict=True)))
    figures = expected.model_dump()
    assert {k for k, v in found.model_dump().items() if v is None} == {k for k, v in figures.items() if v is None}
    defined = {name: value for name, value in figures.items() if value is not None}
    assert found.model_dump(include=set(defined)) == pytest.approx(defined, rel=1e-9, abs=1e-9)


def test_nothing_scored_has_no_figures() -> None:
    """Without a scored day there is a count of 0 and nothing else."""
    assert measure(np.full((2, 3), NAN), np.ones((2, 3))) == Metrics(n=0)
    assert measure(np.ones((2, 3)), np.full((2, 3), NAN)) == Metrics(n=0)


def test_figures_that_need_sales_are_none_without_any() -> None:
    """On days without any sale MAPE, accuracy, WAPE, bias and R2 do not exist; MAE and RMSE do."""
    found = measure(np.zeros((1, 4)), np.full((1, 4), 2.0))
    assert (found.mape, found.accuracy, found.wape, found.bias, found.r2_score) == (None,) * 5
    assert (found.mae, found.rmse, found.mape_days_left_out) == (2.0, 2.0, 1.0)


def test_a_single_or_constant_day_has_no_r2() -> None:
    """R2 needs actuals that differ."""
    assert measure(np.array([5.0]), np.array([4.0])).r2_score is None
    assert measure(np.array([5.0, 5.0]), np.array([4.0, 6.0])).r2_score is None


def test_accuracy_does_not_fall_below_zero() -> None:
    """A MAPE above 100 percent is an accuracy of 0."""
    found = measure(np.array([1.0]), np.array([9.0]))
    assert (found.mape, found.accuracy) == (800.0, 0.0)


def test_without_scales_or_ends_their_figures_are_none() -> None:
    """MASE, RMSSE, coverage, the share below the upper end and the pinball loss are not made up."""
    found = measure(np.array([1.0]), np.array([2.0]))
    assert (found.mase, found.rmsse, found.coverage, found.below_upper, found.pinball) == (None,) * 5


def test_the_ends_of_an_interval_belong_to_it() -> None:
    """An actual on an end is covered."""
    found = measure(np.array([1.0, 3.0, 4.0]), np.full(3, 2.0), lower=np.full(3, 1.0), upper=np.full(3, 3.0))
    assert found.coverage == found.below_upper == pytest.approx(2 / 3)


def test_the_true_quantiles_have_the_smallest_pinball_loss() -> None:
    """Of a known Poisson, its own quantiles lose less than any that are a unit further out or in."""
    units = np.random.default_rng(4).poisson(6, 20_000).astype(float)
    true = np.quantile(units, LEVELS)[:, None]
    outwards = np.sign(np.array(LEVELS) - 0.5)[:, None]
    loss = {step: pinball_losses(units, true + step * outwards).mean() for step in (-1, 0, 1)}
    assert loss[0] < min(loss[-1], loss[1])


def test_seasonal_scales_against_a_loop() -> None:
    """The scale is the mean over the observed pairs, seven days apart, of the last 371 days."""
    rng = np.random.default_rng(3)
    units = rng.poisson(5, (2, 500)).astype(float)
    units[rng.random(units.shape) < 0.2] = NAN
    absolute, squared = seasonal_scales(panel_of(units))
    for row in range(2):
        pairs = [units[row, day] - units[row, day - 7] for day in range(500 - 371 + 7, 500)]
        differences = [d for d in pairs if math.isfinite(d)]
        assert absolute[row] == pytest.approx(np.mean(np.abs(differences)))
        assert squared[row] == pytest.approx(np.mean(np.square(differences)))


@pytest.mark.parametrize("value", [0.1, 0.7, 1e9 / 3])
def test_equal_actuals_have_no_r2_however_they_are_rounded(value: float) -> None:
    """The mean of equal numbers may differ from them in its last bit; that is no spread."""
    assert measure(np.full(10, value), np.full(10, value + 1)).r2_score is None


@pytest.mark.parametrize("units", [[4.0] * 30, [4.0] * 6, [NAN] * 30, [1.0, NAN] * 3 + [NAN, 1.0] * 3])
def test_a_history_without_differences_has_no_scale(units: list[float]) -> None:
    """A constant, too short or never observed history has NaN for a scale, not 0: nothing is divided by it."""
    absolute, squared = seasonal_scales(panel_of(units))
    assert np.isnan(absolute).all()
    assert np.isnan(squared).all()


def test_mase_of_the_seasonal_naive_on_its_own_history_is_one() -> None:
    """Scored on the very days of its scale, the seasonal naive has MASE and RMSSE 1."""
    units = np.random.default_rng(5).poisson(20, (3, 371)).astype(float)
    absolute, squared = seasonal_scales(panel_of(units))
    assert scaled_errors(units[:, 7:], units[:, :-7], absolute, squared) == (pytest.approx(1), pytest.approx(1))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_scaled_errors_are_means_over_series(data: st.DataObject) -> None:
    """MASE and RMSSE are worked out for each series by itself, then averaged over those that have them."""
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 6)))
    actual, forecast = (data.draw(npst.arrays(float, shape, elements=UNITS)) for _ in range(2))
    scale = data.draw(npst.arrays(float, shape[0], elements=st.one_of(st.just(NAN), st.floats(0.5, 20))))
    absolute, roots = [], []
    for row in range(shape[0]):
        errors = [f - y for f, y in zip(forecast[row], actual[row], strict=True) if math.isfinite(f - y)]
        if errors and math.isfinite(scale[row]):
            absolute.append(sum(abs(e) for e in errors) / len(errors) / scale[row])
            roots.append(math.sqrt(sum(e * e for e in errors) / len(errors) / scale[row] ** 2))
    mase, rmsse = scaled_errors(actual, forecast, scale, scale**2)
    if not absolute:
        assert (mase, rmsse) == (None, None)
    else:
        assert (mase, rmsse) == (pytest.approx(np.mean(absolute)), pytest.approx(np.mean(roots)))
