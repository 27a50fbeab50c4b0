"""Clear one-day outliers are held back in fitting, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.outliers import ALONE, FAR, hold_outliers
from pipeline.engine.panel import Floats, Outlook
from pipeline.engine.usual import explained, largest_other, same_weekdays, usual
from pipeline_tests.engine.builders import NAN, demand, on, outlook_of, panel_of

LENGTH, PRODUCTS = 210, 4
SPIKE = 101
KNOWN = outlook_of(LENGTH)
SILENT = [np.zeros((2, 90)), np.full((2, 90), NAN), np.full((1, 3), 5.0), np.full((1, 1), 9.0)]


def spiked(column: int = SPIKE, factor: float = 10.0, row: int = 1) -> Floats:
    """Return a shop's ordinary sales with one day of one product multiplied."""
    units = demand(LENGTH, PRODUCTS)
    units[row, column] = max(units[row, column], 1.0) * factor
    return units


@pytest.mark.parametrize("column", [30, SPIKE, LENGTH - 2, LENGTH - 1])
def test_a_tenfold_day_is_held_back(column: int) -> None:
    """One mistyped day counts as a usual one, wherever it lies, and no other day is touched."""
    panel = panel_of(spiked(column))
    held = hold_outliers(panel, KNOWN)
    assert np.argwhere(held.days).tolist() == [[1, column]]
    assert held.count == 1
    known = usual(panel)
    wanted = max(known.busy[1, column], 1) * known.units[1, column]
    assert held.panel.quantity[1, column] == pytest.approx(wanted)
    assert held.panel.quantity[1, column] < panel.quantity[1, column] / 3
    rest = ~held.days
    np.testing.assert_array_equal(held.panel.quantity[rest], panel.quantity[rest])


def test_what_was_sold_is_kept_and_told() -> None:
    """The sales themselves stay as they were, and each held day is told with both numbers."""
    panel = panel_of(spiked())
    before = panel.quantity.copy()
    held = hold_outliers(panel, KNOWN)
    np.testing.assert_array_equal(panel.quantity, before)
    np.testing.assert_array_equal(held.sold, before)
    (told,) = held.told("p1")
    assert told.startswith(f"{panel.dates[SPIKE].date()}: {before[1, SPIKE]:g} units count as ")
    assert held.told("p0") == ()


@given(seed=st.integers(0, 2**32 - 1), level=st.floats(0.1, 300))
@settings(max_examples=40, deadline=None)
def test_ordinary_days_are_left_alone(seed: int, level: float) -> None:
    """Poisson sales with a strong week, at any level, have nothing that is held back."""
    panel = panel_of(demand(LENGTH, PRODUCTS, level, seed))
    assert hold_outliers(panel, KNOWN).count == 0


@given(
    cut=st.integers(60, LENGTH - 1),
    later=st.sampled_from([0.0, 1.0, 1e6, NAN]),
    column=st.integers(10, LENGTH - 1),
)
@settings(max_examples=60, deadline=None)
def test_the_future_changes_nothing(cut: int, later: float, column: int) -> None:
    """As of an origin, what is sold or known after it changes no day up to it, bit by bit."""
    units = spiked(column)
    origin = panel_of(units).dates[cut]
    other = units.copy()
    other[:, cut + 1 :] = later
    fair = Outlook(KNOWN.dates, {"fair": np.arange(LENGTH) > cut + 1}, None, {"promo": (np.arange(LENGTH) > cut) * 1.0})
    held = [hold_outliers(panel_of(u).until(origin), k) for u, k in ((units, KNOWN), (other, fair))]
    np.testing.assert_array_equal(held[0].panel.quantity, held[1].panel.quantity)
    np.testing.assert_array_equal(held[0].days, held[1].days)


def test_a_busy_shop_is_no_outlier() -> None:
    """A day on which every product sells ten times as much is the shop's, and stays."""
    units = demand(LENGTH, PRODUCTS)
    units[:, SPIKE] *= 10
    assert hold_outliers(panel_of(units), KNOWN).count == 0


def test_an_outlier_of_a_busy_day_is_found_all_the_same() -> None:
    """Where the shop sold twice its usual and one product twenty times, that one counts as a busy day of it."""
    units = demand(LENGTH, PRODUCTS)
    units[:, SPIKE] *= 2
    units[1, SPIKE] *= 10
    held = hold_outliers(panel_of(units), KNOWN)
    assert np.argwhere(held.days).tolist() == [[1, SPIKE]]
    assert 1.5 < held.panel.quantity[1, SPIKE] / usual(panel_of(units)).units[1, SPIKE] < 2.5


@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_holidays_and_the_days_beside_them_are_no_outliers(beside: int) -> None:
    """A peak on a public holiday, its eve or the day after it stays as it is."""
    known = outlook_of(LENGTH, holidays={"feast": on(LENGTH, SPIKE + beside)})
    assert hold_outliers(panel_of(spiked()), known).count == 0


def test_promotions_are_no_outliers() -> None:
    """A peak on a day of the product's own promotion stays; another product's promotion explains nothing."""
    panel = panel_of(spiked())
    promo = np.zeros((PRODUCTS, LENGTH))
    promo[1, SPIKE] = 1
    known = outlook_of(LENGTH, by_product={"promo": promo}, products=panel.products)
    assert hold_outliers(panel, known).count == 0
    others = replace(known, by_product={"promo": promo[[1, 0, 2, 3]]})
    assert hold_outliers(panel, others).count == 1


def test_how_things_usually_are_explains_nothing() -> None:
    """An indicator that is on most days, and a temperature, are no events."""
    usual_state = (np.arange(LENGTH) % 2).astype(float)
    known = outlook_of(LENGTH, covariates={"open late": usual_state, "temperature": np.arange(LENGTH) * 1.0})
    assert hold_outliers(panel_of(spiked()), known).count == 1


def test_what_happens_twice_is_demand() -> None:
    """Two equal peaks within four weeks are orders, not mistakes."""
    units = spiked()
    units[1, SPIKE + 21] = units[1, SPIKE]
    assert hold_outliers(panel_of(units), KNOWN).count == 0


def test_an_order_of_what_is_seldom_sold_is_demand() -> None:
    """Fifty units of a product that sells one on every third day stay; of one that sells three a day they do not."""
    units = demand(LENGTH, PRODUCTS)
    units[1] = np.arange(LENGTH) % 3 == 0
    units[2] = 3
    units[1:3, SPIKE] = 50
    assert np.argwhere(hold_outliers(panel_of(units), KNOWN).days).tolist() == [[2, SPIKE]]


def test_a_peak_of_every_year_is_a_season() -> None:
    """A peak that was there on nearly the same day a year before stays, both times."""
    length = 800
    units = demand(length, PRODUCTS)
    units[1, [200, 200 + 366]] *= 10
    known = outlook_of(length)
    assert hold_outliers(panel_of(units), known).count == 0
    units[1, 200] /= 10
    assert np.argwhere(hold_outliers(panel_of(units), known).days).tolist() == [[1, 566]]


def test_a_new_level_is_no_outlier() -> None:
    """Sales that double from a day on, and stay so, are not held back on any day but at most the first."""
    units = demand(LENGTH, PRODUCTS)
    units[1, 120:] *= 2
    for stop in (121, 122, 128, LENGTH):
        panel = panel_of(units[:, :stop])
        assert hold_outliers(panel, KNOWN).count == 0


@pytest.mark.parametrize("units", SILENT)
def test_histories_that_say_nothing_are_left_alone(units: Floats) -> None:
    """Silent, unknown and short histories have no outliers, and make no error."""
    panel = panel_of(units)
    held = hold_outliers(panel, KNOWN)
    assert held.count == 0
    np.testing.assert_array_equal(held.panel.quantity, panel.quantity)


def test_the_usual_against_a_loop() -> None:
    """The median of the same weekdays of eight weeks on either side, without the day, against the plain definition."""
    rng = np.random.default_rng(5)
    units = np.where(rng.random((3, 150)) < 0.2, NAN, rng.poisson(9, (3, 150)))
    found, largest = same_weekdays(units), largest_other(units)
    for row, day in np.ndindex(units.shape):
        weeks = [day + 7 * k for k in range(-8, 9) if k and 0 <= day + 7 * k < 150]
        same = [units[row, at] for at in weeks if np.isfinite(units[row, at])]
        np.testing.assert_equal(found[row, day], np.median(same) if len(same) >= 4 else NAN)
        near = [units[row, at] for at in range(max(day - 28, 0), min(day + 29, 150)) if at != day]
        np.testing.assert_equal(largest[row, day], np.nanmax(near))


def test_the_rule_is_the_one_that_is_stated() -> None:
    """A day just beyond the limits is held back, one just short of either is not."""
    units = np.full((1, LENGTH), 100.0)
    limit = max(100 + FAR * 10, ALONE * 100)
    assert hold_outliers(panel_of(_with(units, limit + 1)), KNOWN).count == 1
    assert hold_outliers(panel_of(_with(units, limit - 1)), KNOWN).count == 0


def _with(units: Floats, value: float) -> Floats:
    changed = units.copy()
    changed[0, SPIKE] = value
    return changed


def test_explained_days_are_those_of_the_product() -> None:
    """A by-product event marks its product alone, in the order of the panel; a holiday marks all."""
    panel = panel_of(demand(LENGTH, 2))
    promo = np.zeros((2, LENGTH))
    promo[0, 7] = 1
    known = outlook_of(LENGTH, holidays={"feast": on(LENGTH, 50)}, by_product={"promo": promo}, products=("p1", "p0"))
    fair = [49, 50, 51]
    assert [np.flatnonzero(row).tolist() for row in explained(panel, known)] == [fair, [7, *fair]]
