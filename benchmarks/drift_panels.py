"""Stable panels with the properties of real sales, to see what is called drift in them; and shifts put into them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.engine.panel import Bools, Floats

DAYS = 2 * 365 + 170
SOLD_OUT = 0.015
HOLIDAYS = 11
"""A year; sales of the day are drawn anew, and it and its neighbours are known beforehand."""


@dataclass(frozen=True)
class Noise:
    """How a panel moves without drifting: `own` and `shared` are autocorrelated with 0.4 and 0.5 a day.

    `dispersion` is the variance beyond Poisson's as a share of the squared mean; `own` and `shared` the standard
    deviations of a product's and of the whole shop's daily movements, as shares; `yearly` that of the products'
    yearly amplitudes.
    """

    dispersion: float
    own: float
    shared: float
    yearly: float


SAMPLE = Noise(0.012, 0.06, 0.05, 0.12)
"""The overdispersion and seasons of the sample businesses, with daily movements of their own and of the shop."""
CHAIN = Noise(0.02, 0.10, 0.06, 0.20)
"""As much as ten-day sums of the products of a real bakery chain move beside one another: 11 %."""


@dataclass(frozen=True)
class Panel:
    """`mean` (n, t) units expected of each day, `known` (n, t) days of which nothing was known beforehand."""

    mean: Floats
    known: Bools
    noise: Noise
    seed: int

    def units(self, factor: float = 1.0, shifted: Bools | None = None, since: int = DAYS) -> Floats:
        """Draw what is sold; of the shifted products (n,) so many times as much from a day on. NaN: sold out."""
        rng = np.random.default_rng([self.seed, since])
        mean = self.mean.copy()
        if shifted is not None:
            mean[shifted, since:] *= factor
        shape = 1 / self.noise.dispersion
        drawn = rng.poisson(mean * rng.gamma(shape, 1 / shape, mean.shape)).astype(float)
        return np.where(rng.random(mean.shape) < SOLD_OUT, np.nan, drawn)


def stable(noise: Noise, products: int, seed: int) -> Panel:
    """Return a panel without drift: weekly and yearly season, holidays, movements that last for days."""
    rng, day = np.random.default_rng(seed), np.arange(DAYS)
    level = np.exp(rng.normal(2.2, 1.4, products)).clip(0.05, 400)
    week = 7 * rng.dirichlet(np.full(7, 30.0), products)[:, day % 7]
    amplitude = np.abs(rng.normal(0, noise.yearly, products)).clip(0, 0.5)[:, None]
    peak = rng.integers(0, 365) + rng.normal(0, 40, products)[:, None]
    season = np.exp(amplitude * np.cos(2 * np.pi * (day - peak) / 365.25))
    moves = np.exp(_moves(rng, products, noise.own, 0.4) + _moves(rng, 1, noise.shared, 0.5))
    holiday = np.isin(day % 365, rng.choice(365, HOLIDAYS, replace=False))
    effect = np.where(holiday, rng.uniform(0.5, 1.8, (products, 1)), 1.0)
    near = holiday | np.roll(holiday, 1) | np.roll(holiday, -1)
    return Panel(level[:, None] * week * season * moves * effect, np.tile(~near, (products, 1)), noise, seed)


def _moves(rng: np.random.Generator, count: int, spread: float, memory: float) -> Floats:
    """(count, t): first-order autoregressions with a standard deviation."""
    shocks = rng.normal(0, spread * np.sqrt(1 - memory**2), (count, DAYS))
    shocks[:, 0] /= np.sqrt(1 - memory**2)
    for today in range(1, DAYS):
        shocks[:, today] += memory * shocks[:, today - 1]
    return shocks
