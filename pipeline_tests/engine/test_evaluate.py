"""Rolling-origin evaluation: nothing later is seen, faults stay where they are, figures add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from contracts import DemandClass, Metrics
from pipeline.engine.combination import EQUAL, NAIVE
from pipeline.engine.evaluate import OriginForecasts, Task, among, at_origin, bands_of, nested, of_volume, score, table
from pipeline.engine.intervals import FALLBACK, LEVELS, spread
from pipeline.engine.metrics import measure, pinball_losses
from pipeline.engine.observe import lay_out
from pipeline.engine.panel import Outlook
from pipeline_tests.engine.builders import MONDAY, NAN, days, demand, on, outlook_of, sold_daily

LENGTH, HORIZON = 140, 14
ORIGIN = MONDAY + pd.Timedelta(days=LENGTH - HORIZON - 1)
FAST = ("seasonal_naive", "linear")


def task_of(units: np.ndarray, known: Outlook | None = None, **changes: object) -> Task:
    """Return a task at 14 days before the end of (n, 140) units."""
    sales = lay_out(sold_daily(units), days(units.shape[1])[-1])
    standard = Task(sales, known or outlook_of(units.shape[1] + HORIZON), ORIGIN, HORIZON, FAST, {}, 30)
    return replace(standard, **changes)


@pytest.mark.parametrize("families", [FAST, (*FAST, "lightgbm")])
def test_nothing_after_the_origin_is_seen(families: tuple[str, ...]) -> None:
    """Other sales after the origin change what is scored against, and no forecast, scale or class by a bit."""
    units = demand(LENGTH)
    other = units.copy()
    other[:, -HORIZON:] = 700
    one, two = (at_origin(task_of(u, families=families)) for u in (units, other))
    for name in families:
        np.testing.assert_array_equal(one.families[name], two.families[name])
    for name in ("combined", "scale", "difference", "squared"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.classes == two.classes
    np.testing.assert_array_equal(one.actual, units[:, -HORIZON:])
    assert (two.actual == 700).all()


def test_the_combination_is_that_of_its_families() -> None:
    """Where all families can, the combination is the mean of the voices."""
    one = at_origin(task_of(demand(LENGTH), families=(*FAST, "lightgbm")))
    np.testing.assert_allclose(one.combined, (one.families["linear"] + one.families["lightgbm"]) / 2)


def test_closed_days_are_forecast_as_zero_and_not_scored() -> None:
    """On a weekday off every family forecasts 0, and the day is no actual."""
    units = demand(LENGTH)
    units[:, 6::7] = 0
    one = at_origin(task_of(units))
    sundays = np.arange(LENGTH - HORIZON, LENGTH) % 7 == 6
    assert all((made[:, sundays] == 0).all() for made in one.families.values())
    assert (one.combined[:, sundays] == 0).all()
    assert np.isnan(one.actual[:, sundays]).all()
    assert (one.combined[:, ~sundays] > 0).all()


def test_days_after_the_last_sales_are_not_scored() -> None:
    """At an origin nearer to the end than the horizon only the days that have come are actuals."""
    late = ORIGIN + pd.Timedelta(days=10)
    one = at_origin(task_of(demand(LENGTH), origin=late))
    assert np.isfinite(one.actual[:, :4]).all()
    assert np.isnan(one.actual[:, 4:]).all()


def test_unknown_days_are_not_scored_unless_asked_for() -> None:
    """A silent day is no actual; for comparison with others it can be made to count as zero."""
    units = demand(LENGTH)
    units[:, LENGTH - 3] = 0
    assert np.isnan(at_origin(task_of(units)).actual[:, -3]).all()
    assert (at_origin(task_of(units, zeros_count=True)).actual[:, -3] == 0).all()


def test_only_products_with_enough_days_take_part() -> None:
    """A product one day short at the origin is left out, whatever it sold later; none at all is no error."""
    units = demand(LENGTH)
    units[1, : LENGTH - HORIZON - 29] = 0
    assert at_origin(task_of(units)).products == ("p0", "p2")
    assert at_origin(task_of(units, min_days=29)).products == ("p0", "p1", "p2")
    nobody = at_origin(task_of(units, min_days=1000, families=(*FAST, "lightgbm")))
    assert (nobody.products, nobody.combined.shape, score([nobody])) == ((), (0, HORIZON), Metrics(n=0))


def test_discontinued_products_are_neither_fitted_nor_scored() -> None:
    """What has not sold for ninety days lends neither its zeros to the trees nor its errors of 0 to the figures."""
    units = demand(LENGTH + 60, products=4)
    given_up = units.copy()
    given_up[3, 60:] = 0
    origin = ORIGIN + pd.Timedelta(days=60)
    whole = at_origin(task_of(given_up, origin=origin, families=(*FAST, "lightgbm")))
    without = at_origin(task_of(units[:3], origin=origin, families=(*FAST, "lightgbm")))
    assert whole.products == without.products == ("p0", "p1", "p2")
    np.testing.assert_array_equal(whole.combined, without.combined)


def test_active_days_ask_for_recent_sales_and_count_from_the_first_row() -> None:
    """With `active_days` masked and closed days count as history, and a product must have sold lately."""
    units = demand(LENGTH)
    units[1, 20:] = 0
    units[1, [-HORIZON - 20, -HORIZON - 5]] = 3
    assert at_origin(task_of(units, active_days=2)).products == ("p0", "p1", "p2")
    assert at_origin(task_of(units, active_days=3)).products == ("p0", "p2")
    units[:, 5:30] = 0
    assert at_origin(task_of(units, active_days=1, min_days=LENGTH - HORIZON)).products == ("p0", "p1", "p2")
    assert at_origin(task_of(units, min_days=LENGTH - HORIZON)).products == ()


def test_products_that_hardly_sell_get_the_naive_alone() -> None:
    """Above the allowed share of zeros only the seasonal naive forecasts."""
    units = demand(LENGTH)
    units[1, np.arange(LENGTH) % 20 != 3] = 0
    units[1, 0] = 1
    one = at_origin(task_of(units, max_zero_share=0.9, families=(*FAST, "lightgbm")))
    assert np.isnan(one.families["linear"]).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(one.families["lightgbm"]).all(axis=1).tolist() == [False, True, False]
    np.testing.assert_array_equal(one.combined[1], one.families[NAIVE][1])
    assert not one.faults


def scored(count: int = 5, products: int = 30, step: int = HORIZON, seed: int = 0) -> list[OriginForecasts]:
    """Return origins with forecasts of 100 and errors drawn alike."""
    rng = np.random.default_rng(seed)
    y_hat, scale = np.full((products, HORIZON), 100.0), np.full(products, 5.0)
    return [
        OriginForecasts(
            MONDAY + pd.Timedelta(days=step * number),
            tuple(f"p{row}" for row in range(products)),
            y_hat + rng.standard_normal(y_hat.shape) * spread(scale, y_hat),
            {NAIVE: y_hat + 1, "linear": y_hat},
            y_hat,
            scale,
            np.full(products, 4.0),
            np.full(products, 25.0),
            (DemandClass.HIGH,) * products,
            {},
            np.zeros(y_hat.shape, bool),
        )
        for number in range(count)
    ]


def moved(one: OriginForecasts) -> OriginForecasts:
    """Return an origin at which everything came out otherwise."""
    return replace(one, actual=one.actual * 3 + 40)


def alike(one: list[OriginForecasts], two: list[OriginForecasts]) -> list[bool]:
    """Say of each origin whether both have the same intervals."""
    return [np.array_equal(a.laid, b.laid) for a, b in zip(one, two, strict=True)]


def test_intervals_from_strictly_earlier_origins() -> None:
    """Whatever came true at an origin or later changes no interval up to it; what came earlier does."""
    plain = nested(scored(), strictly_earlier=True)
    for number in range(5):
        changed = [one if at < number else moved(one) for at, one in enumerate(scored())]
        other = nested(changed, strictly_earlier=True)
        assert alike(plain, other) == [at <= number for at in range(5)]


def test_the_first_origins_leave_themselves_out() -> None:
    """Without two earlier origins the others are used, never the origin's own actuals."""
    plain = nested(scored())
    for number in range(5):
        other = nested([moved(one) if at == number else one for at, one in enumerate(scored())])
        assert np.array_equal(plain[number].laid, other[number].laid)
    last = nested([moved(one) if at == 4 else one for at, one in enumerate(scored())])
    assert alike(plain, last) == [False, False, True, True, True]


def test_origins_whose_days_overlap_are_not_earlier() -> None:
    """An earlier origin counts only when its whole horizon had come."""
    plain = nested(scored(step=7), strictly_earlier=True)
    changed = [moved(one) if at == 2 else one for at, one in enumerate(scored(step=7))]
    other = nested(changed, strictly_earlier=True)
    assert alike(plain, other) == [True, True, True, True, False]


def test_origins_come_back_in_order() -> None:
    """Origins that were finished in any order are calibrated and returned in time's."""
    shuffled = [scored()[number] for number in (3, 0, 4, 1, 2)]
    assert [one.origin for one in nested(shuffled)] == [one.origin for one in scored()]
    for one, two in zip(nested(shuffled), nested(scored()), strict=True):
        np.testing.assert_array_equal(one.laid, two.laid)


def with_trees(made: list[OriginForecasts]) -> list[OriginForecasts]:
    """Return the origins with a second voice, worse from origin to origin."""
    return [
        replace(one, families={**one.families, "lightgbm": one.families["linear"] + 4.0 * number})
        for number, one in enumerate(made, 1)
    ]


def test_weights_are_learnt_from_strictly_earlier_origins() -> None:
    """What came true at an origin or later changes no combined forecast up to it; what came earlier does."""
    plain = nested(with_trees(scored()), strictly_earlier=True)
    assert plain[0].weights == EQUAL
    np.testing.assert_allclose(plain[0].combined, 102.0)
    for number in range(5):
        changed = [one if at < number else moved(one) for at, one in enumerate(with_trees(scored()))]
        other = nested(changed, strictly_earlier=True)
        same = [np.array_equal(a.combined, b.combined) for a, b in zip(plain, other, strict=True)]
        assert same == [at <= number for at in range(5)]
        assert alike(plain, other) == same


def test_the_first_origins_learn_no_weight_from_themselves() -> None:
    """Without two earlier origins the others are learnt from, and later ones still from the earlier alone."""
    plain = nested(with_trees(scored()))
    for number in range(5):
        other = nested([moved(one) if at == number else one for at, one in enumerate(with_trees(scored()))])
        assert np.array_equal(plain[number].combined, other[number].combined)
        assert np.array_equal(plain[number].laid, other[number].laid)
    last = nested([moved(one) if at == 4 else one for at, one in enumerate(with_trees(scored()))])
    assert alike(plain, last) == [False, False, True, True, True]


def test_families_that_were_lost_leave_the_weights_of_the_others() -> None:
    """As if only some had spoken, their learnt weights are brought to 1."""
    done = nested(with_trees(scored()))
    left = among(done, {"linear"})
    np.testing.assert_allclose(left[-1].combined, 100.0)
    assert left[-1].laid is None


def test_without_earlier_origins_the_fallback_is_laid() -> None:
    """The first origin alone has intervals that rest on no error."""
    first = nested(scored(1), strictly_earlier=True)[0]
    assert first.laid is not None
    np.testing.assert_allclose(first.laid[:, 0, 0], [100 + 5 * FALLBACK[level] for level in LEVELS])


def test_intervals_cover_as_they_say() -> None:
    """On errors drawn alike nine in ten actuals lie within, origin after origin."""
    done = nested(scored(12), strictly_earlier=True)
    assert score(done[2:]).coverage == pytest.approx(0.9, abs=0.02)


def test_closed_days_are_sure_and_teach_no_interval() -> None:
    """A closed day has an interval of no width, and its error of 0, where it counts as one, narrows no other."""
    closed = np.zeros((30, HORIZON), bool)
    closed[:, [6, 13]] = True
    origins = [
        replace(
            one,
            closed=closed,
            families={name: np.where(closed, 0.0, made) for name, made in one.families.items()},
            actual=np.where(closed, 0.0, one.actual),
        )
        for one in scored(12)
    ]
    for found in (nested(origins)[-1], nested(origins, strictly_earlier=True)[-1]):
        assert found.laid is not None
        assert (found.laid[:, closed] == 0).all()
        assert (found.laid[-1] - found.laid[0])[~closed].min() > 0
    days_open = bands_of(origins)[DemandClass.HIGH]
    assert [band.errors for band in days_open[:2]] == [12 * 30 * 6] * 2


def test_a_product_that_nobody_forecast_has_no_interval() -> None:
    """Where the combination is NaN so are the quantiles."""
    holed = []
    for one in scored(3):
        families = {name: made.copy() for name, made in one.families.items()}
        for made in families.values():
            made[2] = NAN
        holed.append(replace(one, families=families))
    done = nested(holed)[-1]
    assert done.laid is not None
    assert np.isnan(done.laid[:, 2]).all()
    assert np.isfinite(np.delete(done.laid, 2, axis=1)).all()


def test_scores_are_those_of_the_metrics() -> None:
    """Of a family or the combination, of a product or all: the figures are those of the blocks themselves."""
    done = nested(scored(3))
    actual = np.concatenate([one.actual for one in done])
    found = score(done, NAIVE)
    assert found == measure(actual, np.full_like(actual, 101)).model_copy(
        update={"mase": found.mase, "rmsse": found.rmsse}
    )
    error = 101 - actual
    assert found.mase == pytest.approx(np.abs(error).mean() / 4)
    assert found.rmsse == pytest.approx(np.sqrt((error**2).mean(axis=1) / 25).mean())
    own = np.vstack([one.actual[3] for one in done])
    laid = np.concatenate([one.laid[:, 3:4] for one in done if one.laid is not None], axis=1)
    expected = measure(own, np.full_like(own, 100), lower=laid[0], upper=laid[-1], losses=pinball_losses(own, laid))
    alone = score(done, None, "p3")
    assert alone == expected.model_copy(update={"mase": alone.mase, "rmsse": alone.rmsse})
    assert alone.mase == pytest.approx(np.abs(own - 100).mean() / 4)


def test_few_units_are_judged_apart() -> None:
    """Products are parted by the units a day that they are expected to sell; one that has no forecast is in no part."""
    done = scored(2)
    units = np.where(np.arange(len(done[0].products))[:, None] < 2, 4.9, 5.0)
    units[-1] = NAN
    quiet = [replace(one, combined=np.broadcast_to(units, one.actual.shape)) for one in done]
    for one, few, more in zip(quiet, of_volume(quiet, few=True), of_volume(quiet, few=False), strict=True):
        assert few.products == one.products[:2]
        assert more.products == one.products[2:-1]
        assert few.actual.shape == (2, one.actual.shape[1])
        assert (more.combined == 5.0).all()


def test_a_product_that_took_no_part_has_no_score() -> None:
    """An unknown product, and no origins at all, give a count of 0."""
    assert score(scored(2), None, "stranger") == Metrics(n=0)
    assert score([]) == Metrics(n=0)


def test_the_table_has_a_row_a_product_origin_and_day() -> None:
    """The table holds each number at its product, origin and day."""
    done = nested(scored(2, products=3))
    found = table(done, "bakery")
    given = ["tenant_id", "product_id", "origin", "date", "horizon", "actual", "y_hat", "lower", "upper"]
    assert list(found.columns) == [*given, "scale", "pinball", NAIVE, "linear"]
    assert len(found) == 2 * 3 * HORIZON
    assert not found.duplicated(["product_id", "origin", "horizon"]).any()
    assert ((found["date"] - found["origin"]).dt.days == found["horizon"]).all()
    line = found[(found["product_id"] == "p1") & (found["origin"] == done[1].origin) & (found["horizon"] == 9)]
    assert line["actual"].item() == done[1].actual[1, 8]
    assert line["scale"].item() == done[1].difference[1]
    assert found["pinball"].mean() == pytest.approx(score(done).pinball)
    assert done[1].laid is not None
    assert line[["lower", "upper"]].to_numpy().tolist() == [done[1].laid[[0, -1], 1, 8].tolist()]
    assert table([], "bakery").empty


def test_the_bands_of_the_future_use_every_origin() -> None:
    """What is laid around the next forecast rests on the errors of all origins."""
    assert bands_of(scored(3, products=30))[DemandClass.HIGH][0].errors == 3 * 30 * 7


def test_holidays_that_close_are_forecast_as_zero() -> None:
    """A holiday that closed the shop before closes it ahead, in every forecast."""
    units = demand(LENGTH)
    units[:, 30] = 0
    known = outlook_of(LENGTH + HORIZON, holidays={"feast": on(LENGTH + HORIZON, 30, LENGTH - HORIZON + 4)})
    one = at_origin(task_of(units, known))
    assert (one.combined[:, 4] == 0).all()
    assert (one.combined[:, 3] > 0).all()
