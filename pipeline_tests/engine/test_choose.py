"""From a menu of settings to a choice: what a setting surely gained, and what each product takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.engine.panel import Floats
from pipeline.engine.tuning.choose import choose, pooled, surely_gained
from pipeline_tests.engine.builders import NAN

LOSSES = arrays(float, (4, 3, 5), elements=st.integers(0, 1000).map(float))


@given(LOSSES)
def test_the_untuned_settings_gain_nothing(losses: Floats) -> None:
    """Whatever the errors, the first settings gain 0 and every gain is finite and below the whole error."""
    gained = surely_gained(losses)
    np.testing.assert_array_equal(gained[0], 0)
    assert np.isfinite(gained).all()
    assert (gained <= 1 + 1e-9).all()


@given(LOSSES, st.permutations(range(3)))
def test_products_are_chosen_for_by_themselves(losses: Floats, order: list[int]) -> None:
    """The order of products does not matter, and each choice is a place on the menu."""
    pooled = losses.sum(axis=1)
    chosen = choose(losses, pooled)
    np.testing.assert_array_equal(choose(losses[:, order], pooled), chosen[order])
    assert ((chosen >= 0) & (chosen < 4)).all()


@given(LOSSES)
def test_a_setting_that_is_worse_everywhere_changes_nothing(losses: Floats) -> None:
    """A setting with twice the untuned error everywhere is never chosen, and nobody changes for it."""
    worse = np.concatenate([losses, 2 * losses[:1] + 1])
    np.testing.assert_array_equal(choose(worse, worse.sum(axis=1)), choose(losses, losses.sum(axis=1)))


def test_a_product_without_errors_takes_its_classs_best() -> None:
    """One that was too young everywhere has the settings that gained most for its class."""
    losses = np.full((3, 2, 4), 10.0)
    losses[2, 0] = 7.0
    losses[:, 1] = NAN
    assert choose(losses, pooled(losses)).tolist() == [2, 2]


def test_one_inner_origin_is_no_evidence_for_a_gain() -> None:
    """A product with a single inner origin departs for no gain of its own, and its loss keeps it from its class."""
    losses = np.full((2, 3, 4), 10.0)
    losses[1, 0] = 9.9
    losses[:, 1:, 1:] = NAN
    losses[1, 1, 0], losses[1, 2, 0] = 5.0, 20.0
    assert surely_gained(losses)[1, 1:].tolist() == [0.0, -1.0]
    assert choose(losses, pooled(losses[:, :1])).tolist() == [1, 1, 0]


@pytest.mark.parametrize("known", [2, 3, 4])
def test_inner_origins_without_any_product_count_for_nothing(known: int) -> None:
    """An even gain is the same whether or not there are further origins that nobody was old enough for."""
    losses = np.full((2, 2, 4), 10.0)
    losses[1] = 9.0
    losses[..., known:] = NAN
    assert surely_gained(pooled(losses))[1] == pytest.approx(0.1)


def test_own_evidence_outweighs_the_class() -> None:
    """A product that clearly loses by the class's best keeps the untuned settings."""
    losses = np.full((2, 5, 4), 10.0)
    losses[1, :4] = 8.0
    losses[1, 4] = 15.0
    assert choose(losses, losses.sum(axis=1)).tolist() == [1, 1, 1, 1, 0]


def test_a_gain_that_varies_too_much_is_not_taken() -> None:
    """A setting that is better at one origin and worse at the others stays where it is, though the sum is smaller."""
    losses = np.array([[[10.0, 10.0, 10.0, 10.0]], [[2.0, 11.0, 11.0, 11.0]]])
    assert choose(losses, losses.sum(axis=1)).tolist() == [0]
