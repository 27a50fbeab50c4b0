"""Forecasts held against sales: the one in hand, on observed days, and nothing seen too early."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.forecasting.realised import figures, in_hand, realised
from pipeline_tests.engine.builders import MONDAY, NAN, demand, panel_of
from pipeline_tests.forecasting.foretold import frame, row

ZONE = "Europe/Madrid"
DAY = pd.Timedelta(days=1)
HISTORY, SCORED = 28, 14
PLAIN = ("wape", "mase", "bias", "coverage", "mape")
MOMENTS = st.integers(-3, 30).map(lambda sixths: MONDAY + pd.Timedelta(hours=4 * sixths))
ISSUED = st.lists(
    st.tuples(st.sampled_from(["bun", "pie"]), st.integers(0, 3), st.integers(1, 4), MOMENTS), max_size=12
)
UNITS = st.lists(st.integers(1, 40).map(float), min_size=SCORED, max_size=SCORED)


def issued_of(drawn: list[tuple[str, int, int, pd.Timestamp]]) -> pd.DataFrame:
    """Rows of a few origins, made at any moment; `y_hat` numbers them."""
    return frame(
        [
            row(product, MONDAY + origin * DAY, ahead, float(number), made)
            for number, (product, origin, ahead, made) in enumerate(drawn)
        ]
    )


def foreseen(y_hat: Any, origin: pd.Timestamp, product: str = "p0") -> pd.DataFrame:
    """A forecast from one origin."""
    return frame([row(product, origin, ahead + 1, float(units)) for ahead, units in enumerate(y_hat)])


@settings(max_examples=100, deadline=None)
@given(ISSUED, st.integers(1, 3))
def test_the_one_in_hand_is_the_last_made_in_time(drawn: list[tuple[str, int, int, pd.Timestamp]], ahead: int) -> None:
    """For each product and day it is the newest row from `ahead` days before, made before the day's midnight."""
    issued = issued_of(drawn)
    expected: dict[tuple[str, pd.Timestamp], tuple[pd.Timestamp, pd.Timestamp]] = {}
    for product, origin, days, made in drawn:
        day = MONDAY + (origin + days) * DAY
        in_time = made.tz_localize("UTC") < (day + DAY).tz_localize(ZONE)
        if in_time and days >= ahead:
            newest = max(expected.get((product, day), (made, MONDAY)), (made, MONDAY + origin * DAY))
            expected[product, day] = newest
    found = in_hand(issued, ZONE, ahead)
    assert not found.duplicated(["product_id", "date"]).any()
    told = zip(found["product_id"], found["date"], found["issued_at"], found["origin"], strict=True)
    assert {(product, day): (made.tz_localize(None), origin) for product, day, made, origin in told} == expected


@settings(max_examples=100, deadline=None)
@given(ISSUED, ISSUED)
def test_what_is_made_after_the_day_never_counts(
    drawn: list[tuple[str, int, int, pd.Timestamp]], late: list[tuple[str, int, int, pd.Timestamp]]
) -> None:
    """Forecasts that are made when their day is over change nothing, however near their origin is."""
    before = issued_of(drawn)
    after = frame([row(product, MONDAY + o * DAY, a, 99.0, MONDAY + (o + a + 1) * DAY) for product, o, a, _ in late])
    together = pd.concat([part for part in (before, after) if len(part)] or [before], ignore_index=True)
    assert in_hand(together, ZONE).to_dict("records") == in_hand(before, ZONE).to_dict("records")


def test_midnight_is_the_tenants() -> None:
    """At 23:00 UTC in summer it is the next day in Madrid already, and still the day in London."""
    origin = pd.Timestamp("2024-07-01")
    issued = frame([row("bun", origin, 1, issued=pd.Timestamp("2024-07-02 22:30"))])
    assert len(in_hand(issued, "Europe/London")) == 1
    assert in_hand(issued, "Europe/Madrid").empty


@settings(max_examples=30, deadline=None)
@given(UNITS)
def test_a_forecast_that_is_right_has_no_error(units: list[float]) -> None:
    """A forecast equal to the sales has WAPE, MASE, MAPE and bias 0 and coverage 1."""
    history = demand(HISTORY, 1)
    panel = panel_of(np.concatenate([history, [units]], axis=1))
    _, total = figures(realised(foreseen(units, panel.dates[HISTORY - 1]), panel))
    assert total.metrics.n == SCORED
    assert [getattr(total.metrics, name) for name in PLAIN] == [0.0, 0.0, 0.0, 1.0, 0.0]


@settings(max_examples=30, deadline=None)
@given(UNITS, UNITS, st.sampled_from([0.5, 2.0, 8.0, 1024.0]))
def test_the_unit_does_not_matter(units: list[float], said: list[float], factor: float) -> None:
    """Sales and forecasts in another unit leave WAPE, MASE, bias, coverage, MAPE and the naive's WAPE as they are."""
    sold = np.concatenate([demand(HISTORY, 1), [units]], axis=1)
    results = []
    for scale in (1.0, factor):
        panel = panel_of(sold * scale)
        _, total = figures(realised(foreseen(np.array(said) * scale, panel.dates[HISTORY - 1]), panel))
        results.append([*(getattr(total.metrics, name) for name in PLAIN), total.naive.wape])
    assert results[1] == pytest.approx(results[0])


@settings(max_examples=30, deadline=None)
@given(UNITS, st.sets(st.integers(0, SCORED - 1), max_size=SCORED))
def test_masked_days_are_left_out(said: list[float], masked: set[int]) -> None:
    """What is forecast for days that are no observation counts as left out, and changes no figure."""
    sold = demand(HISTORY + SCORED, 1)
    sold[0, [HISTORY + day for day in masked]] = NAN
    panel = panel_of(sold)
    whole = foreseen(said, panel.dates[HISTORY - 1])
    kept = whole[~whole["horizon"].isin([day + 1 for day in masked])]
    _, total = figures(realised(whole, panel))
    _, expected = figures(realised(kept, panel)) if len(kept) else (None, total)
    assert total.metrics == expected.metrics
    assert total.naive == expected.naive
    assert (total.metrics.n, total.left_out) == (SCORED - len(masked), len(masked))


@settings(max_examples=30, deadline=None)
@given(st.integers(7, HISTORY - 1), st.integers(0, 99))
def test_naive_and_scale_see_nothing_after_the_origin(cut: int, seed: int) -> None:
    """Other sales after an origin leave the naive and the scale of that origin as they are."""
    sold, other = demand(HISTORY + SCORED, 2), demand(HISTORY + SCORED, 2, level=500, seed=seed)
    other[:, : cut + 1] = sold[:, : cut + 1]
    told = [
        realised(foreseen(range(1, 15), panel.dates[cut], "p1"), panel)[["seasonal_naive", "scale"]]
        for panel in (panel_of(sold), panel_of(other))
    ]
    pd.testing.assert_frame_equal(*told)


def test_the_naive_repeats_the_week_before_the_origin() -> None:
    """Each day has the last same weekday up to its own origin, or the one before where that was masked."""
    sold = demand(HISTORY + SCORED, 2)
    sold[0, HISTORY - 3] = NAN
    panel = panel_of(sold)
    parts = [foreseen([5.0] * SCORED, panel.dates[HISTORY - 1 + late]) for late in (0, 3)]
    table = realised(pd.concat(parts, ignore_index=True), panel)
    for one in table.itertuples():
        origin, day = ((when - MONDAY).days for when in (one.origin, one.date))
        same = day - 7
        while same > origin or math.isnan(sold[0, same]):
            same -= 7
        assert one.seasonal_naive == sold[0, same]
    assert (table["horizon"] == [*range(1, SCORED + 1)] * 2).all()


def test_what_is_of_another_history_or_yet_to_come() -> None:
    """Unknown products and origins outside the panel's days are left out; later days have nothing that was sold."""
    panel = panel_of(demand(HISTORY, 1))
    others = [
        foreseen([1.0], panel.dates[9], "cake"), foreseen([1.0], MONDAY - DAY), foreseen([1.0], panel.last + DAY),
    ]  # fmt: skip
    table = realised(pd.concat([*others, foreseen([1.0, 2.0], panel.dates[-2])], ignore_index=True), panel)
    assert list(table["date"]) == [panel.last, panel.last + DAY]
    assert np.isfinite(table["actual"]).tolist() == [True, False]
    assert table.loc[1, ["seasonal_naive", "scale"]].notna().all()


def test_the_worst_product_stands_first_and_all_last() -> None:
    """Products go by WAPE, those without any behind them, then one line of all days together."""
    sold = np.tile(10.0, (3, 30))
    sold[2] = 0
    panel = panel_of(sold, ["good", "bad", "none"])
    said = {"good": 11.0, "bad": 15.0, "none": 1.0}
    parts = [foreseen([y_hat] * 7, panel.dates[20], product) for product, y_hat in said.items()]
    found = figures(realised(pd.concat(parts, ignore_index=True), panel))
    assert [one.product_id for one in found] == ["bad", "good", "none", None]
    assert [one.metrics.wape for one in found] == [0.5, 0.1, None, (35 + 7 + 7) / 140]
    assert [one.metrics.n for one in found] == [7, 7, 7, 21]
    assert found[-1].metrics.mase is None  # no product's sales ever differ from a week before


def test_nothing_is_nothing() -> None:
    """Without a forecast there is a table without rows, and one line that scores no day."""
    empty = in_hand(frame([]), ZONE)
    (total,) = figures(realised(empty, panel_of(demand(HISTORY, 1))))
    assert (total.product_id, total.metrics.n, total.left_out) == (None, 0, 0)
