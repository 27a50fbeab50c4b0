"""TSB: smoothing of rare sales, against a slow oracle and on demand whose mean is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.panel import Floats
from pipeline_tests.engine.builders import NAN, outlook_of, panel_of

TSB = FAMILIES["tsb"]
UNITS = st.lists(st.one_of(st.just(0.0), st.just(NAN), st.floats(0.5, 50)), min_size=1, max_size=120)


def ahead(units: Floats | list[float], horizon: int = 7, **parameters: float) -> Floats:
    """Return what the family forecasts for one product."""
    panel = panel_of(np.array(units, float))
    known = outlook_of(len(panel.dates) + horizon)
    return TSB.fit(panel, known, Recipe(parameters)).predict(panel, known, horizon)[0]


def slowly(units: list[float], horizon: int, alpha: float, beta: float) -> list[float]:
    """Return the same as a person with a pencil would find it."""
    known = [(day, value) for day, value in enumerate(units) if not np.isnan(value)]
    early = [value for _, value in known[:28]]
    positive = [value for value in early if value > 0]
    chance = len(positive) / len(early) if early else 0.0
    size = sum(positive) / len(positive) if positive else 0.0
    for _, value in known[28:]:
        chance += beta * ((value > 0) - chance)
        if value > 0:
            size = value if size == 0 else size + alpha * (value - size)
    year = [(day, value) for day, value in known if day >= len(units) - 364]
    mean = sum(value for _, value in year) / len(year) if year else 0.0
    found = []
    for step in range(horizon):
        same = [value for day, value in year if (day - len(units) - step) % 7 == 0]
        factor = (sum(same) + 8 * mean) / (len(same) + 8) / mean if mean > 0 else 1.0
        found.append(chance * size * factor)
    return found


@settings(max_examples=60, deadline=None)
@given(units=UNITS, alpha=st.sampled_from([0.1, 0.5]), beta=st.sampled_from([0.05, 0.3]))
def test_it_is_what_the_slow_one_finds(units: list[float], alpha: float, beta: float) -> None:
    """For any history, holes and beginnings included, the forecast is the oracle's."""
    found = ahead(units, 9, units_smoothing=alpha, chance_smoothing=beta)
    np.testing.assert_allclose(found, slowly(units, 9, alpha, beta), rtol=1e-9, atol=1e-12)


def test_rare_sales_have_their_mean() -> None:
    """A product that sells five units on every tenth day is forecast at about half a unit a day."""
    rng = np.random.default_rng(4)
    found = ahead(np.where(rng.random(3000) < 0.1, 5.0, 0.0), chance_smoothing=0.02)
    assert found.mean() == pytest.approx(0.5, rel=0.3)


def test_it_forgets_what_no_longer_sells() -> None:
    """After eighty days without a sale little is left, which Croston's method would keep for ever."""
    assert ahead(np.r_[np.full(200, 4.0), np.zeros(80)]).max() < 0.15


def test_weekdays_differ() -> None:
    """A product of Saturdays is forecast for Saturday, and hardly for the others."""
    units = np.where(np.arange(420) % 7 == 5, 14.0, 0.0)
    found = ahead(units)
    assert found[5] == pytest.approx(14, rel=0.35)
    assert found[[0, 1, 2, 3, 4, 6]].max() < 1.0
