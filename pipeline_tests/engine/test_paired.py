"""Two forecasts of the same days: what the mean difference and its standard error say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.paired import MIN_WEEKS, Difference, difference
from pipeline.engine.panel import Floats, Ints

DRAWS = 600


def weeks_of(days: int) -> Ints:
    """Return the week of each day, seven days each."""
    return np.arange(days) // 7


def by_hand(losses: Floats, others: Floats, weeks: Ints) -> tuple[float, float]:
    """Return mean and standard error in plain loops: the sums of each week's departures, squared."""
    apart = {day: a - b for day, (a, b) in enumerate(zip(losses, others, strict=True)) if math.isfinite(a - b)}
    mean = sum(apart.values()) / len(apart)
    sums: dict[int, float] = {}
    for day, one in apart.items():
        sums[weeks[day]] = sums.get(weeks[day], 0.0) + one - mean
    count = len(sums)
    return mean, math.sqrt(count / (count - 1) * sum(total**2 for total in sums.values())) / len(apart)


@given(st.integers(MIN_WEEKS * 7, 120), st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_it_is_what_loops_give(days: int, seed: int, unknown: float) -> None:
    """Mean and standard error are those of a slow reckoning, with days that are not scored left out."""
    draw = np.random.default_rng(seed)
    losses, others = draw.exponential(3, days), draw.exponential(3, days)
    losses[draw.random(days) < unknown] = np.nan
    losses[::7] = 1.0  # No week without a day.
    found = difference(losses, others, weeks_of(days))
    assert (found.mean, found.standard_error) == pytest.approx(by_hand(losses, others, weeks_of(days)))
    assert found.days == np.isfinite(losses).sum()


@given(st.integers(MIN_WEEKS, 20), st.integers(0, 2**32 - 1), st.floats(0.01, 1000))
def test_the_other_way_round_it_says_the_opposite_in_any_unit(weeks: int, seed: int, unit: float) -> None:
    """Exchanging the two changes the sign alone, and another unit scales mean and error alike."""
    losses, others = np.random.default_rng(seed).exponential(3, (2, 7 * weeks))
    found = difference(losses, others, weeks_of(7 * weeks))
    turned = difference(unit * others, unit * losses, weeks_of(7 * weeks))
    assert turned.mean == pytest.approx(-unit * found.mean)
    assert turned.standard_error == pytest.approx(unit * (found.standard_error or 0))


@pytest.mark.parametrize("days", [0, 1, 7 * (MIN_WEEKS - 1)])
def test_few_weeks_say_nothing(days: int) -> None:
    """Below four weeks there is no standard error, and nothing is beyond chance."""
    found = difference(np.full(days, 9.0), np.zeros(days), weeks_of(days))
    assert found.standard_error is None
    assert not found.beyond(0)
    assert found.mean == (9.0 if days else 0.0)


def test_equal_forecasts_differ_by_chance_as_often_as_chance_has_it() -> None:
    """With eight weeks whose days err together, two standard errors are passed in 1 to 10 of 100, one in 10 to 25."""
    draw = np.random.default_rng(7)
    weeks = weeks_of(56)
    apart = draw.normal(0, 1, (DRAWS, 8))[:, weeks] + draw.normal(0, 1, (DRAWS, 56))
    found = [difference(one, np.zeros(56), weeks) for one in apart]
    assert 0.01 < np.mean([one.beyond(2) for one in found]) < 0.10
    assert 0.10 < np.mean([one.beyond(1) for one in found]) < 0.25
    as_days = [one.mean > 2 * row.std() / math.sqrt(56) for one, row in zip(found, apart, strict=True)]
    assert np.mean(as_days) > 0.15  # What counting days would have called sure.


def test_what_is_really_worse_is_seen() -> None:
    """A recipe whose errors are a fifth larger on a hundred products is beyond one standard error nearly always."""
    draw = np.random.default_rng(8)
    weeks = np.tile(weeks_of(56), 100)
    found = []
    for _ in range(100):
        losses = np.abs(draw.normal(0, 1, (2, 5600)))
        found.append(difference(1.2 * losses[0], losses[1], weeks).beyond(1))
    assert np.mean(found) > 0.95


def test_the_negligible_is_neglected() -> None:
    """A difference that is sure, but smaller than what is negligible, is none."""
    sure = Difference(0.001, 0.0, 56, 8)
    assert sure.beyond(1)
    assert not sure.beyond(1, negligible=0.01)
