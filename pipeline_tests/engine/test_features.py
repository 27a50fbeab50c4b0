"""The features of a day against a slow pandas oracle, and what they must never see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.feature_table import feature_table
from pipeline.engine.features import MEMORY, Codes, FeatureMaker, names, training_days
from pipeline.engine.panel import Outlook, Panel
from pipeline_tests.engine.builders import MONDAY, NAN, days, demand, on, outlook_of, panel_of

LENGTH, AHEAD = 420, 40
LEAD = 20
"""Days that the outlook begins before the panel."""


def panel() -> Panel:
    """Return three products: one whole, one that starts late, one with gaps and zeros."""
    units = demand(LENGTH, seed=4)
    units[1, :40] = NAN
    holes = np.random.default_rng(5)
    units[2, holes.random(LENGTH) < 0.3] = 0
    units[2, holes.random(LENGTH) < 0.2] = NAN
    return panel_of(units, ("b", "a", "c"), category=("x", None, "x"), location=("n", "s", "n"))


def outlook() -> Outlook:
    """Return holidays, one shared covariate and one by product, in another order than the panel's."""
    whole, rng = LEAD + LENGTH + AHEAD, np.random.default_rng(6)
    promo = rng.integers(0, 2, (3, whole)).astype(float)
    promo[1, 5:50] = NAN
    holidays = {"one": on(whole, 60, 90, LEAD + LENGTH + 3), "two": on(whole, 61, 200)}
    return Outlook(
        days(whole, MONDAY - pd.Timedelta(days=LEAD)),
        holidays,
        None,
        {"rain": rng.random(whole)},
        {"promo": promo},
        ("c", "b", "a"),
    )


def slowly(panel: Panel, outlook: Outlook, row: int, day: pd.Timestamp) -> dict[str, float]:
    """Return one product's features of a day as a person with a spreadsheet would find them."""
    units = pd.Series(panel.quantity[row], panel.dates)
    past = units[units.index < day].reindex(pd.date_range(panel.dates[0], day - pd.Timedelta(days=1)))
    month, known = past.tail(28), past.tail(28).dropna()
    back = {lag: past.get(day - pd.Timedelta(days=lag), NAN) for lag in (1, 2, 3, 7, 14, 21, 28, 364)}
    found: dict[str, float] = {f"lag_{lag}": value for lag, value in back.items()}
    found |= {f"mean_{width}": past.tail(width).mean() for width in (7, 28, 91)}
    wider = [past.tail(width).mean() for width in (28, 91, 371)]
    found["level"] = next((mean for mean in wider if not np.isnan(mean)), NAN)
    found["deviation_28"] = known.std(ddof=0) if len(known) else NAN
    found["largest_28"], found["zero_share_28"] = known.max(), (known == 0).mean() if len(known) else NAN
    weights = pd.Series([0.7 ** (day - at).days for at in month.index], month.index)[month.notna()]
    found["smoothed"] = (known * weights).sum() / weights.sum() if len(known) else NAN
    same = pd.Series([back[lag] for lag in (7, 14, 21, 28)]).mean()
    found["same_weekday_mean"] = same
    found["same_weekday_ratio"] = same / month.mean() if month.mean() else NAN
    found["trend_7_28"] = past.tail(7).mean() / month.mean() if month.mean() else NAN
    sold = past.tail(91)[past.tail(91) > 0]
    found["days_since_sale"] = (day - sold.index[-1]).days if len(sold) else 91
    found["age_days"] = max(0, (day - panel.dates[panel.started[row]]).days)
    return {name: float(value) for name, value in (found | calendar_of(panel, outlook, row, day)).items()}


def calendar_of(panel: Panel, outlook: Outlook, row: int, day: pd.Timestamp) -> dict[str, float]:
    """Return what a day's date, holidays, covariates and product give."""
    holidays = sorted({outlook.dates[at] for marks in outlook.holidays.values() for at in np.flatnonzero(marks)})
    to = [(holiday - day).days for holiday in holidays]
    at = outlook.dates.get_loc(day)
    product = panel.products[row]
    return {
        "day_of_week": day.dayofweek,
        "day_of_month": day.day,
        "day_of_year": day.dayofyear,
        "week_of_year": day.isocalendar().week,
        "month": day.month,
        "is_weekend": day.dayofweek in (5, 6),
        "is_holiday": 0 in to,
        "holiday_tomorrow": 1 in to,
        "holiday_yesterday": -1 in to,
        "days_to_holiday": min([14, *(ahead for ahead in to if ahead >= 0)]),
        "days_from_holiday": min([14, *(-ahead for ahead in to if ahead <= 0)]),
        "given_rain": outlook.covariates["rain"][at],
        "given_promo": outlook.by_product["promo"][outlook.products.index(product), at],
        "product": sorted(panel.products).index(product),
        "category": sorted({c or "" for c in panel.category}).index(panel.category[row] or ""),
        "location": sorted({c or "" for c in panel.location}).index(panel.location[row] or ""),
    }


@pytest.mark.parametrize("column", [1, 2, 8, 29, 41, 100, 180, 364, 365, 419, LENGTH, LENGTH + 2])
def test_each_feature_against_the_slow_one(column: int) -> None:
    """Every feature of every product equals the oracle's, early, in the middle, and after the panel's end."""
    history, known = panel(), outlook()
    past = np.full((3, column), NAN)
    past[:, : min(column, LENGTH)] = history.quantity[:, :column]
    found = FeatureMaker(history, known, Codes.of(history)).day(past, column)
    day = MONDAY + pd.Timedelta(days=column)
    assert found.shape == (3, len(names(known)))
    for row in range(3):
        expected = slowly(history, known, row, day)
        assert set(expected) == set(names(known))
        for name, value in zip(names(known), found[row], strict=True):
            assert value == pytest.approx(expected[name], rel=1e-9, nan_ok=True), (name, row)


def test_there_are_many_features() -> None:
    """A tenant without any covariate has at least 20 features, each with a name of its own."""
    found = names(outlook_of(3))
    assert len(found) >= 20
    assert len(set(found)) == len(found)


@settings(max_examples=30, deadline=None)
@given(column=st.integers(1, LENGTH - 1), seed=st.integers(0, 2**16), part=st.sampled_from([0.05, 1.0]))
def test_the_day_itself_and_what_follows_change_nothing(column: int, seed: int, part: float) -> None:
    """Whatever was sold on a day and later, the day's features stay the same, bit by bit."""
    history, known = panel(), outlook()
    rng = np.random.default_rng(seed)
    units = history.quantity.copy()
    changed = rng.random(units[:, column:].shape) < part
    units[:, column:][changed] = rng.choice([NAN, 0.0, 999.0], int(changed.sum()))
    altered = panel_of(units, history.products, category=history.category, location=history.location)
    altered = replace(altered, status=np.where(np.arange(LENGTH) < column, history.status, altered.status))
    codes = Codes.of(history)
    before = FeatureMaker(history, known, codes).day(history.quantity[:, :column], column)
    after = FeatureMaker(altered, known, codes).day(altered.quantity[:, :column], column)
    np.testing.assert_array_equal(before, after)


def test_training_and_forecasting_see_the_same() -> None:
    """The features of a training day are those that a forecast made the evening before would have had."""
    history, known = panel(), outlook()
    codes = Codes.of(history)
    for column, _, observed, trained in training_days(history, known, codes, LENGTH - 30):
        evening = history.until(history.dates[column - 1])
        forecast = FeatureMaker(evening, known, codes).day(evening.quantity[:, -MEMORY:], column)
        np.testing.assert_array_equal(trained[observed], forecast[observed])


def test_a_gap_is_out_of_sight() -> None:
    """Training days take turns with the gaps, and their features are those of the evening that many days before."""
    history, known = panel(), outlook()
    codes, seen = Codes.of(history), set()
    for column, gap, observed, trained in training_days(history, known, codes, LENGTH - 30, (0, 7, 14)):
        evening = history.quantity[:, : column - gap]
        forecast = FeatureMaker(history, known, codes).day(evening[:, -MEMORY:], column)
        np.testing.assert_array_equal(trained[observed], forecast[observed])
        seen.add((column % 3, gap))
    assert seen == {(0, 0), (1, 7), (2, 14)}


def test_names_never_seen_have_no_number() -> None:
    """A product, category or location that the codes do not know is a missing value, not another's number."""
    codes = Codes.of(panel())
    strange = panel_of(np.ones((1, 5)), ("new",), category=("new",), location=("n",))
    assert np.isnan(codes.static(strange)[0, :2]).all()
    assert codes.static(strange)[0, 2] == codes.location["n"]


def test_training_days_are_the_observed_ones() -> None:
    """Every observation but those of the first day, which has no past, is a training day, once."""
    history = panel()
    marks = np.zeros(history.quantity.shape, bool)
    for column, _, observed, _ in training_days(history, outlook(), Codes.of(history)):
        assert not marks[:, column].any()
        marks[:, column] = observed
    np.testing.assert_array_equal(marks[:, 1:], history.observed[:, 1:])
    assert not marks[:, 0].any()


def test_the_features_table_holds_units_and_features() -> None:
    """A row a product and observed day, with its units and the features that training uses."""
    history, known = panel(), outlook()
    table = feature_table(history, known, 10**6)
    assert list(table.columns) == ["product_id", "date", "quantity", *names(known)]
    assert len(table) == int(history.observed[:, 1:].sum())
    assert not table.duplicated(["product_id", "date"]).any()
    for row in table.sample(15, random_state=2).to_dict("records"):
        place = history.products.index(row["product_id"])
        assert row["quantity"] == history.quantity[place, history.dates.get_loc(row["date"])]
        expected = slowly(history, known, place, row["date"])
        assert {k: row[k] for k in expected} == pytest.approx(expected, rel=1e-5, nan_ok=True)


@pytest.mark.parametrize("limit", [3, 100, 777])
def test_the_features_table_keeps_the_newest_rows(limit: int) -> None:
    """Above the limit whole days are left out, the oldest first, and no more than needed."""
    history, known = panel(), outlook()
    table, whole = feature_table(history, known, limit), feature_table(history, known, 10**6)
    assert limit - 3 < len(table) <= limit
    expected = whole[whole["date"] >= table["date"].min()].reset_index(drop=True)
    pd.testing.assert_frame_equal(table, expected)


def test_a_features_table_of_nothing_has_its_columns() -> None:
    """A panel of a single day gives an empty table that still has every column."""
    table = feature_table(panel_of([[5.0]]), outlook_of(3), 10)
    assert table.empty
    assert list(table.columns) == ["product_id", "date", "quantity", *names(outlook_of(3))]
