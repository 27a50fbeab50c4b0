"""Parts of forecasts: whatever a family tells of its forecast adds up to it, and means what it says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import PartKind
from pipeline.engine.explain import explain
from pipeline.engine.families import FAMILIES, Fitted, Recipe
from pipeline.engine.families.base import Explains
from pipeline.engine.families.lightgbm import GAP
from pipeline.engine.families.trees_explained import PART_OF, in_units
from pipeline.engine.features import CONTEXTUAL, STATIC, TEMPORAL
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import (
    CLOSED,
    LEVEL,
    NOT_BELOW_ZERO,
    WEEKDAY,
    Part,
    Parts,
    combined,
    gathered,
    stacked,
    total,
)
from pipeline_tests.engine import simulated
from pipeline_tests.engine.builders import NAN, outlook_of, panel_of
from pipeline_tests.engine.conformance import LEAD, LENGTH, history, outlook

TELLING = (
    "seasonal_naive",
    "seasonal_average",
    "linear",
    "prophet",
    "lightgbm",
    "lightgbm_direct",
    "ets",
    "theta",
    "tsb",
)
EXACT = 1e-6
RAIN, PROMO, FAIR = Part(PartKind.COVARIATE, "rain"), Part(PartKind.COVARIATE, "promo"), Part(PartKind.HOLIDAY, "fair")
UNITS = st.one_of(st.just(0.0), st.just(NAN), st.floats(0, 1e4))


@cache
def standing(name: str) -> Fitted:
    """A fit to the conformance suite's history, made once."""
    return FAMILIES[name].fit(history(), outlook(), Recipe(seed=3))


def assert_adds_up(name: str, panel: Panel, known: Outlook, horizon: int) -> None:
    """Fail unless the parts are, day by day and product by product, the forecast."""
    forecast = standing(name).predict(panel, known, horizon)
    parts = explain(name, standing(name), panel, known, horizon)
    assert {units.shape for units in parts.values()} == {forecast.shape}
    np.testing.assert_allclose(total(parts), forecast, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("name", TELLING)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_parts_add_up_to_the_forecast(name: str, data: st.DataObject) -> None:
    """For any recent sales, holes, falls and spikes included, any covariates and closed days, nothing is left over."""
    panel, known = history(), outlook()
    kinds = data.draw(st.lists(UNITS, min_size=1, max_size=4))
    recent = np.random.default_rng(data.draw(st.integers(0, 99))).choice(kinds, (2, 28))
    panel = panel_of(np.hstack([panel.quantity[:, :-28], recent]), panel.products)
    after = np.arange(len(known.dates)) >= LEAD + LENGTH
    rain = np.where(after, data.draw(st.one_of(st.just(NAN), st.floats(-50, 50))), known.covariates["rain"])
    closed = after & (np.arange(len(known.dates)) % 7 == data.draw(st.integers(0, 6)))
    known = replace(known, covariates={"rain": rain}, closed=closed)
    assert_adds_up(name, panel, known, data.draw(st.integers(1, 21)))


@pytest.mark.parametrize("name", ["linear", "prophet"])
def test_multiplied_parts_add_up_to_the_forecast(name: str) -> None:
    """Where effects multiply the trend each is told in units of its day, and nothing is left over."""
    panel, known = history(), outlook()
    fitted = FAMILIES[name].fit(panel, known, Recipe({"seasonality_mode": "multiplicative"}, seed=3))
    parts = explain(name, fitted, panel, known, 21)
    np.testing.assert_allclose(total(parts), fitted.predict(panel, known, 21), rtol=EXACT, atol=EXACT)
    assert {LEVEL, WEEKDAY, RAIN, PROMO, FAIR} <= set(parts)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_an_explanation(name: str) -> None:
    """Families that tell give at least a level; of the others the whole forecast is one part, by their name."""
    parts = explain(name, standing(name), history(), outlook(), 14)
    assert isinstance(standing(name), Explains) == (name in TELLING)
    assert LEVEL in parts or list(parts) == [Part(PartKind.FAMILY, name)]
    assert_adds_up(name, history(), outlook(), 14)


class Silent:
    """A fit that cannot tell why."""

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return the number of the day."""
        del outlook
        return np.tile(np.arange(horizon, dtype=float), (len(history.products), 1))

    def to_files(self) -> dict[str, bytes]:
        """Return nothing."""
        return {}


def test_a_family_that_cannot_tell_is_one_part() -> None:
    """The forecast of a family without the capability is one part with its name."""
    ((part, units),) = explain("mute", Silent(), history(), outlook(), 3).items()
    assert part == Part(PartKind.FAMILY, "mute")
    np.testing.assert_array_equal(units, [[0, 1, 2], [0, 1, 2]])


class Stumbling(Silent):
    """A fit that fails to tell why."""

    def explain(self, history: Panel, outlook: Outlook, horizon: int) -> Parts:
        """Fail."""
        del history, outlook, horizon
        raise ValueError("no price")


def test_an_explanation_that_fails_costs_no_forecast(caplog: pytest.LogCaptureFixture) -> None:
    """A family that stumbles over its own parts is one part with its name, too, and the log says why."""
    ((part, units),) = explain("stumbling", Stumbling(), history(), outlook(), 3).items()
    assert part == Part(PartKind.FAMILY, "stumbling")
    np.testing.assert_array_equal(units, [[0, 1, 2], [0, 1, 2]])
    assert "stumbling cannot tell why" in caplog.text
    assert "no price" in caplog.text


def known_truth(length: int = 3 * 364) -> tuple[Panel, Outlook]:
    """Return a product of 20 units a day, 8 more on Saturdays, 6 more with a promotion, 9 less on a fair."""
    rng, days = np.random.default_rng(2), np.arange(length + 28)
    promo = (rng.random(len(days)) < 0.2).astype(float)
    fair = days % 91 == 30
    units = 20 + 8.0 * (days % 7 == 5) + 6 * promo - 9 * fair
    promo[length : length + 2], fair[length : length + 3] = [1, 0], [False, False, True]
    known = outlook_of(len(days), holidays={"fair": fair}, covariates={"promo": promo})
    return panel_of(units[:length], ("p0",)), known


@pytest.mark.parametrize("name", ["linear", "prophet"])
def test_regressions_tell_the_truth(name: str) -> None:
    """Of demand that is made of known parts each is told as it was made: on its days, and 0 on the others."""
    panel, known = known_truth()
    parts = explain(name, FAMILIES[name].fit(panel, known, Recipe()), panel, known, 7)
    np.testing.assert_allclose(parts[PROMO][0, :2], [6, 0], atol=0.15)
    np.testing.assert_allclose(parts[FAIR][0, [0, 2]], [0, -9], atol=0.3)
    week = parts[WEEKDAY][0]
    np.testing.assert_allclose(week[5] - np.delete(week, 5), 8, atol=0.5)
    np.testing.assert_allclose(week.sum(), 0, atol=1e-6)
    np.testing.assert_allclose(parts[LEVEL], 20 + 8 / 7, atol=0.5)


def test_trees_tell_what_they_use() -> None:
    """What drives demand has the part that it should have: more with a promotion and on Saturday, less on the fair."""
    panel, known = known_truth()
    fitted = FAMILIES["lightgbm"].fit(panel, known, Recipe())
    parts = explain("lightgbm", fitted, panel, known, 7)
    assert parts[PROMO][0, 0] > 2
    assert parts[PROMO][0, 1] < 0
    assert parts[WEEKDAY][0, 5] > 3
    assert np.delete(parts[WEEKDAY][0], 5).max() < 1
    assert parts[FAIR][0, 2] < -2
    assert not parts[FAIR][0, [0, 1, 3, 4, 5, 6]].any()


def test_every_feature_has_a_word() -> None:
    """Each feature of the trees belongs to one part; a new one must be given its place."""
    assert set(PART_OF) == {*TEMPORAL, *CONTEXTUAL, *STATIC, GAP}


@settings(max_examples=100, deadline=None)
@given(told=st.lists(st.floats(-2, 2), min_size=1, max_size=6), usual=st.floats(-1, 1), level=st.floats(0.1, 1e4))
def test_contributions_in_units_are_those_of_the_straight_way(told: list[float], usual: float, level: float) -> None:
    """Each contribution is its share of the growth from the usual day to the forecast, summed in small steps."""
    units = in_units(np.array([[*told, usual]]), np.array([level]))[0]
    steps = (np.arange(20_000) + 0.5) / 20_000
    slope = level * np.exp(usual + steps * sum(told)).mean()
    np.testing.assert_allclose(units, [*(slope * c for c in told), level * np.exp(usual)], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(units.sum(), level * np.exp(usual + sum(told)), rtol=1e-9)


def test_two_holidays_on_one_day_share_what_they_add() -> None:
    """Where two holidays fall on one day the trees cannot tell them apart: each has half, and none is counted twice."""
    panel, known = known_truth()
    fitted = FAMILIES["lightgbm"].fit(panel, known, Recipe())
    twice = replace(known, holidays={**known.holidays, "feast": known.holidays["fair"]})
    once, both = (explain("lightgbm", fitted, panel, each, 7) for each in (known, twice))
    for name in ("fair", "feast"):
        np.testing.assert_allclose(both[Part(PartKind.HOLIDAY, name)], once[FAIR] / 2)


def test_a_multiplicative_season_is_a_share_of_the_trend() -> None:
    """Seasons that the library multiplies are told in units of the day, and add up like the others."""
    from prophet import Prophet

    from pipeline.engine.families.prophet import FittedProphet

    panel, known = simulated.shop(400, (40.0,))
    model = Prophet(seasonality_mode="multiplicative", uncertainty_samples=0, yearly_seasonality=False)
    frame = {"ds": panel.dates[panel.observed[0]], "y": panel.quantity[0, panel.observed[0]]}
    fitted = FittedProphet({panel.products[0]: model.fit(pd.DataFrame(frame), seed=1)})
    parts = fitted.explain(panel, known, 14)
    np.testing.assert_allclose(total(parts), fitted.predict(panel, known, 14), rtol=EXACT)
    assert set(parts) == {LEVEL, WEEKDAY}
    assert np.abs(parts[WEEKDAY]).max() > 1


def test_the_naive_is_its_week() -> None:
    """The seasonal naive is the mean of the week that it repeats, and the weekday's difference from it."""
    panel, known = panel_of(np.tile([1.0, 2, 3, 4, 5, 6, 7], 3)), outlook_of(28)
    parts = explain("seasonal_naive", standing("seasonal_naive"), panel, known, 7)
    np.testing.assert_allclose(parts[LEVEL], 4)
    np.testing.assert_allclose(parts[WEEKDAY], [[-3, -2, -1, 0, 1, 2, 3]])


def test_what_falls_below_zero_is_lifted_and_said() -> None:
    """A regression that would forecast less than nothing is lifted to zero by a part of its own."""
    falling = panel_of(61 - np.arange(60.0))
    fitted = FAMILIES["linear"].fit(falling, outlook_of(120), Recipe())
    parts = explain("linear", fitted, falling, outlook_of(120), 28)
    assert parts[NOT_BELOW_ZERO].max() > 1
    assert total(parts).min() == pytest.approx(0, abs=EXACT)
    assert not parts[NOT_BELOW_ZERO][:, 0].any()


def test_members_are_weighed_and_closed_days_taken_away() -> None:
    """Parts of the same name become one; a member without weight says nothing; a closed day is nothing."""
    one, other = {LEVEL: np.array([10.0, 10]), RAIN: np.array([2.0, 0])}, {LEVEL: np.array([20.0, 20])}
    silent = {Part(PartKind.FAMILY, "mute"): np.array([1.0, 1])}
    found = combined([(0.25, one), (0.75, other), (0.0, silent)], np.array([False, True]))
    assert set(found) == {LEVEL, RAIN, CLOSED}
    np.testing.assert_allclose(found[LEVEL], [17.5, 17.5])
    np.testing.assert_allclose(found[RAIN], [0.5, 0])
    np.testing.assert_allclose(found[CLOSED], [0, -17.5])


def test_products_with_different_parts_are_stacked() -> None:
    """A part that one product has and another lacks is 0 for the other; what adds nothing anywhere is left out."""
    found = stacked([{LEVEL: np.ones(2)}, {LEVEL: np.ones(2), RAIN: np.array([0.0, 3])}], 2)
    np.testing.assert_allclose(found[RAIN], [[0, 0], [0, 3]])
    assert set(gathered([(LEVEL, np.zeros(2)), (RAIN, np.zeros(2))])) == {LEVEL}
