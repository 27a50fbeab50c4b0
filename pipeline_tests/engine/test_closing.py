"""Which coming days are taken to be closed."""

from __future__ import annotations

import numpy as np

from pipeline.engine.closing import closed_ahead
from pipeline.engine.observe import lay_out, observe
from pipeline.engine.panel import Outlook, Panel
from pipeline_tests.engine.builders import daily, days, on, outlook_of, sold_daily

LENGTH, HORIZON = 7 * 60, 14
WHOLE = LENGTH + HORIZON


def seen(closed: np.ndarray, outlook: Outlook) -> Panel:
    """Return the panel of a shop of two products that sold nothing on the closed days."""
    table = sold_daily(np.where(closed, 0.0, np.full((2, LENGTH), 50.0)))
    return observe(lay_out(table, days(LENGTH)[-1]), outlook)


def ahead(closed: np.ndarray, outlook: Outlook) -> list[int]:
    """Return the days ahead, from 1, that both products are taken to be closed on."""
    found = closed_ahead(seen(closed, outlook), outlook, HORIZON)
    assert found.shape == (2, HORIZON)
    np.testing.assert_array_equal(found[0], found[1])
    return (np.flatnonzero(found[0]) + 1).tolist()


def test_nothing_is_closed_without_a_reason() -> None:
    """A shop that was open every day will be."""
    assert ahead(np.zeros(LENGTH, bool), outlook_of(WHOLE)) == []


def test_configured_days_are_closed() -> None:
    """Days that the configuration closes are closed ahead, and no others."""
    assert ahead(np.zeros(LENGTH, bool), outlook_of(WHOLE, closed=on(WHOLE, 5, LENGTH, LENGTH + 9))) == [1, 10]


def test_the_weekday_off_is_learnt() -> None:
    """A shop that was closed on the Sundays of the last weeks will be on the next ones."""
    closed = np.arange(LENGTH) % 7 == 6
    assert ahead(closed, outlook_of(WHOLE)) == [7, 14]


def test_a_weekday_off_of_long_ago_is_forgotten() -> None:
    """What was closed until nine weeks ago and open since will be open."""
    closed = (np.arange(LENGTH) % 7 == 6) & (np.arange(LENGTH) < LENGTH - 63)
    assert ahead(closed, outlook_of(WHOLE)) == []


def test_half_of_the_weekdays_closed_is_not_mostly() -> None:
    """A weekday that was closed every second week is open ahead: a loaf too many beats a shut door."""
    closed = np.arange(WHOLE) % 14 == 6
    closed[LENGTH:] = False
    assert ahead(closed[:LENGTH], outlook_of(WHOLE, closed=closed)) == []


def test_the_holiday_is_learnt_from_its_past_days() -> None:
    """A holiday that the shop was closed on is closed ahead; one that it opened on is open."""
    outlook = outlook_of(WHOLE, holidays={"Closed": on(WHOLE, 100, LENGTH + 2), "Open": on(WHOLE, 150, LENGTH + 4)})
    assert ahead(on(LENGTH, 100), outlook) == [3]


def test_a_holiday_that_never_was_is_open() -> None:
    """A holiday without a past day in the history says nothing."""
    assert ahead(np.zeros(LENGTH, bool), outlook_of(WHOLE, holidays={"New": on(WHOLE, LENGTH + 2)})) == []


def test_an_unknown_day_is_no_evidence() -> None:
    """Silence that nothing explains closes no day ahead."""
    closed = on(LENGTH, LENGTH - 8, LENGTH - 22)
    assert ahead(closed, outlook_of(WHOLE)) == []


def test_shops_are_closed_apart() -> None:
    """A weekday off of one shop does not close another."""
    sold = np.full((2, LENGTH), 50.0)
    sold[0, 6::7] = 0
    table = sold_daily(sold)
    table["location_id"] = table["product_id"]
    outlook = outlook_of(WHOLE)
    found = closed_ahead(observe(lay_out(table, days(LENGTH)[-1]), outlook), outlook, HORIZON)
    assert [np.flatnonzero(row).tolist() for row in found] == [[6, 13], []]


def test_one_closed_week_is_no_rule() -> None:
    """A single observed day of a weekday decides nothing."""
    panel = seen(np.zeros(LENGTH, bool), outlook_of(WHOLE)).take([0])
    week = Panel(panel.products, panel.dates[:9], panel.quantity[:, :9].copy(), panel.status[:, :9].copy())
    week.quantity[0, 5], week.status[0, 5] = np.nan, 3
    assert not closed_ahead(week, outlook_of(WHOLE), HORIZON).any()


def test_a_holiday_on_a_day_of_rest_says_nothing_of_the_holiday() -> None:
    """A holiday that was closed only because it fell on a Sunday does not close its next weekday."""
    count = 400
    sundays = np.arange(count) % 7 == 6
    units = np.where(sundays, 0.0, 40.0)
    feast = on(count + 14, 6 + 7 * 20, count + 1)
    outlook = outlook_of(count + 14, holidays={"Feast": feast})
    sales = lay_out(sold_daily(units[None], drop_zeros=False))
    assert len(sales.dates) == count
    ahead = closed_ahead(observe(sales, outlook), outlook, 7)[0]
    assert not ahead[1]
    assert ahead.tolist() == [(count + k) % 7 == 6 for k in range(7)]


def grown(count: int, rows: list[tuple[str, int]], closed: np.ndarray, outlook: Outlook) -> Panel:
    """Return the panel of products that sell 50 a day from their first day on, except on closed days."""
    cells = [(product, day, 50.0) for product, first in rows for day in range(first, count) if not closed[day]]
    return observe(lay_out(daily(cells), days(count)[-1]), outlook)


def test_a_product_of_a_few_days_rests_with_its_shop() -> None:
    """A product that has not seen one Sunday yet is closed on the next, like all that its shop sells."""
    sundays = np.arange(LENGTH) % 7 == 6
    panel = grown(LENGTH - 1, [("new", LENGTH - 6), ("old", 0)], sundays, outlook_of(WHOLE))
    found = closed_ahead(panel, outlook_of(WHOLE), 7)
    assert found.tolist() == [[day == 0 for day in range(7)]] * 2


def test_a_holiday_before_a_product_began_is_learnt() -> None:
    """The holiday on which the shop was shut last year closes it this year for what is on sale since the spring."""
    christmas = on(WHOLE, 50, LENGTH + 3)
    outlook = outlook_of(WHOLE, holidays={"Christmas": christmas})
    panel = grown(LENGTH, [("old", 0), ("since_spring", 120)], christmas, outlook)
    assert [np.flatnonzero(row).tolist() for row in closed_ahead(panel, outlook, HORIZON)] == [[3], [3]]


def test_a_holiday_that_the_shop_mostly_opened_on_is_open_for_a_young_product() -> None:
    """Holidays on which the shop sold count as open days, though a product was not on sale yet."""
    feast, closed = on(WHOLE, 50, 100, 150, LENGTH + 3), on(LENGTH, 50)
    outlook = outlook_of(WHOLE, holidays={"Feast": feast})
    panel = grown(LENGTH, [("old", 0), ("young", 200)], closed, outlook)
    assert not closed_ahead(panel, outlook, HORIZON).any()


def test_a_product_taken_alone_knows_its_shops_closings() -> None:
    """A product that goes to a worker without the others is closed on the same days, in any cut of the history."""
    sundays = np.arange(LENGTH) % 7 == 6
    outlook = outlook_of(WHOLE)
    panel = grown(LENGTH, [("new", LENGTH - 20), ("old", 0)], sundays, outlook)
    together = closed_ahead(panel, outlook, HORIZON)
    alone = panel.take([0])
    np.testing.assert_array_equal(closed_ahead(alone, outlook, HORIZON), together[:1])
    origin = days(LENGTH)[-16]
    assert closed_ahead(alone.until(origin), outlook, 7)[0].tolist() == [(LENGTH - 15 + k) % 7 == 6 for k in range(7)]


def test_a_product_that_is_sold_out_on_open_days_is_not_closed() -> None:
    """Days on which a product could not be had are no closings, nor do they hide those of its shop."""
    sundays = np.arange(LENGTH) % 7 == 6
    table = sold_daily(np.where(sundays, 0.0, np.full((2, LENGTH), 50.0)))
    table["sold_out"] = (table["product_id"] == "p0") & (table["date"] > days(LENGTH)[-30])
    outlook = outlook_of(WHOLE)
    found = closed_ahead(observe(lay_out(table, days(LENGTH)[-1]), outlook), outlook, HORIZON)
    assert [np.flatnonzero(row).tolist() for row in found] == [[6, 13], [6, 13]]
