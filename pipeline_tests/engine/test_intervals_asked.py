"""Ranges of any confidence, and how they widen where nothing was evaluated."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.intervals import LEVELS, at_confidence, beyond

LAID = st.lists(st.floats(0, 1e6), min_size=len(LEVELS), max_size=len(LEVELS)).map(lambda v: np.array([sorted(v)]).T)
CONFIDENCE = st.floats(0.5, 0.99)


@pytest.mark.parametrize(("confidence", "low", "high"), [(0.5, 2, 4), (0.8, 1, 5), (0.9, 0, 6)])
def test_levels_that_are_laid_are_taken_as_they_are(confidence: float, low: int, high: int):
    """For 50, 80 and 90 % the ends are the measured quantiles."""
    laid = np.arange(14, dtype=float).reshape(7, 2) ** 2
    for found, at in zip(at_confidence(laid, confidence), (low, high), strict=True):
        assert found == pytest.approx(laid[at])


@given(CONFIDENCE, st.floats(1, 1e4), st.floats(0, 100))
def test_a_normal_range_stays_normal(confidence: float, mean: float, spread: float):
    """Of normal quantiles every range is the normal distribution's own, between the levels and outside them."""
    normal = NormalDist()
    spread = min(spread, mean / 3)
    laid = np.array([[mean + spread * normal.inv_cdf(level)] for level in LEVELS])
    for found, level in zip(at_confidence(laid, confidence), ((1 - confidence) / 2, (1 + confidence) / 2), strict=True):
        assert found[0] == pytest.approx(mean + spread * normal.inv_cdf(level), abs=1e-6)


@given(LAID, CONFIDENCE, CONFIDENCE)
def test_a_surer_range_holds_the_other(laid: np.ndarray, one: float, other: float):
    """More confidence never narrows a range, ends are in order, and no end is negative."""
    (low, high), (lower, higher) = (at_confidence(laid, level) for level in sorted((one, other)))
    slack = 1e-9 * (1 + laid.max())
    assert 0 <= lower[0] <= low[0] + slack
    assert low[0] <= high[0] + slack
    assert high[0] <= higher[0] + slack


def test_the_range_widens_with_the_root_of_the_days():
    """As far as it was evaluated nothing changes; four times as far it is twice as wide."""
    found = beyond(56, 14)
    assert (found[:14] == 1).all()
    assert found[55] == pytest.approx(2)
    assert (np.diff(found[13:]) > 0).all()
