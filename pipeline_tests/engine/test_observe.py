"""From the daily table to the panel: each rule of what a day without sales means."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.closing import closed_ahead
from pipeline.engine.observe import Ledgered, lay_out, observe
from pipeline.engine.panel import Panel, Status
from pipeline.errors import DataError
from pipeline.training.fingerprint import fingerprints
from pipeline_tests.engine.builders import MONDAY, NAN, daily, days, demand, on, outlook_of, sold_daily

WEEKS = 10
LENGTH = 7 * WEEKS


def shop(closed: tuple[int, ...] = (), level: float = 50.0) -> np.ndarray:
    """Return (2, 70) units of a shop, 0 on the closed days."""
    units = np.full((2, LENGTH), level)
    units[:, list(closed)] = 0
    return units


def observed(units: np.ndarray, **known: object) -> Panel:
    """Return the panel of a daily table that has no row where nothing was sold."""
    return observe(lay_out(sold_daily(units)), outlook_of(LENGTH, **known))


def test_a_product_without_a_row_on_an_open_day_is_zero() -> None:
    """Where another product of the shop sold, a day without a row is zero sales."""
    units = shop()
    units[0, 20] = 0
    panel = observed(units)
    assert panel.status[0, 20] == Status.ZERO
    assert panel.quantity[0, 20] == 0.0


def test_a_silent_day_that_nothing_explains_is_unknown() -> None:
    """A day on which the whole shop sold nothing, for no known reason, is no observation."""
    panel = observed(shop(closed=(20,)))
    assert (panel.status[:, 20] == Status.UNKNOWN).all()
    assert np.isnan(panel.quantity[:, 20]).all()


def test_a_configured_closing_day_is_closed() -> None:
    """A silent day that the configuration closes is closed."""
    panel = observed(shop(closed=(20,)), closed=on(LENGTH, 20))
    assert (panel.status[:, 20] == Status.CLOSED).all()
    assert np.isnan(panel.quantity[:, 20]).all()


def test_a_silent_public_holiday_is_closed() -> None:
    """A silent day that is a public holiday is closed."""
    panel = observed(shop(closed=(20,)), holidays={"Christmas": on(LENGTH, 20)})
    assert (panel.status[:, 20] == Status.CLOSED).all()


def test_sales_on_a_day_that_should_be_closed_are_sales() -> None:
    """Where something was sold neither configuration nor holiday makes the day closed."""
    panel = observed(shop(), closed=on(LENGTH, 20), holidays={"Fair": on(LENGTH, 30)})
    assert (panel.status == Status.SOLD).all()


def test_a_weekday_that_is_usually_silent_is_closed() -> None:
    """A shop that is never open on Sundays is closed on them, from the first to the last, and on no other day."""
    sundays = tuple(range(6, LENGTH, 7))
    panel = observed(np.pad(shop(closed=sundays)[:, :-1], ((0, 0), (0, 1)), constant_values=0)[:, :LENGTH])
    seen = panel.status[0]
    assert [day for day in range(len(seen)) if seen[day] == Status.CLOSED] == [d for d in sundays if d < len(seen)]


def test_a_changed_closing_weekday_is_followed() -> None:
    """A shop that moves its day off from Sunday to Monday is closed on each while it lasts."""
    length = 7 * 40
    units = np.full((2, length), 50.0)
    units[:, 6 : length // 2 : 7] = 0
    units[:, length // 2 :: 7] = 0
    panel = observe(lay_out(sold_daily(units)), outlook_of(length))
    silent = units[0] == 0
    assert (panel.status[0][silent] == Status.CLOSED).mean() > 0.9
    assert (panel.status[0][~silent] == Status.SOLD).all()


@pytest.mark.parametrize("length", [1, 6, 8, 20, 30, 45, 56, 57])
def test_a_short_history_is_observed(length: int) -> None:
    """However few days there are, silent ones included, each gets its meaning."""
    units = np.full((1, length), 50.0)
    units[:, 3:-1:7] = 0
    panel = observe(lay_out(sold_daily(units)), outlook_of(length))
    np.testing.assert_array_equal(panel.observed, units > 0)


def test_a_day_of_reported_zeros_is_closed() -> None:
    """A shop whose rows all say zero has told that it was closed: that is knowledge, not silence."""
    units = shop(closed=(20,))
    table = pd.concat([sold_daily(units), daily([("p0", 20, 0.0), ("p1", 20, 0.0)])])
    panel = observe(lay_out(table), outlook_of(LENGTH))
    assert (panel.status[:, 20] == Status.CLOSED).all()


def test_a_small_shop_has_zeros_instead_of_silence() -> None:
    """Where a usual day has fewer than 10 units, a day without any is a zero day, even on a usual day off."""
    panel = observed(shop(closed=(20, *range(6, LENGTH - 7, 7)), level=4.0), closed=on(LENGTH, 20))
    assert (panel.status[:, 20] == Status.ZERO).all()
    assert (panel.quantity[:, 6] == 0).all()


def test_size_is_judged_by_the_median_open_day() -> None:
    """Ten units on a usual day are enough for silence to mean something, whatever single days bring."""
    units = shop(closed=(20,), level=5.0)
    assert observed(units).status[0, 20] == Status.UNKNOWN
    units[:, 30] = 10_000
    units[0, :10] = 4.0
    assert observed(units).status[0, 20] == Status.UNKNOWN


def test_before_its_first_row_a_product_does_not_exist() -> None:
    """Days before a product's first row are `BEFORE`, though its shop was open."""
    units = shop()
    units[1, :15] = 0
    panel = observed(units)
    assert (panel.status[1, :15] == Status.BEFORE).all()
    assert np.isnan(panel.quantity[1, :15]).all()
    assert panel.status[1, 15] == Status.SOLD


def test_before_its_first_row_a_product_has_its_shops_days() -> None:
    """What the shop did on a day is known of every product of it, also of one that had not begun."""
    units = shop(closed=(5, 20))
    units[1, :30] = 0
    units[0, 10] = 0
    units[1, 40] = 0
    panel = observed(units, closed=on(LENGTH, 5))
    np.testing.assert_array_equal(panel.shop_status[0], panel.shop_status[1])
    days_off = {5: Status.CLOSED, 10: Status.UNKNOWN, 20: Status.UNKNOWN}
    assert {day: panel.shop_status[1, day] for day in days_off} == days_off
    assert (np.delete(panel.shop_status[1], list(days_off)) == Status.SOLD).all()


def test_reported_zeros_before_the_first_sale_begin_a_product() -> None:
    """A product begins with its first row, which may say zero."""
    table = pd.concat([sold_daily(shop()), daily([("new", 10, 0.0), ("new", 12, 3.0)])])
    panel = observe(lay_out(table), outlook_of(LENGTH))
    row = panel.products.index("new")
    assert panel.status[row, 9:13].tolist() == [Status.BEFORE, Status.ZERO, Status.ZERO, Status.SOLD]


def test_zeros_before_a_shop_ever_sold_are_before() -> None:
    """Rows of zeros before a shop's first sale are no observations: it had not opened."""
    table = pd.concat([daily([("p0", 0, 0.0), ("p0", 1, 0.0)]), sold_daily(shop(closed=(0, 1)))])
    panel = observe(lay_out(table), outlook_of(LENGTH))
    assert (panel.status[:, :2] == Status.BEFORE).all()


@pytest.mark.parametrize(
    ("column", "off", "usual"), [("sold_out", True, False), ("sold_out", True, None), ("available", False, True)]
)
def test_sold_out_and_unavailable_days_are_masked(column: str, off: bool, usual: bool | None) -> None:
    """A day that is marked as sold out or not on sale is no observation, though units stand in it."""
    table = sold_daily(shop())
    marked = (table["product_id"] == "p0") & (table["date"] == MONDAY + pd.Timedelta(days=20))
    table[column] = pd.Series(np.where(marked, off, usual), dtype="boolean", index=table.index)
    panel = observe(lay_out(table), outlook_of(LENGTH))
    assert panel.status[0, 20] == Status.MASKED
    assert np.isnan(panel.quantity[0, 20])
    assert (panel.status != Status.MASKED).sum() == panel.status.size - 1


def test_a_zero_without_a_price_is_masked_where_prices_are_given() -> None:
    """Where most rows have a price, a zero row without one was not on sale; a sale without one counts."""
    table = sold_daily(np.where(np.arange(LENGTH) == 20, [[0.0], [50.0]], 50.0), drop_zeros=False)
    table["unit_price"] = np.where(table["date"] == MONDAY + pd.Timedelta(days=20), NAN, 2.5)
    panel = observe(lay_out(table), outlook_of(LENGTH))
    assert panel.status[:, 20].tolist() == [Status.MASKED, Status.SOLD]


def test_missing_prices_say_nothing_where_most_are_missing() -> None:
    """Where prices are an exception, a zero without one stays a zero."""
    table = sold_daily(np.where(np.arange(LENGTH) == 20, [[0.0], [50.0]], 50.0), drop_zeros=False)
    table["unit_price"] = np.where(np.arange(len(table)) % 3 == 0, 2.5, NAN)
    assert observe(lay_out(table), outlook_of(LENGTH)).status[0, 20] == Status.ZERO


def test_whether_prices_are_usual_is_judged_by_the_rows_so_far() -> None:
    """A zero without a price is masked while most rows have one, whatever share of the later rows does."""
    table = sold_daily(np.where(np.arange(LENGTH) == 20, [[0.0], [50.0]], 50.0), drop_zeros=False)
    day = (table["date"] - MONDAY).dt.days
    table["unit_price"] = np.where((day == 20) | (day >= 30), NAN, 2.5)
    sales = lay_out(table)
    found = [observe(sales, outlook_of(LENGTH), sales.dates[at]).status[0, 20] for at in (20, 29, LENGTH - 1)]
    assert found == [Status.MASKED, Status.MASKED, Status.ZERO]


def test_locations_are_shops_of_their_own() -> None:
    """Silence is judged by location: one shop's sales do not make another's silent day a zero."""
    units = shop()
    units[[0, 1], [20, 30]] = 0
    table = sold_daily(units)
    table["location_id"] = np.where(table["product_id"] == "p0", "north", "south")
    panel = observe(lay_out(table), outlook_of(LENGTH))
    assert panel.status[:, 20].tolist() == [Status.UNKNOWN, Status.SOLD]
    assert panel.status[:, 30].tolist() == [Status.SOLD, Status.UNKNOWN]
    assert panel.location == ("north", "south")


def test_units_of_a_product_at_two_locations_add_up() -> None:
    """A product that is sold at two locations has the sum of both, and belongs to neither."""
    both = pd.concat([daily([("p", 0, 3.0), ("p", 1, 1.0)], location_id="a"), daily([("p", 0, 4.0)], location_id="b")])
    sales = lay_out(both)
    assert sales.quantity.tolist() == [[7.0, 1.0]]
    assert observe(sales, outlook_of(2)).location == (None,)


def test_labels_are_a_products_only_value() -> None:
    """A label is taken where a product has one value only; missing values do not count as one."""
    table = daily([("a", 0, 1.0), ("a", 1, 1.0), ("b", 0, 1.0), ("b", 1, 1.0)])
    table["category"] = ["bread", None, "bread", "cake"]
    panel = observe(lay_out(table), outlook_of(2))
    assert panel.category == ("bread", None)
    assert panel.name == (None, None)


def test_labels_are_those_of_the_day() -> None:
    """A product has no label before a row gives one, and keeps it until the day on which another row disagrees."""
    table = daily([("a", 0, 1.0), ("a", 2, 1.0), ("a", 4, 1.0), ("a", 6, 1.0)])
    table["category"] = [None, "bread", "cake", "bread"]
    sales = lay_out(table)
    found = [observe(sales, outlook_of(7), day).category for day in sales.dates]
    assert found == [(None,), (None,), ("bread",), ("bread",), (None,), (None,), (None,)]


def test_a_product_that_moves_was_in_its_first_shop_until_then() -> None:
    """As of the days before a product's first row at a second location, the first one's silence is its silence."""
    north, south = np.full(LENGTH, 50.0), np.full(LENGTH, 50.0)
    north[20] = 0
    table = sold_daily(np.vstack([north, south]), ("bread", "cake"))
    table["location_id"] = np.where(table["product_id"] == "bread", "north", "south")
    moved = (table["product_id"] == "bread") & (table["date"] >= MONDAY + pd.Timedelta(days=60))
    table.loc[moved, "location_id"] = "south"
    sales = lay_out(table)
    before, after = (observe(sales, outlook_of(LENGTH), sales.dates[day]) for day in (59, 60))
    assert (before.location, before.status[0, 20]) == (("north", "south"), Status.UNKNOWN)
    assert (after.location, after.status[0, 20]) == ((None, "south"), Status.ZERO)


def test_the_axis_ends_where_it_is_told() -> None:
    """Rows after the last day are left out, and the axis runs to it even where there are no rows."""
    table = daily([("p", 0, 1.0), ("p", 2, 5.0)])
    assert lay_out(table, MONDAY + pd.Timedelta(days=1)).quantity.tolist() == [[1.0, 0.0]]
    assert lay_out(table, MONDAY + pd.Timedelta(days=4)).quantity.tolist() == [[1.0, 0.0, 5.0, 0.0, 0.0]]


def test_no_sales_at_all_are_an_error() -> None:
    """A table without a row up to the last day is an error that names the day."""
    with pytest.raises(DataError, match="no sales up to 2022-12-30"):
        lay_out(daily([("p", 0, 1.0)]), pd.Timestamp("2022-12-30"))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**16), length=st.integers(8, 150), share=st.sampled_from([0.1, 0.4, 0.6]))
def test_the_weekday_rule_against_a_loop(seed: int, length: int, share: float) -> None:
    """A silent day is closed where at least half of its eight neighbours on either side were silent too."""
    silent = np.random.default_rng(seed).random(length) < share
    silent[[0, -1]] = False
    panel = observe(lay_out(sold_daily(np.where(silent, 0.0, np.full((1, length), 50.0)))), outlook_of(length))
    for day in range(length):
        same = [silent[day + 7 * k] for k in range(-8, 9) if k and 0 <= day + 7 * k < length]
        usual = Status.CLOSED if same and sum(same) >= len(same) / 2 else Status.UNKNOWN
        assert panel.status[0, day] == (usual if silent[day] else Status.SOLD)


@settings(max_examples=80, deadline=None)
@given(origin=st.integers(10, LENGTH - 1), seed=st.integers(0, 2**16), later=st.integers(0, 2**16))
def test_nothing_after_the_origin_is_looked_at(origin: int, seed: int, later: int) -> None:
    """Whatever rows follow an origin, in whatever order, nothing of the panel as of it changes by a bit."""
    day = MONDAY + pd.Timedelta(days=origin)
    past, future = sold_at_random(seed), sold_at_random(later, settled=False)
    past, future = past[past["date"] <= day], future[future["date"] > day]
    outlook = outlook_of(LENGTH + 14, holidays={"h": on(LENGTH + 14, 20, LENGTH + 2)}, closed=on(LENGTH + 14, 30))
    alone = observe(lay_out(past, day), outlook)
    rows = pd.concat([past, future]).sample(frac=1, random_state=seed)
    whole = observe(lay_out(rows, MONDAY + pd.Timedelta(days=LENGTH - 1)), outlook, day)
    known = whole.take([whole.row[product] for product in alone.products])
    assert known.last == alone.last == day
    for name in ("quantity", "status", "shop_status"):
        np.testing.assert_array_equal(getattr(known, name), getattr(alone, name), name)
    for name in ("category", "location", "name"):
        assert getattr(known, name) == getattr(alone, name)
    assert fingerprints(known) == fingerprints(alone)
    np.testing.assert_array_equal(closed_ahead(known, outlook, 14), closed_ahead(alone, outlook, 14))


def sold_at_random(seed: int, settled: bool = True) -> pd.DataFrame:
    """Return a table with every column; of settled products most have one label each, of others any."""
    rng = np.random.default_rng(seed)
    rest, price_share = rng.integers(0, 8), rng.choice([0.1, 0.9])
    sold = rng.random((5, LENGTH)) < rng.choice([0.3, 0.9])
    sold[:, (np.arange(LENGTH) % 7 == rest) | (rng.random(LENGTH) < 0.1)] = False
    sold[:, 0] = rng.random(5) < 0.5
    sold[0, 0] = True
    product, day = np.nonzero(sold)
    product = product if settled else product + rng.integers(0, 3)
    table = daily([(f"p{of}", at, 0.0) for of, at in zip(product, day, strict=True)])
    table["quantity"] = rng.poisson(rng.choice([1.0, 20.0]), len(table)).astype(float)
    for column in ("location_id", "category", "product_name"):
        own, stray = product % 3, rng.integers(0, 3, len(table))
        label = np.where(rng.random(len(table)) < (0.01 if settled else 0.5), stray, own)
        missing = rng.random(len(table)) < rng.choice([0.0, 0.02])
        table[column] = np.where(missing, None, np.array(["x", "y", "z"], object)[label])
    table["unit_price"] = np.where(rng.random(len(table)) < price_share, 2.5, NAN)
    table["sold_out"] = rng.random(len(table)) < 0.05
    return table


def laid_out(units: np.ndarray) -> Ledgered:
    """Return the arrays of a table that ends with the units' last day; on its first day something was sold."""
    units[0, 0] = max(units[0, 0], 1.0)
    return lay_out(sold_daily(units), MONDAY + pd.Timedelta(days=units.shape[1] - 1))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_every_day_has_one_meaning(seed: int) -> None:
    """A number stands exactly on the days that are sold or zero, positive on the sold ones alone."""
    rng = np.random.default_rng(seed)
    units = demand(LENGTH, level=rng.choice([1.0, 10.0]), seed=seed) * (rng.random((3, LENGTH)) < 0.6)
    panel = observe(laid_out(units), outlook_of(LENGTH))
    assert panel.quantity.shape == units.shape
    seen = np.isin(panel.status, (Status.SOLD, Status.ZERO))
    np.testing.assert_array_equal(np.isfinite(panel.quantity), seen)
    np.testing.assert_array_equal(np.nan_to_num(panel.quantity) > 0, panel.status == Status.SOLD)
    np.testing.assert_array_equal(np.nan_to_num(panel.quantity), units)


def test_a_product_of_one_shop_is_judged_by_all_that_the_shop_sells() -> None:
    """Bread is sold in two shops, cake in one: a day without cake is zero while that shop sells bread."""
    dates = days(60)
    bread = [
        pd.DataFrame({"product_id": "bread", "date": dates, "quantity": 50.0, "location_id": shop}) for shop in "AB"
    ]
    cake = pd.DataFrame({"product_id": "cake", "date": dates[::3], "quantity": 30.0, "location_id": "A"})
    panel = observe(lay_out(pd.concat([*bread, cake], ignore_index=True)), outlook_of(60))
    row = panel.products.index("cake")
    assert (panel.status[row][1:57:3] == Status.ZERO).all()
    assert not (panel.status == Status.UNKNOWN).any()


def test_history_begins_after_a_long_silence() -> None:
    """Rows before more than 400 silent days leave no trace but the names of their products."""
    units = demand(60)
    table = sold_daily(units)
    stray = daily([("p0", -401, 7.0), ("p1", -5000, 3.0), ("ghost", -5000, 3.0)])
    found, expected = (observe(lay_out(rows), outlook_of(70)) for rows in (pd.concat([table, stray]), table))
    assert found.products == ("ghost", "p0", "p1", "p2")
    assert found.dates.equals(expected.dates)
    np.testing.assert_array_equal(found.quantity[1:], expected.quantity)
    assert (found.status[0] == Status.BEFORE).all()
    near = observe(lay_out(pd.concat([table, daily([("p0", -400, 7.0)])])), outlook_of(500, "2021-01-01"))
    assert len(near.dates) == 460
