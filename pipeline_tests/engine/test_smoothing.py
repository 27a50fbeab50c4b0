"""Exponential smoothing: `ets` and `theta` against slow oracles, and on demand whose future is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.families.ets import ETS
from pipeline.engine.families.smoothing import Grid, Setting, State
from pipeline.engine.families.theta import Theta, slope
from pipeline.engine.panel import Floats
from pipeline_tests.engine.builders import NAN, demand, outlook_of, panel_of

SERIES = st.lists(st.one_of(st.just(0.0), st.just(NAN), st.floats(0.5, 60)), min_size=30, max_size=90)
PANELS = st.lists(SERIES, min_size=1, max_size=3).map(
    lambda rows: np.array([row[: min(map(len, rows))] for row in rows], float)
)
BOTH = pytest.mark.parametrize("name", ["ets", "theta"])


def ahead(name: str, units: Floats | Sequence[float], horizon: int = 14) -> Floats:
    """Return (n, horizon) units that a family forecasts after (n, t) ones."""
    panel = panel_of(units)
    known = outlook_of(len(panel.dates) + horizon)
    return FAMILIES[name].fit(panel, known, Recipe()).predict(panel, known, horizon)


def mean(values: Sequence[float]) -> float:
    """Return the mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def seen(units: Sequence[float], first: int = 0) -> list[tuple[int, float]]:
    """Return day and units of the observed days from a day on."""
    return [(day, value) for day, value in enumerate(units) if day >= first and not math.isnan(value)]


def held(units: Sequence[float]) -> list[float]:
    """Return the units, none further from their mean than four times the mean distance from it."""
    known = [value for _, value in seen(units)]
    most = 4 * mean([abs(value - mean(known)) for value in known])
    return [value if math.isnan(value) else max(mean(known) - most, min(mean(known) + most, value)) for value in units]


def weekdays(known: list[tuple[int, float]]) -> list[float]:
    """Return the mean of each weekday, held towards the mean of all by eight days."""
    usual = mean([value for _, value in known])
    same = [[value for day, value in known if day % 7 == weekday] for weekday in range(7)]
    return [(sum(values) + 8 * usual) / (len(values) + 8) for values in same]


def begin_ets(units: Sequence[float], setting: Setting) -> tuple[float, float, list[float]]:
    """Return level, trend and season before the first day, from the first 56 observed days."""
    early = seen(held(units))[:56]
    level = mean([value for _, value in early])
    if setting.multiplicative:
        return level, 0.0, [value / level if level > 0 else 1.0 for value in weekdays(early)]
    return level, 0.0, [value - level for value in weekdays(early)]


def begin_theta(units: Sequence[float], setting: Setting) -> tuple[float, float, list[float]]:
    """Return level, drift and season, from the weekdays of the last year and the line through the adjusted days."""
    del setting
    units = held(units)
    year = seen(units, max(len(units) - 364, 0) // 7 * 7)
    season = [value - mean([value for _, value in year]) for value in weekdays(year)]
    adjusted = [(day, value - season[day % 7]) for day, value in seen(units)]
    middle = mean([float(day) for day, _ in adjusted])
    square = sum((day - middle) ** 2 for day, _ in adjusted)
    drift = sum((day - middle) * value for day, value in adjusted) / square / 2 if square > 0 else 0.0
    return mean([value for _, value in adjusted[:56]]), drift, season


def smooth_slowly(
    units: Sequence[float], setting: Setting, start: tuple[float, float, list[float]]
) -> tuple[float, float, list[float], list[float]]:
    """Return level, trend and season after the last day, and the squared errors of the days that are scored."""
    level, trend, season = start
    typical = mean([value for _, value in seen(units)])
    usual, squares, observed = typical, [], len(seen(units))
    number, first = 0, seen(units)[0][0] if observed else 0
    for day, value in list(enumerate(units))[first:]:
        trend = setting.damping * trend
        level += trend
        if math.isnan(value):
            continue
        number += 1
        week = season[day % 7]
        error = value - (level * week if setting.multiplicative else level + week)
        if number > 28 and number > observed - 364:
            squares.append(error**2)
        limit = 4 * max(usual, typical / 10)
        usual += 0.05 * (min(abs(error), 2 * limit) - usual)
        error = max(-limit, min(limit, error))
        for_level = for_season = error
        if setting.multiplicative:
            for_level = error / max(week, 0.2)
            for_season = error / max(level, 0.2 * typical if typical > 0 else 1.0)
        level += setting.level * for_level
        trend += setting.level * setting.trend * for_level
        season[day % 7] = week + setting.season * for_season
    return level, trend, season, squares


def slowly(family: ETS, units: Floats, horizon: int) -> list[list[float]]:
    """Return what a person with a pencil would find: product after product, setting after setting, day after day."""
    grid = family.grid.settings
    begin = begin_theta if isinstance(family, Theta) else begin_ets
    ends = [[smooth_slowly(row, one, begin(row, one)) for one in grid] for row in units.tolist()]
    typical = [mean([value for _, value in seen(row)]) for row in units.tolist()]
    days = [len(row[0][3]) for row in ends]
    least = [(units / 1000) ** 2 if units > 0 else 1.0 for units in typical]
    errors = [[math.log(max(mean(end[3]), low)) for end in row] for row, low in zip(ends, least, strict=True)]
    allowed = [[not one.multiplicative or units >= 5 for one in grid] for units in typical]
    everywhere = [k for k in range(len(grid)) if all(row[k] for row in allowed)]
    pooled = []
    for k in range(len(grid)):
        told = [p for p in range(len(units)) if allowed[p][k] and days[p]]
        pooled.append(mean([errors[p][k] - mean([errors[p][j] for j in everywhere]) for p in told]))
    found = []
    for p, row in enumerate(ends):
        against = {k: 0.1 * (days[p] * errors[p][k] + 60 * pooled[k]) for k in range(len(grid)) if allowed[p][k]}
        likely = {k: math.exp(min(against.values()) - value) for k, value in against.items()}
        said = []
        for step in range(1, horizon + 1):
            total = 0.0
            for k, weight in likely.items():
                level, trend, season, _ = row[k]
                base = level + sum(grid[k].damping ** j for j in range(1, step + 1)) * trend
                week = season[(units.shape[1] + step - 1) % 7]
                total += weight * (base * week if grid[k].multiplicative else base + week)
            said.append(max(total / sum(likely.values()), 0.0))
        found.append(said)
    return found


@BOTH
@settings(max_examples=25, deadline=None)
@given(units=PANELS)
def test_it_is_what_the_slow_one_finds(name: str, units: Floats) -> None:
    """For any products, holes and beginnings included, the forecast is the oracle's."""
    np.testing.assert_allclose(ahead(name, units, 9), slowly(FAMILIES[name], units, 9), rtol=1e-7, atol=1e-9)


@BOTH
def test_years_are_what_the_slow_one_finds(name: str) -> None:
    """Over two years, with holes, a late beginning and a product too small for ratios, the forecast is the oracle's."""
    units = demand(720, 3, seed=5)
    units[1] = units[1] // 12
    units[2, :400] = NAN
    units[np.random.default_rng(2).random(units.shape) < 0.1] = NAN
    np.testing.assert_allclose(ahead(name, units), slowly(FAMILIES[name], units, 14), rtol=1e-7)


@BOTH
@settings(max_examples=25, deadline=None)
@given(units=PANELS, factor=st.sampled_from([0.25, 3.0, 1e6]))
def test_units_do_not_matter(name: str, units: Floats, factor: float) -> None:
    """Sales in other units are forecast alike, as long as they stay on the same side of five a day."""
    typical = np.array([mean([value for _, value in seen(row)]) for row in units.tolist()])
    same = (typical >= 5) == (typical * factor >= 5)
    np.testing.assert_allclose(
        ahead(name, units[same] * factor), ahead(name, units[same]) * factor, rtol=1e-6, atol=1e-6 * factor
    )


@BOTH
@settings(max_examples=25, deadline=None)
@given(units=PANELS, weeks=st.integers(1, 30))
def test_days_before_the_first_teach_nothing(name: str, units: Floats, weeks: int) -> None:
    """A longer axis without an observation in front changes no forecast."""
    longer = np.hstack([np.full((len(units), 7 * weeks), NAN), units])
    np.testing.assert_allclose(ahead(name, longer), ahead(name, units), rtol=1e-6, atol=1e-6)


@BOTH
def test_a_new_level_is_followed(name: str) -> None:
    """Three weeks after sales have doubled most of the way is gone."""
    units = demand(300, 1, 20.0)[0]
    units[-21:] *= 2
    assert ahead(name, units).mean() > 34


@BOTH
def test_a_week_is_repeated(name: str) -> None:
    """Each weekday is forecast near its own mean, held a little towards the mean of all."""
    week = np.array([4.0, 6, 8, 10, 12, 30, 20])
    found = ahead(name, np.tile(week, 104))[0]
    np.testing.assert_allclose(found, np.tile(week, 2), atol=0.15 * (30 - week.mean()))
    assert found.mean() == pytest.approx(week.mean(), rel=0.01)


@BOTH
def test_an_odd_day_is_nearly_forgotten(name: str) -> None:
    """One day of a hundred times the usual sales, a week ago, moves the forecast by less than a third."""
    units = demand(300, 1, 20.0)[0]
    odd = units.copy()
    odd[-7] = 2000
    np.testing.assert_allclose(ahead(name, odd).mean(), ahead(name, units).mean(), rtol=0.33)


def test_what_grew_by_ratios_is_forecast_by_ratios() -> None:
    """A product whose week has kept its ratios while it grew fivefold is forecast with them."""
    week = np.tile([0.5, 0.5, 0.5, 1, 1, 1.5, 2], 60)
    units = week * np.linspace(20, 100, week.size)
    found = ahead("ets", units)[0]
    assert found[6] / found[0] == pytest.approx(4, rel=0.15)


def test_the_pool_decides_where_a_product_has_no_say() -> None:
    """A product of thirty days is smoothed as suits the others: quickly among those that wander, else slowly."""
    rng = np.random.default_rng(8)
    steady = rng.poisson(50, (12, 300)).astype(float)
    wandering = np.maximum(50 + rng.normal(0, 8, (12, 300)).cumsum(axis=1), 1)
    young = np.full((1, 300), NAN)
    young[0, -30:] = np.r_[np.full(27, 40.0), 60, 60, 60]
    calm, quick = (ahead("ets", np.vstack([young, others]))[0].mean() for others in (steady, wandering))
    assert quick > calm + 5


def test_theta_is_half_a_line_and_half_a_smoothed_bent_one() -> None:
    """Where nothing is clipped it is Assimakopoulos and Nikolopoulos' own: the mean of the lines of theta 0 and 2."""
    alpha, days = 0.3, np.arange(400.0)
    units = 100 + 0.2 * days + np.random.default_rng(6).normal(0, 5, 400)
    rise, start = np.polyfit(days, units, 1)
    bent = 2 * units - (start + rise * days)
    level = bent[0]
    for value in bent[1:]:
        level += alpha * (value - level)
    expected = (start + rise * np.arange(400, 414) + level) / 2
    state = State(units[None, :1], slope(units[None])[None] / 2, np.zeros((7, 1, 1)))
    grid = Grid([Setting(alpha)])
    found = grid.ahead(grid.smooth(units[None], state).state, np.ones((1, 1)), 400, 14).sum(axis=0)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_theta_goes_on_by_half_the_slope() -> None:
    """What has grown by two units a week is forecast to grow by one."""
    found = ahead("theta", 50 + np.arange(280) * 2 / 7)[0]
    assert found[7:].mean() - found[:7].mean() == pytest.approx(1, rel=0.05)


def test_a_slope_needs_two_days() -> None:
    """The slope is the least-squares line's over the observed days, 0 where there is no line."""
    units = np.array([[1.0, 9, NAN, 4, 7], [NAN, 5, NAN, NAN, NAN], [NAN] * 5])
    np.testing.assert_allclose(slope(units), [np.polyfit([0, 1, 3, 4], [1, 9, 4, 7], 1)[0], 0, 0])
