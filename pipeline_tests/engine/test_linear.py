"""`linear` against a slow, obvious solution, and against Prophet itself."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.families.design import DEFAULTS, fourier, lay_design
from pipeline.engine.families.linear import solve
from pipeline.engine.metrics import measure
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline_tests.engine.builders import NAN, days, on, outlook_of, panel_of
from pipeline_tests.engine.simulated import FIRST, shop

NARROW = {"changepoint_prior_scale": 0.5, "seasonality_prior_scale": 0.3, "holidays_prior_scale": 0.2}


def columns(panel: Panel, row: int, known: Outlook, at: pd.DatetimeIndex) -> Floats:
    """Return the design as one would write it down: a row a day, each number worked out by itself."""
    dates = panel.dates[np.isfinite(panel.quantity[row])]
    start, span = dates[0], (dates[-1] - dates[0]).days
    first = math.floor(0.8 * len(dates))
    bends = [dates[round(first_bend)] for first_bend in np.linspace(0, first - 1, min(25, first - 1) + 1)][1:]
    past = known.dates.get_indexer(dates)
    marked = [name for name, marks in known.holidays.items() if marks[past].any()]
    rows = []
    for day in at:
        t = (day - start).days / span
        line = [1.0, t, *(max(0.0, t - (bend - start).days / span) for bend in bends)]
        epoch = (day - pd.Timestamp("1970-01-01")).days
        seasons = [(7.0, 3)] if span >= 14 else []
        seasons += [(365.25, 10)] if span >= 365 else []
        for period, order in seasons:
            for k in range(1, order + 1):
                line += [math.sin(2 * math.pi * k * epoch / period), math.cos(2 * math.pi * k * epoch / period)]
        place = known.dates.get_loc(day)
        line += [float(known.holidays[name][place]) for name in marked]
        line += [standard(values, past, values[place]) for values in known.covariates.values()]
        rows.append(line)
    return np.array(rows)


def standard(values: Floats, past: np.ndarray, value: float) -> float:
    """Return a covariate's value in units of its spread on the observed days; an indicator as it is."""
    seen = [v for v in values[past] if math.isfinite(v)]
    if set(seen) <= {0.0, 1.0}:
        return value if math.isfinite(value) else 0.0
    mean = sum(seen) / len(seen)
    spread = math.sqrt(sum((v - mean) ** 2 for v in seen) / (len(seen) - 1))
    return (value - mean) / spread if math.isfinite(value) else 0.0


def priors(width: int, days_seen: float, weekly: int, yearly: int, given: dict[str, float]) -> Floats:
    """Return the standard deviation of each coefficient's prior, a hinge's as that of its Laplace."""
    wanted = {**DEFAULTS, **given}
    hinges = [math.sqrt(2) * wanted["changepoint_prior_scale"]] * 25
    season = [wanted["seasonality_prior_scale"]] * weekly
    year = [wanted["short_yearly_prior_scale" if days_seen < 730 else "yearly_prior_scale"]] * yearly
    known = [5.0, 5.0, *hinges, *season, *year]
    return np.array(known + [wanted["holidays_prior_scale"]] * (width - len(known)))


def slowly(panel: Panel, row: int, known: Outlook, ahead: pd.DatetimeIndex, given: dict[str, float]) -> Floats:
    """Return the forecast by least squares with a row for each prior, the noise found along the way."""
    seen = np.isfinite(panel.quantity[row])
    dates, units = panel.dates[seen], panel.quantity[row][seen]
    x, y = columns(panel, row, known, dates), units / units.max()
    span = (dates[-1] - dates[0]).days
    spread = priors(x.shape[1], span, 6 if span >= 14 else 0, 20 if span >= 365 else 0, given)
    noise = float(np.mean(y**2))
    for turn in range(5):
        pulled = np.vstack([x, np.diag(math.sqrt(noise) / spread)])
        found = np.linalg.lstsq(pulled, np.concatenate([y, np.zeros(len(spread))]), rcond=None)[0]
        if turn < 4:
            noise = max(float(np.mean((y - x @ found) ** 2)), 1e-9)
    return np.maximum(columns(panel, row, known, ahead) @ found * units.max(), 0.0)


@pytest.mark.parametrize("count", [40, 120, 400, 750])
@pytest.mark.parametrize("given", [{}, NARROW], ids=["defaults", "narrow"])
def test_against_the_slow_solution(count: int, given: dict[str, float]) -> None:
    """The closed form equals least squares on a design written out by hand, for short and long histories."""
    panel, known = shop(count, (30.0, 3.0), seed=count)
    fitted = FAMILIES["linear"].fit(panel, known, Recipe(given))
    ahead = days(21, panel.last + pd.Timedelta(days=1))
    forecast = fitted.predict(panel, known, 21)
    for row in range(2):
        np.testing.assert_allclose(forecast[row], slowly(panel, row, known, ahead, given), rtol=1e-6, atol=1e-6)


def test_a_missing_covariate_counts_as_the_usual_one() -> None:
    """A day without a covariate is a day of its mean."""
    panel, known = shop(200, (30.0,))
    known.covariates["promotion"][:] = 0
    values = known.covariates["temperature"]
    values[50:60] = NAN
    filled = np.where(np.isfinite(values), values, np.nanmean(values[:200][panel.observed[0]]))
    fit = FAMILIES["linear"].fit(panel, known, Recipe())
    other = Outlook(known.dates, known.holidays, None, {"temperature": filled})
    expected = FAMILIES["linear"].fit(panel, other, Recipe()).predict(panel, other, 14)
    np.testing.assert_allclose(fit.predict(panel, known, 14), expected, rtol=0.02)


def test_an_exact_line_is_continued() -> None:
    """Sales that grow by the same units every day go on growing."""
    panel = panel_of(10.0 + np.arange(300))
    forecast = FAMILIES["linear"].fit(panel, outlook_of(400), Recipe()).predict(panel, outlook_of(400), 10)
    np.testing.assert_allclose(forecast[0], 310.0 + np.arange(10), rtol=0.01)


def test_a_holidays_effect_is_learnt_on_its_own() -> None:
    """A holiday that doubles sales doubles them ahead, and only on its day."""
    units, holiday = np.full(400, 50.0), on(440, 100, 200, 300, 405)
    units[[100, 200, 300]] = 100
    panel, known = panel_of(units), outlook_of(440, holidays={"feast": holiday})
    forecast = FAMILIES["linear"].fit(panel, known, Recipe()).predict(panel, known, 10)[0]
    assert forecast[5] == pytest.approx(100, rel=0.05)
    np.testing.assert_allclose(np.delete(forecast, 5), 50, rtol=0.03)


@pytest.mark.parametrize(
    ("wanted", "count", "weekly", "yearly"),
    [
        ("auto", 14, False, False),
        ("auto", 15, True, False),
        ("auto", 365, True, False),
        ("auto", 366, True, True),
        ("true", 14, True, True),
        ("false", 1000, False, False),
    ],
)
def test_seasons_follow_the_history(wanted: str, count: int, weekly: bool, yearly: bool) -> None:
    """By itself a season enters with two weeks or a year of days; a setting can ask for it or forbid it."""
    panel = panel_of(np.full(count, 5.0))
    design, _, _ = lay_design(panel, 0, outlook_of(count), -1, {**DEFAULTS, "weekly": wanted, "yearly": wanted})
    assert (design.weekly, design.yearly) == (weekly, yearly)


def test_a_short_history_holds_its_yearly_season_back() -> None:
    """With less than two years the yearly season's prior is the narrow one, with two the wide."""
    for count, scale in ((730, 0.1), (731, 10.0)):
        design, _, _ = lay_design(panel_of(np.full(count, 5.0)), 0, outlook_of(count), -1, DEFAULTS)
        assert design.yearly_prior == scale


def test_covariates_that_never_change_are_left_out() -> None:
    """A covariate that is constant or never known on the observed days explains nothing."""
    count = 100
    given = {"flat": np.ones(count), "never": np.full(count, NAN), "rain": np.arange(100.0)}
    known = outlook_of(count, covariates=given)
    design, _, _ = lay_design(panel_of(np.full(count, 5.0)), 0, known, -1, DEFAULTS)
    assert [regressor.name for regressor in design.regressors] == ["rain"]


@pytest.mark.parametrize("count", [30, 100, 700])
def test_the_design_is_prophets_own(count: int) -> None:
    """Seasons and changepoints equal those that the library makes of the same days, gaps included."""
    from prophet import Prophet

    panel, known = shop(count, (20.0,), seed=3)
    design, dates, units = lay_design(panel, 0, known, -1, DEFAULTS)
    library = Prophet(n_changepoints=min(25, len(design.changepoints)))
    library.history = library.setup_dataframe(pd.DataFrame({"ds": dates, "y": units}), initialize_scales=True)
    library.set_changepoints()
    np.testing.assert_allclose(design.changepoints, library.changepoints_t, atol=1e-12)
    at = pd.Series(days(count + 40, FIRST))
    since = (at - pd.Timestamp(1970, 1, 1)).dt.days.to_numpy(float)
    for period, order in ((7.0, 3), (365.25, 10)):
        theirs = Prophet.fourier_series(at, period, order)
        np.testing.assert_allclose(fourier(since, period, order), theirs, atol=1e-9)
    assert solve(panel, 0, known, DEFAULTS).size == library.y_scale


def test_prophet_is_fitted_with_the_same_design() -> None:
    """The library's model has the changepoints, seasons, priors, holidays and covariates of the shared design."""
    panel, known = shop(400, (20.0,), seed=3)
    design, _, _ = lay_design(panel, 0, known, -1, {**DEFAULTS, **NARROW})
    files = FAMILIES["prophet"].fit(panel, known, Recipe(NARROW)).to_files()
    stored = json.loads(json.loads(files["prophet.json"])["product 0"])
    np.testing.assert_allclose(stored["changepoints_t"], design.changepoints)
    seasons = stored["seasonalities"][1]
    assert {name: season["fourier_order"] for name, season in seasons.items()} == {"weekly": 3, "yearly": 10}
    assert {name: season["prior_scale"] for name, season in seasons.items()} == {"weekly": 0.3, "yearly": 0.1}
    assert (stored["changepoint_prior_scale"], stored["holidays_prior_scale"]) == (0.5, 0.2)
    assert {row["holiday"] for row in json.loads(stored["holidays"])["data"]} == set(design.holidays)
    assert set(stored["extra_regressors"][1]) == {f"given_{regressor.name}" for regressor in design.regressors}
    assert {regressor["prior_scale"] for regressor in stored["extra_regressors"][1].values()} == {0.2}


def both(panel: Panel, known: Outlook, horizon: int) -> tuple[Floats, Floats]:
    """Return the forecasts of `linear` and of Prophet."""
    linear, prophet = (FAMILIES[name].fit(panel, known, Recipe(seed=1)) for name in ("linear", "prophet"))
    return linear.predict(panel, known, horizon), prophet.predict(panel, known, horizon)


def test_it_forecasts_nearly_as_prophet_does() -> None:
    """On a shop of two products the two differ by less than 3 % of the mean."""
    panel, known = shop(400, (60.0, 15.0), seed=1)
    linear, prophet = both(panel, known, 28)
    assert (np.abs(linear - prophet).mean(axis=1) < 0.03 * prophet.mean(axis=1)).all()


@pytest.mark.parametrize("count", [200, 1000])
def test_they_agree_where_covariates_are_missing(count: int) -> None:
    """Days without a covariate, past and to come, are filled alike by both."""
    panel, known = shop(count, (60.0,), seed=2)
    for values in known.covariates.values():
        values[: count // 4] = NAN
        values[count:] = NAN
    linear, prophet = both(panel, known, 28)
    assert np.abs(linear - prophet).mean() < 0.03 * prophet.mean()


@pytest.mark.long
@pytest.mark.parametrize("count", [60, 200, 400, 800, 1100])
@pytest.mark.parametrize("seed", [11, 12])
def test_it_stays_near_prophet_on_many_series(count: int, seed: int) -> None:
    """Whatever the length, the difference is below 3 % of all units (8 % within 3 months), 20 % of any product's."""
    panel, known = shop(count, (200.0, 60.0, 15.0, 4.0), seed=seed)
    linear, prophet = both(panel, known, 28)
    apart = np.abs(linear - prophet)
    assert apart.sum() < (0.03 if count >= 90 else 0.08) * prophet.sum()
    assert (apart.mean(axis=1) < 0.2 * np.nanmean(panel.quantity[:, -90:], axis=1)).all()


@pytest.mark.long
def test_its_errors_can_stand_for_prophets() -> None:
    """Over six series and four rolling origins its WAPE is within 5 % of Prophet's: the one stands for the other."""
    panel, known = shop(900, (150.0, 80.0, 40.0, 20.0, 10.0, 3.0), seed=21)
    blocks: dict[str, list[Floats]] = {"linear": [], "prophet": [], "actual": []}
    for back in range(4, 0, -1):
        stop = 900 - 14 * back
        linear, prophet = both(panel.until(panel.dates[stop - 1]), known, 14)
        for name, block in (("linear", linear), ("prophet", prophet), ("actual", panel.quantity[:, stop : stop + 14])):
            blocks[name].append(block)
    actual = np.concatenate(blocks["actual"])
    wape = {name: measure(actual, np.concatenate(blocks[name])).wape for name in ("linear", "prophet")}
    assert wape["linear"] == pytest.approx(wape["prophet"], rel=0.05)
    for row in range(6):
        own = [measure(actual[row::6], np.concatenate(blocks[name])[row::6]).wape for name in wape]
        assert own[0] == pytest.approx(own[1], rel=0.15)
