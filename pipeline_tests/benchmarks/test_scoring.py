"""The scores: the same as a slow and obvious reckoning, and the same rows for every system."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scoring import HORIZON, Daily, interval_scores, ranges, score

FIRST = pd.Timestamp("2024-01-01")
DAY = pd.Timedelta(days=1)


def daily(*units: list[float] | np.ndarray) -> Daily:
    """Products that end on the same day; shorter ones begin later."""
    length = max(map(len, units))
    block = np.full((len(units), length), np.nan)
    for row, values in enumerate(units):
        block[row, length - len(values) :] = values
    return Daily(tuple(f"P{n}" for n in range(len(units))), pd.date_range(FIRST, periods=length), block)


def forecasts(sales: Daily, made: dict[str, float], count: int = 1) -> pd.DataFrame:
    """Each product's same forecast for every day after every origin."""
    rows = [
        {"product": product, "origin": origin, "date": origin + DAY * ahead, "y_hat": value}
        for origin in sales.origins(count)
        for product, value in made.items()
        for ahead in range(1, HORIZON + 1)
    ]
    return pd.DataFrame(rows, columns=["product", "origin", "date", "y_hat"])


def reckoned(sales: Daily, made: pd.DataFrame, count: int) -> dict[str, float]:
    """The scores, day by day and product by product."""
    said = {(row.product, row.origin, row.date): row.y_hat for row in made.itertuples()}
    errors, sold, total, mase, rmsse = 0.0, 0.0, 0.0, [], []
    for origin in sales.origins(count):
        for name, units in zip(sales.products, sales.units, strict=True):
            days = {day: value for day, value in zip(sales.dates, units, strict=True) if not math.isnan(value)}
            past = [value for day, value in days.items() if day <= origin]
            if len(past) < 90 or sum(value > 0 for value in past[-90:]) < 5:
                continue
            gone = []
            for ahead in range(1, 15):
                actual = days[origin + DAY * ahead]
                forecast = max(said.get((name, origin, origin + DAY * ahead), 0.0), 0.0)
                gone.append(abs(actual - forecast))
                sold, total = sold + actual, total + forecast
            errors += sum(gone)
            window = past[-371:]
            steps = [window[k] - window[k - 7] for k in range(7, len(window))]
            if any(steps):
                mase.append(np.mean(gone) / np.mean(np.abs(steps)))
                rmsse.append(math.sqrt(np.mean(np.square(gone)) / np.mean(np.square(steps))))
    return {
        "wape": errors / sold,
        "mase": float(np.mean(mase)),
        "rmsse": float(np.mean(rmsse)),
        "bias": (total - sold) / sold,
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_scores_are_those_of_a_slow_reckoning(seed: int, count: int) -> None:
    """WAPE, MASE, RMSSE and bias equal what loops over days and products give, young and idle products among them."""
    chance = np.random.default_rng(seed)
    lengths = [500, 160, int(chance.integers(60, 130)), 200]
    units = [chance.poisson(rate, n).astype(float) for rate, n in zip((9, 3, 5, 0.05), lengths, strict=True)]
    sales = daily(*units)
    made = forecasts(sales, {"P0": 8.5, "P1": -1.0, "P3": 0.3}, count)
    made = made.sample(frac=0.9, random_state=seed)
    found = score(sales, made, count)
    for name, value in reckoned(sales, made, count).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize(
    ("length", "selling", "counts"), [(103, 90, False), (104, 90, True), (200, 4, False), (200, 5, True)]
)
def test_who_counts(length: int, selling: int, counts: bool) -> None:
    """A product counts from 90 days of history and 5 selling days among the last 90, seen from the origin."""
    units = np.zeros(length)
    units[-HORIZON - selling : -HORIZON] = 1.0
    sales = daily(np.ones(300), units)
    assert sales.eligible(sales.origins(1)[0]).tolist() == [True, counts]


def test_days_without_a_row_are_days_without_sales() -> None:
    """Between and after a product's rows there is zero, before its first row nothing; rows of one day are added."""
    days = [FIRST, FIRST, FIRST + 2 * DAY, FIRST + DAY]
    sales = Daily.of(pd.DataFrame({"product": ["a", "a", "a", "b"], "date": days, "units": [1.0, 2.0, 4.0, 5.0]}))
    np.testing.assert_array_equal(sales.units, [[3, 0, 4], [np.nan, 5, 0]])
    assert sales.products == ("a", "b")


def test_origins_lie_a_horizon_apart() -> None:
    """The last origin lies 14 days before the end, the others 14 days before one another."""
    sales = daily(np.ones(200))
    assert sales.origins(2) == [sales.dates[-29], sales.dates[-15]]


def test_few_products_alone_can_be_scored() -> None:
    """With products named, no other product's error is in the scores."""
    sales = daily(np.tile([4.0, 6.0], 100), np.tile([1.0, 3.0], 100))
    made = forecasts(sales, {"P0": 5.0, "P1": 1000.0})
    assert score(sales, made, 1, frozenset({"P0"})).wape == pytest.approx(0.2)


def test_what_cannot_be_scored_is_refused() -> None:
    """A day that is forecast twice, and days on which nothing was sold, are errors and no figures."""
    sales = daily(np.ones(200))
    made = forecasts(sales, {"P0": 1.0})
    with pytest.raises(ValueError, match="twice"):
        score(sales, pd.concat([made, made]), 1)
    idle = daily(np.r_[np.ones(186), np.zeros(14)])
    with pytest.raises(ValueError, match="nothing was sold"):
        score(idle, forecasts(idle, {"P0": 1.0}), 1)


def test_ranges_of_large_and_small_products_are_judged_apart() -> None:
    """Coverage counts the products of 5 units a day; the others are judged by upper end and interval score."""
    large, small = np.full(200, 10.0), np.tile([0.0, 2.0], 100)
    large[-7:] = 30.0
    sales = daily(large, small)
    made = forecasts(sales, {"P0": 10.0, "P1": 1.0})
    ends = {"P0": (8.0, 12.0), "P1": (0.0, 1.0)}
    made["lower"] = made["product"].map(lambda name: ends[name][0])
    made["upper"] = made["product"].map(lambda name: ends[name][1])
    found = ranges(sales, made, 1)
    assert found.coverage == pytest.approx(0.5)
    assert found.below_upper == pytest.approx(0.5)
    # A width of 1, and 20 for the unit that lies above on every other day; one unit is sold a day.
    assert found.interval == pytest.approx(np.mean([1 + 20, 1]))
    # Its own past says 0 to 2: only the width is paid.
    assert found.interval_of_past == pytest.approx(2)


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0, 50))
def test_an_interval_score_is_made_of_pinball_losses(actual: float, low: float, wide: float) -> None:
    """It is 20 times the pinball losses of the levels 0.05 and 0.95 (Koenker and Bassett 1978), added up."""
    losses = [
        max(level * (actual - end), (level - 1) * (actual - end)) for level, end in ((0.05, low), (0.95, low + wide))
    ]
    found = interval_scores(np.array([actual]), np.array([low]), np.array([low + wide]))
    assert found[0] == pytest.approx(20 * sum(losses), rel=1e-9, abs=1e-9)


def test_ranges_that_are_not_given_are_not_judged() -> None:
    """Without any range there is no coverage, not a coverage of zero."""
    sales = daily(np.full(200, 10.0))
    made = forecasts(sales, {"P0": 10.0}).assign(lower=np.nan, upper=np.nan)
    assert math.isnan(ranges(sales, made, 1).coverage)
