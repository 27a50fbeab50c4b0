"""Simulated shops with trends, seasons, holidays, promotions and gaps, for comparing families."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.engine.panel import Outlook, Panel
from pipeline_tests.engine.builders import NAN, days, panel_of

AHEAD = 60
FIRST = pd.Timestamp("2022-01-03")


def outlook(count: int, seed: int = 0) -> Outlook:
    """Return public holidays on the same dates of each year, the temperature, and promotions."""
    dates, rng = days(count + AHEAD, FIRST), np.random.default_rng([seed, count])
    marked = {name: (dates.month == month) & (dates.day == day) for name, month, day in HOLIDAYS}
    warmth = 15 + 8 * np.sin(2 * np.pi * (dates.dayofyear.to_numpy() - 100) / 365.25) + rng.normal(0, 3, len(dates))
    promo = (rng.random(len(dates)) < 0.1).astype(float)
    return Outlook(dates, marked, None, {"temperature": warmth, "promotion": promo})


HOLIDAYS = (("new year", 1, 1), ("labour", 5, 1), ("feast", 8, 15), ("christmas", 12, 25))


def shop(count: int, levels: tuple[float, ...], seed: int = 0) -> tuple[Panel, Outlook]:
    """Return products of the given levels over `count` days: Poisson around trend, seasons, holidays, promotions."""
    known, rng = outlook(count, seed), np.random.default_rng([seed, count, 1])
    t = np.arange(count)
    day_of_year = known.dates.dayofyear.to_numpy()[:count]
    fair = sum(marks[:count] for marks in known.holidays.values())
    rows = []
    for number, level in enumerate(levels):
        bend = np.where(t > count // 3, (t - count // 3) / count, 0.0) * rng.normal(0, 0.6)
        week = rng.normal(0, 0.25, 7)[t % 7]
        year = rng.normal(0, 0.15) * np.cos(2 * np.pi * (day_of_year - 30 * number) / 365.25)
        driven = 0.3 * known.covariates["promotion"][:count] + 0.01 * (known.covariates["temperature"][:count] - 15)
        rows.append(rng.poisson(level * np.clip(1 + bend + week + year + driven + 0.5 * fair, 0.05, None)))
    units = np.array(rows, float)
    units[rng.random(units.shape) < 0.02] = NAN
    return panel_of(units, tuple(f"product {row}" for row in range(len(levels))), first=FIRST), known
