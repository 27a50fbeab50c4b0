"""`linear` and Prophet where seasons and events multiply the trend."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares

from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.families.design import DEFAULTS, lay_design
from pipeline.engine.families.linear import alternate, mean, solve
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline_tests.engine.builders import outlook_of, panel_of
from pipeline_tests.engine.simulated import shop

MULTIPLIES = {"seasonality_mode": "multiplicative"}


def growing(count: int = 600) -> Floats:
    """Return a product that triples while its weekend sells half as much again."""
    week = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5])
    return (20 + 40 * np.arange(count) / count) * week[np.arange(count) % 7]


def test_a_season_that_grows_with_the_level_is_continued() -> None:
    """Where the weekend sells half as much again at any level, the forecast says so; the additive one cannot."""
    known, units = outlook_of(700), growing(628)
    panel, ahead = panel_of(units[:600]), units[600:]
    made = {
        mode: FAMILIES["linear"].fit(panel, known, Recipe({"seasonality_mode": mode})).predict(panel, known, 28)[0]
        for mode in ("additive", "multiplicative")
    }
    errors = {mode: float(np.abs(forecast - ahead).mean()) for mode, forecast in made.items()}
    assert errors["multiplicative"] < 0.01 * ahead.mean()
    assert errors["additive"] > 3 * errors["multiplicative"]


@pytest.mark.parametrize("count", [120, 500])
def test_against_a_general_solver(count: int) -> None:
    """Solving in turn finds what a general solver finds for trend and effects together, priors included."""
    panel, known = shop(count, (40.0,), seed=count)
    design, dates, units = lay_design(panel, 0, known, -1, DEFAULTS)
    x, y = design.matrix(dates, known, -1), units / units.max()
    prior, trend = design.prior_variances(DEFAULTS), design.trend_columns
    found = alternate(x, y, prior, trend, turns=60)
    noise = float(np.mean((y - mean(x, found, trend)) ** 2))

    def parts(coefficients: Floats) -> Floats:
        return np.concatenate([(y - mean(x, coefficients, trend)) / np.sqrt(noise), coefficients / np.sqrt(prior)])

    slow = least_squares(parts, found + np.random.default_rng(1).normal(0, 0.02, len(found)), xtol=1e-12, ftol=1e-12)
    np.testing.assert_allclose(mean(x, found, trend), mean(x, slow.x, trend), atol=2e-3)
    few = alternate(x, y, prior, trend)
    np.testing.assert_allclose(mean(x, few, trend), mean(x, found, trend), atol=5e-3)


def both(panel: Panel, known: Outlook) -> tuple[Floats, Floats]:
    """Return what `linear` and Prophet forecast for 28 days."""
    recipe = Recipe(MULTIPLIES, seed=1)
    fitted = (FAMILIES[name].fit(panel, known, recipe) for name in ("linear", "prophet"))
    linear, prophet = (one.predict(panel, known, 28) for one in fitted)
    return linear, prophet


@pytest.mark.parametrize("count", [200, 800])
def test_it_forecasts_nearly_as_prophet_does(count: int) -> None:
    """On a shop of two products the two differ by less than 4 % of the mean."""
    panel, known = shop(count, (60.0, 15.0), seed=1)
    linear, prophet = both(panel, known)
    assert np.abs(linear - prophet).mean() < 0.04 * prophet.mean()


def test_prophet_takes_the_mode() -> None:
    """The library's own model is told to multiply."""
    panel, known = shop(200, (30.0,), seed=2)
    stored = FAMILIES["prophet"].fit(panel, known, Recipe(MULTIPLIES)).to_files()["prophet.json"]
    assert b'\\"seasonality_mode\\": \\"multiplicative\\"' in stored


def test_without_seasons_the_modes_agree() -> None:
    """A series too short for any season has one forecast, whatever the mode."""
    panel, known = panel_of(np.linspace(5, 9, 14)), outlook_of(40)
    off = {"weekly": "false", "yearly": "false"}
    one, other = (
        solve(panel, 0, known, {**DEFAULTS, **off, "seasonality_mode": mode}) for mode in ("additive", "multiplicative")
    )
    ahead = pd.date_range(panel.last + pd.Timedelta(days=1), periods=7)
    np.testing.assert_allclose(one.at(ahead, known), other.at(ahead, known), rtol=1e-3)


def test_settings_by_product_are_kept() -> None:
    """Each product is solved with its own settings, also when read back from its files."""
    panel, known = panel_of(np.array([growing(300), growing(300)])), outlook_of(400)
    recipe = Recipe({}, by_product={"p1": MULTIPLIES})
    family = FAMILIES["linear"]
    fitted = family.fit(panel, known, recipe)
    forecast = fitted.predict(panel, known, 28)
    assert np.abs(forecast[0] - forecast[1]).max() > 0.5
    np.testing.assert_array_equal(family.from_files(fitted.to_files()).predict(panel, known, 28), forecast)
