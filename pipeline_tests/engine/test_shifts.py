"""How far products moved: against slow oracles, and on panels that are stable or shifted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.panel import Floats
from pipeline.engine.sales_level import JUDGED_DAYS, LEAST_DAYS, REFERENCE_DAYS, judged_days, levels
from pipeline.engine.shifts import Moved, Stretch, drifting, false_discoveries, moved
from pipeline_tests.engine.builders import NAN

PS = st.lists(st.one_of(st.floats(0, 1), st.floats(0, 0.005), st.just(NAN)), min_size=1, max_size=400)
DAYS = 400


def found_slowly(p: list[float], share: float) -> list[bool]:
    """Benjamini and Hochberg's step-up rule, word for word, over 300 at least, and nothing above 0.003."""
    judged = sorted(value for value in p if value == value)  # noqa: PLR0124 - only NaN differs from itself
    count = max(len(judged), 300)
    limit = max((q for k, q in enumerate(judged, 1) if q * count / k <= share), default=-1.0)
    return [value <= min(limit, 0.003) for value in p]


def sold(products: int, seed: int = 1, level: float = 40.0, days: int = DAYS) -> Floats:
    """Poisson sales with a weekly season."""
    week = 1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 7)
    return np.random.default_rng(seed).poisson(level * week, (products, days)).astype(float)


def level_slowly(units: Floats, origin: int, last: int) -> tuple[float, float]:
    """Units brought and expected of one product, day by day; see `levels`."""
    weekday: dict[int, float] = {}
    for day in range(7):
        same = [units[c] for c in range(max(0, origin - 181), origin + 1) if c % 7 == day and np.isfinite(units[c])]
        if len(same) >= 2 and sum(same) > 0:
            weekday[day] = float(np.mean(same))
    usual = sum(weekday.values()) / len(weekday)
    weights = {day: mean / usual for day, mean in weekday.items()}
    before = [c for c in range(origin - REFERENCE_DAYS + 1, origin + 1) if np.isfinite(units[c]) and c % 7 in weights]
    after = [
        c for c in range(max(origin, last - JUDGED_DAYS) + 1, last + 1) if np.isfinite(units[c]) and c % 7 in weights
    ]
    level = sum(units[c] for c in before) / sum(weights[c % 7] for c in before)
    return sum(units[c] for c in after), level * sum(weights[c % 7] for c in after)


@settings(max_examples=200, deadline=None)
@given(PS, st.floats(0.01, 0.9))
def test_false_discoveries_are_those_of_the_rule(p: list[float], share: float) -> None:
    """What is found is what the step-up rule finds, and nothing that was not judged."""
    assert false_discoveries(np.array(p), share).tolist() == found_slowly(p, share)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.integers(LEAST_DAYS, 30), st.sets(st.integers(0, DAYS - 1), max_size=80))
def test_levels_are_those_counted_day_by_day(seed: int, gap: int, masked: set[int]) -> None:
    """Units brought and expected equal a count over single days, whatever days are masked."""
    units = sold(1, seed)
    units[0, sorted(masked)] = NAN
    origin = DAYS - 1 - gap
    now, _ = levels(units, origin, DAYS - 1)
    brought, expected = level_slowly(units[0], origin, DAYS - 1)
    assert now.brought[0] == pytest.approx(brought)
    assert now.expected[0] == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(LEAST_DAYS, 28))
def test_no_past_stretch_sees_what_is_judged(seed: int, gap: int) -> None:
    """Other sales after the origin leave every past stretch, and what is expected now, as they are."""
    units = sold(3, seed)
    other, origin = units.copy(), DAYS - 1 - gap
    other[:, origin + 1 :] *= 7
    (now, past), (then, before) = levels(units, origin, DAYS - 1), levels(other, origin, DAYS - 1)
    assert past
    np.testing.assert_array_equal(now.expected, then.expected)
    for one, two in zip(past, before, strict=True):
        np.testing.assert_array_equal(one.brought, two.brought)
        np.testing.assert_array_equal(one.expected, two.expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.sampled_from([0.5, 4.0, 1024.0]))
def test_masked_days_and_other_products_order_change_nothing(seed: int, factor: float) -> None:
    """A masked day says the same whatever it held, and the order of products does not matter."""
    units = sold(8, seed)
    units[2, -3] = NAN
    spoilt = units.copy()
    now, past = levels(units, DAYS - 15, DAYS - 1)
    spoilt[2, -3] = factor * 1e4
    assert levels(spoilt, DAYS - 15, DAYS - 1)[0].brought[2] > now.brought[2]
    turned = moved(*levels(units[::-1], DAYS - 15, DAYS - 1))
    straight = moved(now, past)
    np.testing.assert_allclose(turned.p[::-1], straight.p)
    np.testing.assert_allclose(turned.change[::-1], straight.change)


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_a_shift_of_one_product_is_found_and_no_other(factor: float) -> None:
    """Of sixty stable products one that sells 40 % more or less for eight days is named, and only that one."""
    units = sold(60, seed=2)
    units[7, -8:] *= factor
    (found,) = drifting([moved(*levels(units, DAYS - 9, DAYS - 1))], 0.2, 0.05)
    assert np.flatnonzero(found).tolist() == [7]


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_a_shift_of_all_products_is_found(factor: float) -> None:
    """Where the whole shop sells 40 % more or less, nearly every product is named, though none stands out."""
    units = sold(60, seed=2)
    units[:, -8:] *= factor
    judged = moved(*levels(units, DAYS - 9, DAYS - 1))
    (found,) = drifting([judged], 0.2, 0.2)
    assert found.mean() > 0.9
    assert not (false_discoveries(judged.p, 0.2) & judged.alone(0.2)).any()


def test_what_is_not_judged_is_nothing() -> None:
    """Fewer than five days, too few units, or no reference: nothing is said, and nothing drifts."""
    units = sold(4)
    units[0, -6:-2] = NAN
    units[1] = 0.1
    units[2, : DAYS - 20] = NAN
    now, past = levels(units, DAYS - 7, DAYS - 1)
    judged = moved(now, past)
    assert judged_days(units, DAYS - 7, DAYS - 1).tolist() == [2, 6, 6, 6]
    assert np.isfinite(judged.change).tolist() == [False, False, True, True]
    (found,) = drifting([Moved.nothing(4)], 0.2, 0.2)
    assert not found.any()


def test_without_a_past_only_the_grossest_shift_is_found() -> None:
    """A young product has no past of its own: the usual variance stands in, and 40 % more is not enough."""
    for factor, expected in ((1.4, False), (3.0, True)):
        units = sold(1, days=40)
        units[0, -8:] *= factor
        now, past = levels(units, 31, 39)
        (found,) = drifting([moved(now, past[:1])], 0.2, 0.2)
        assert bool(found[0]) is expected


def test_shares_are_of_what_was_expected() -> None:
    """12 instead of 10 units is a fifth more; nothing expected, or too few days, is no share at all."""
    stretch = Stretch(
        np.array([12.0, 3.0, 8.0]), np.array([10.0, 0.0, 10.0]), np.ones(3), np.array([True, True, False])
    )
    np.testing.assert_allclose(stretch.change, [0.2, NAN, NAN])
    assert stretch.shared == 0.0
