"""How families are weighed and combined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.combination import GATEKEEPER, combine, weights
from pipeline.engine.families import FAMILIES

NAMES = list(FAMILIES)


@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_weights_add_up_to_one(families: list[str]) -> None:
    """Whichever families take part, each has a weight, none is negative, and they add up to 1."""
    found = weights(families)
    assert list(found) == families
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) >= 0


@given(st.lists(st.sampled_from([name for name in NAMES if name != GATEKEEPER]), min_size=1, unique=True))
def test_every_voice_counts_alike(families: list[str]) -> None:
    """Families that say the same share one voice's weight; the gatekeeper has none beside them."""
    found = weights([GATEKEEPER, *families])
    voices = {FAMILIES[name].voice for name in families}
    for voice in voices:
        members = [found[name] for name in families if FAMILIES[name].voice == voice]
        assert sum(members) == pytest.approx(1 / len(voices))
        assert len(set(members)) == 1
    assert found[GATEKEEPER] == 0


def test_the_gatekeeper_speaks_where_nothing_else_can() -> None:
    """Alone the seasonal naive has all the weight."""
    assert weights([GATEKEEPER]) == {GATEKEEPER: 1.0}


def test_linear_and_prophet_are_one_voice() -> None:
    """The two forms of one regression count once, the trees once."""
    assert weights(NAMES) == {"seasonal_naive": 0.0, "linear": 0.25, "prophet": 0.25, "lightgbm": 0.5}


def test_a_family_that_failed_is_left_out_of_its_row() -> None:
    """A row of NaN is no voice: the others share its weight, and where none is left the row stays NaN."""
    nan = np.nan
    made = {
        "seasonal_naive": np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [nan, nan], [5.0, 5.0]]),
        "linear": np.array([[10.0, 10.0], [nan, nan], [nan, nan], [nan, nan], [10.0, nan]]),
        "lightgbm": np.array([[20.0, 30.0], [40.0, 40.0], [nan, nan], [nan, nan], [20.0, 20.0]]),
    }
    expected = [[15.0, 20.0], [40.0, 40.0], [3.0, 3.0], [nan, nan], [20.0, 20.0]]
    np.testing.assert_array_equal(combine(made), expected)


def test_no_products_are_combined_to_none() -> None:
    """A block without rows stays one."""
    assert combine({"linear": np.empty((0, 14)), "lightgbm": np.empty((0, 14))}).shape == (0, 14)
