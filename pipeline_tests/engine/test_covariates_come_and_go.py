"""A standing model meets a calendar that has changed since it was fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.panel import Outlook
from pipeline_tests.engine.builders import on, outlook_of, panel_of

DAYS, AHEAD = 140, 60
RAIN = np.where(np.arange(DAYS + AHEAD) % 5 == 0, 1.0, 0.0)
LIFT = 30.0


def known(holidays: dict[str, np.ndarray] | None = None, *, rain: bool = True) -> Outlook:
    """Return an outlook with rain and holidays."""
    given = {"rain": RAIN} if rain else {}
    return outlook_of(DAYS + AHEAD, holidays=holidays or {}, covariates=given)


@pytest.mark.parametrize("name", ["prophet", "lightgbm"])
def test_a_covariate_that_is_no_longer_given_is_missing_not_an_error(name: str) -> None:
    """A stored fit forecasts on without a covariate that it once knew, and ignores one that is new."""
    units = 50 + LIFT * RAIN[:DAYS] + np.arange(DAYS) % 7
    panel = panel_of(np.vstack([units, units + 5]))
    fitted = FAMILIES[name].fit(panel, known(), Recipe(seed=1))
    new = replace(known(rain=False), covariates={"snow": np.zeros(DAYS + AHEAD)})
    made = fitted.predict(panel, new, 14)
    assert made.shape == (2, 14)
    assert np.isfinite(made).all()
    assert made.mean() == pytest.approx(units.mean(), rel=0.35)


def test_prophet_knows_holidays_that_came_into_sight_after_its_fit() -> None:
    """A holiday's effect is used on a day that the calendar did not reach when the model was fitted."""
    fair = on(DAYS + AHEAD, 20, 55, 90, 120)
    units = 50 + 40.0 * fair[:DAYS] + np.arange(DAYS) % 7
    panel = panel_of(units)
    fitted = FAMILIES["prophet"].fit(panel, known({"Fair": fair}, rain=False), Recipe(seed=1))
    later = fair.copy()
    later[DAYS + 3] = True
    with_fair = fitted.predict(panel, known({"Fair": later}, rain=False), 7)[0]
    without = fitted.predict(panel, known({"Fair": fair}, rain=False), 7)[0]
    assert with_fair[3] - without[3] == pytest.approx(40, rel=0.2)
    assert np.delete(with_fair, 3) == pytest.approx(np.delete(without, 3))


def test_prophet_forecasts_on_when_its_holidays_are_gone() -> None:
    """A calendar without any of the holidays of the fit means ordinary days, not an error."""
    fair = on(DAYS + AHEAD, 20, 55, 90, 120)
    panel = panel_of(50 + 40.0 * fair[:DAYS] + np.arange(DAYS) % 7)
    fitted = FAMILIES["prophet"].fit(panel, known({"Fair": fair}, rain=False), Recipe(seed=1))
    assert fitted.predict(panel, known(rain=False), 7)[0] == pytest.approx(np.full(7, 53.0), abs=6)
