"""Conformal intervals: their shape, their coverage, and what they borrow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import DemandClass, IntervalBand
from pipeline.engine.intervals import (
    BANDS,
    FALLBACK,
    LEVELS,
    MIN_ERRORS,
    calibrate,
    lay,
    product_scale,
    quantiles,
    spread,
    widening,
)
from pipeline_tests.engine.builders import NAN

HIGH, LOW = DemandClass.HIGH, DemandClass.LOW


def calibrated(errors: np.ndarray) -> dict[DemandClass | None, tuple[IntervalBand, ...]]:
    """Return the bands that one origin's (n, h) errors of high demand give."""
    return calibrate([((HIGH,) * len(errors), errors)])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    count=st.integers(0, 30),
    horizon=st.sampled_from([1, 7, 14, 40]),
    skew=st.floats(-50, 50),
)
def test_levels_never_fall_and_are_never_negative(seed: int, count: int, horizon: int, skew: float) -> None:
    """Whatever the errors were, quantiles are finite, at least 0, and rise from level to level."""
    rng = np.random.default_rng(seed)
    errors = rng.normal(skew, 3, (count, horizon))
    y_hat = rng.gamma(0.5, 10, (3, horizon))
    laid = quantiles(y_hat, rng.gamma(1, 2, 3), (HIGH, LOW, HIGH), calibrated(errors))
    assert laid.shape == (len(LEVELS), 3, horizon)
    assert np.isfinite(laid).all()
    assert (laid >= 0).all()
    assert (np.diff(laid, axis=0) >= 0).all()


@pytest.mark.parametrize("draw", ["normal", "skewed", "heavy"])
def test_coverage_on_exchangeable_errors(draw: str) -> None:
    """Calibrated on past errors, 5 to 95 % intervals hold nine in ten new ones of the same kind."""
    rng = np.random.default_rng(12)
    draws = {"normal": rng.standard_normal, "skewed": rng.standard_exponential, "heavy": lambda n: rng.standard_t(3, n)}
    covered, scale, y_hat = [], np.full(20, 4.0), np.full((20, 14), 1000.0)
    for _ in range(60):
        bands = calibrated(draws[draw](20 * 14).reshape(20, 14))
        laid = quantiles(y_hat, scale, (HIGH,) * 20, bands)
        actual = y_hat + draws[draw](20 * 14).reshape(20, 14) * spread(scale, y_hat)
        covered.append((actual >= laid[0]) & (actual <= laid[-1]))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.015)


@pytest.mark.parametrize("count", [1, 3, 7, 15])
def test_few_errors_do_not_make_narrow_intervals(count: int) -> None:
    """From a handful of errors, whose extremes say little about a tail, intervals still hold nine in ten."""
    rng = np.random.default_rng(13)
    covered = []
    for _ in range(800):
        bands = calibrated(rng.standard_normal((1, count)))
        laid = lay(np.array([1000.0]), np.ones(1), bands[HIGH])
        covered.append(laid[0, 0] <= 1000 + rng.standard_normal() <= laid[-1, 0])
    assert np.mean(covered) > 0.87


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.floats(-9, 9), st.lists(st.integers(-10, 800), min_size=2, max_size=5))
def test_a_range_never_narrows_with_age(seed: int, skew: float, ages: list[int]) -> None:
    """The older the model the further out both ends, in order and not below 0; a fresh one is as it was."""
    rng = np.random.default_rng(seed)
    bands, y_hat = calibrated(rng.normal(skew, 3, (30, 14)))[HIGH], rng.gamma(0.5, 10, 14)
    unit = spread(rng.gamma(1, 2, 1), y_hat[None])[0]
    laid = np.array([lay(y_hat, unit, bands, widening(age)) for age in sorted(ages)])
    assert (np.diff(laid[:, -1], axis=0) >= 0).all()
    assert (np.diff(laid[:, 0], axis=0) <= 0).all()
    assert (np.diff(laid, axis=1) >= 0).all()
    assert (laid >= 0).all()
    np.testing.assert_allclose(lay(y_hat, unit, bands, widening(0)), lay(y_hat, unit, bands))
    assert widening(0) == widening(-1) == 1


def test_a_quantile_is_corrected_outwards() -> None:
    """Of 99 errors from 1 to 99 the 0.95 quantile is the 95th, the 0.05 quantile the 5th."""
    bands = calibrated(np.arange(1.0, 100.0)[:, None])
    found = bands[HIGH][0].quantiles
    assert (found["0.05"], found["0.5"], found["0.95"]) == (5, 50, 95)
    assert bands[HIGH][0].errors == 99


def test_without_any_error_there_is_a_fallback() -> None:
    """Nothing scored gives the same wide bands to every class, and says that they rest on no error."""
    for bands in (calibrate([]), calibrated(np.full((4, 14), NAN))):
        for demand_class in (None, *DemandClass):
            assert [band.errors for band in bands[demand_class]] == [0, 0, 0]
            assert all(band.quantiles == {str(k): v for k, v in FALLBACK.items()} for band in bands[demand_class])


def test_bands_cover_every_day_once() -> None:
    """The bands of a class follow one another from day 1 to 365."""
    bands = calibrated(np.zeros((100, 14)))[HIGH]
    assert tuple((band.first_day, band.last_day) for band in bands) == BANDS
    assert [first for first, _ in BANDS[1:]] == [last + 1 for _, last in BANDS[:-1]]
    assert (BANDS[0][0], BANDS[-1][1]) == (1, 365)


def test_days_are_calibrated_by_their_band() -> None:
    """Errors of the first week say nothing about the second."""
    errors = np.concatenate([np.full((50, 7), 1.0), np.full((50, 7), 5.0)], axis=1)
    laid = lay(np.full(14, 100.0), np.ones(14), calibrated(errors)[HIGH])
    np.testing.assert_array_equal(laid[3], [101.0] * 7 + [105.0] * 7)


def test_quantiles_that_fall_are_straightened() -> None:
    """Whatever a stored band holds, what is laid never falls from one level to the next."""
    falling = {str(level): -level for level in LEVELS}
    band = IntervalBand(first_day=1, last_day=365, quantiles=falling, errors=9)
    laid = lay(np.full(3, 100.0), np.ones(3), [band])
    np.testing.assert_array_equal(laid, np.full((len(LEVELS), 3), 100 - LEVELS[0]))


def test_days_beyond_every_error_take_the_last_band_that_has_some() -> None:
    """A horizon longer than anything scored has the quantiles of the farthest days that were."""
    bands = calibrated(np.random.default_rng(1).normal(0, 9, (50, 7)))[HIGH]
    assert bands[1].quantiles == bands[2].quantiles == bands[0].quantiles
    assert [band.errors for band in bands] == [350, 0, 0]


def test_classes_are_calibrated_apart_and_borrow_when_few() -> None:
    """A class with enough errors has its own quantiles; one with too few those of all classes."""
    many, few = np.full((MIN_ERRORS, 1), 2.0), np.full((MIN_ERRORS - 1, 1), 8.0)
    bands = calibrate([((HIGH,) * len(many) + (LOW,) * len(few), np.concatenate([many, few]))])
    assert bands[HIGH][0].quantiles["0.95"] == 2.0
    assert bands[LOW][0] == bands[None][0]
    assert bands[None][0].quantiles["0.95"] == 8.0
    assert bands[None][0].errors == 2 * MIN_ERRORS - 1


def test_the_spread_follows_busy_days_within_limits() -> None:
    """A day of four times the usual has twice the spread of a usual day; quieter than half counts as half."""
    y_hat = np.array([[1.0, 0.0, 3.0, 0.0, 1.0]])
    np.testing.assert_allclose(spread(np.array([2.0]), y_hat)[0], 2 * np.sqrt([1, 0.5, 2, 0.5, 1]))
    np.testing.assert_allclose(spread(np.array([2.0]), np.zeros((1, 2)))[0], 2 * np.sqrt([0.5, 0.5]))


def test_the_scale_never_collapses() -> None:
    """A product's scale is its seasonal difference, at least a quarter of its level's root; the root without one."""
    found = product_scale(np.array([7.0, 0.001, NAN, NAN]), np.array([16.0, 16.0, 16.0, 0.0]))
    np.testing.assert_allclose(found, [7.0, 1.0, 4.0, 0.5])
