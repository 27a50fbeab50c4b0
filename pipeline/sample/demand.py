"""How the sample's demand comes about: seasons, trends, holidays, weather, promotions, chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.sample.catalogue import KINDS, Business, Climate, Item, Role

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

AHEAD_DAYS = 28
"""Days past the end of sales for which covariates and the truth are given."""
DISPERSION = 0.012
"""Variance of a day's demand is mean + DISPERSION * mean^2: a little more than Poisson."""
NEW_DAYS, NEWEST_DAYS, DISCONTINUED_DAYS = 45, 20, 200
PROMOTION_DAYS, PROMOTION_GAP = 6, 60
PRICE_STEP, INFLATION = 0.05, 0.035


@dataclass(frozen=True)
class Effects:
    """What one product's mean demand is made of; the parts are multiplied.

    `level` units on an average day at the end of the data; `weekly` multipliers Monday to Sunday, of
    mean 1; `yearly` amplitude (share) with its `peak` day of the year; `growth_before` and
    `growth_after` the `changepoint`, log per year; `holiday` and `promotion` multipliers; `temperature`
    log per 10 °C, `rain` log per 10 mm. Without covariates given, the last three are 1, 0 and 0.
    """

    product_id: str
    role: str
    level: float
    weekly: tuple[float, ...]
    yearly: float
    peak: int
    growth_before: float
    growth_after: float
    changepoint: pd.Timestamp
    holiday: float
    promotion: float
    temperature: float
    rain: float


@dataclass(frozen=True)
class Days:
    """The days of a business: t days of history and AHEAD_DAYS more; n products.

    `holiday`, `temperature` (°C, against the yearly mean in `mean_temperature`) and `rain` (mm) are (t,);
    `promotion`, `opened` and `alive` (n, t).
    """

    dates: pd.DatetimeIndex
    holiday: Bools
    temperature: Floats
    mean_temperature: float
    rain: Floats
    promotion: Bools
    opened: Bools
    alive: Bools

    @property
    def past(self) -> int:
        """Number of days of history."""
        return len(self.dates) - AHEAD_DAYS


def draw_effects(
    items: Sequence[Item], dates: pd.DatetimeIndex, rng: np.random.Generator, *, driven: bool
) -> tuple[Effects, ...]:
    """Draw each product's effects around its kind's.

    Args:
        items: the products.
        dates: days of history; changepoints lie in their middle half.
        rng: source of chance.
        driven: whether covariates (weather, promotions) are given, and so have an effect.
    """
    return tuple(_effects_of(item, dates, rng, driven) for item in items)


def _effects_of(item: Item, dates: pd.DatetimeIndex, rng: np.random.Generator, driven: bool) -> Effects:
    kind = KINDS[item.kind]
    weekly = np.array(kind.weekly) * rng.normal(1, 0.03, 7)
    before, after = rng.normal(0.05, 0.10), rng.normal(0.0, 0.14)
    changepoint = dates[int(len(dates) * rng.uniform(0.25, 0.75))]
    vary = rng.uniform(0.8, 1.2, 4)
    return Effects(
        product_id=item.id,
        role=item.role.value,
        level=item.daily,
        weekly=tuple(float(w) for w in weekly / weekly.mean()),
        yearly=kind.yearly * float(vary[0]),
        peak=kind.peak,
        growth_before=float(before),
        growth_after=float(after),
        changepoint=changepoint,
        holiday=kind.holiday,
        promotion=float(1 + (kind.promotion - 1) * vary[1]) if driven else 1.0,
        temperature=kind.warm * float(vary[2]) if driven else 0.0,
        rain=kind.rain * float(vary[3]) if driven else 0.0,
    )


def mean_demand(effects: Sequence[Effects], days: Days) -> Floats:
    """Return (n, t): expected units a day; 0 where the shop is closed or the product not on sale."""
    weekday, day_of_year = days.dates.dayofweek.to_numpy(), days.dates.dayofyear.to_numpy()
    weekly = np.array([e.weekly for e in effects])[:, weekday]
    phase = 2 * np.pi * (day_of_year[None, :] - _column([e.peak for e in effects])) / 365.25
    yearly = 1 + _column([e.yearly for e in effects]) * np.cos(phase)
    warmth = (days.temperature - days.mean_temperature)[None, :] / 10
    weather = _column([e.temperature for e in effects]) * warmth
    weather = weather + _column([e.rain for e in effects]) * days.rain[None, :] / 10
    holiday = np.where(days.holiday[None, :], _column([e.holiday for e in effects]), 1.0)
    promotion = np.where(days.promotion, _column([e.promotion for e in effects]), 1.0)
    level = _column([e.level for e in effects]) * np.exp(_trend(effects, days) + weather)
    return np.where(days.opened & days.alive, level * weekly * yearly * holiday * promotion, 0.0)


def _trend(effects: Sequence[Effects], days: Days) -> Floats:
    """Return (n, t): log growth, continuous at the changepoint and 0 on the last day of history."""
    end = days.dates[days.past - 1]
    bend = _column([(e.changepoint - end).days / 365.25 for e in effects])
    years = ((days.dates - end).days.to_numpy() / 365.25)[None, :]
    after = _column([e.growth_after for e in effects]) * np.maximum(years, bend)
    return after + _column([e.growth_before for e in effects]) * np.minimum(years - bend, 0)


def _column(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=float)[:, None]


def draw_demand(mean: Floats, rng: np.random.Generator) -> Floats:
    """Return (n, t): whole units demanded, drawn around `mean` (gamma-Poisson)."""
    noise = rng.gamma(1 / DISPERSION, DISPERSION, mean.shape)
    return rng.poisson(mean * noise).astype(float)


def draw_days(business: Business, items: Sequence[Item], end: pd.Timestamp, rng: np.random.Generator) -> Days:
    """Lay out a business's days: holidays, weather, promotions, opening days and products' lives."""
    start = end - pd.Timedelta(days=business.days - 1)
    dates = pd.date_range(start, end + pd.Timedelta(days=AHEAD_DAYS), freq="D")
    holiday = _public_holidays(business, dates)
    temperature, rain = _weather(business.climate, dates, rng)
    shape = (len(items), len(dates))
    return Days(
        dates,
        holiday,
        temperature,
        business.climate.mean,
        rain,
        _promotions(business, shape, rng),
        _opened(business, items, dates, holiday),
        np.array([_life(item.role, business.days, len(dates)) for item in items]),
    )


def _public_holidays(business: Business, dates: pd.DatetimeIndex) -> Bools:
    import holidays

    known = holidays.country_holidays(
        business.country, subdiv=business.region, years=range(dates[0].year, dates[-1].year + 1)
    )
    return np.array([day in known for day in dates.date], dtype=bool)


def _weather(climate: Climate, dates: pd.DatetimeIndex, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return temperature in °C (season and spells of about five days) and rain in mm, as published."""
    season = -np.cos(2 * np.pi * (dates.dayofyear.to_numpy() - 20) / 365.25)
    shocks = rng.normal(0, 1.6, len(dates) + 30)
    spells = np.convolve(shocks, 0.78 ** np.arange(31), mode="valid")
    wet = rng.random(len(dates)) < climate.wet_days
    rain = np.where(wet, rng.gamma(1.2, climate.rain / 1.2, len(dates)), 0.0)
    temperature: Floats = np.asarray(climate.mean + climate.swing * season + spells, dtype=float)
    return temperature.round(1), np.minimum(rain, 40).round(1)


def _promotions(business: Business, shape: tuple[int, int], rng: np.random.Generator) -> Bools:
    """Return (n, t): a promotion of some days about every two months, for all products or each its own."""
    if business.covariates == "none":
        return np.zeros(shape, bool)
    rows, days = (1 if business.covariates == "by_date" else shape[0]), shape[1]
    starts = np.arange(0, days, PROMOTION_GAP)[None, :] + rng.integers(0, 40, (rows, -(-days // PROMOTION_GAP)))
    since = np.arange(days)[None, :, None] - starts[:, None, :]
    running = np.asarray(((since >= 0) & (since < PROMOTION_DAYS)).any(axis=2))
    return np.broadcast_to(running, shape).copy()


def _opened(business: Business, items: Sequence[Item], dates: pd.DatetimeIndex, holiday: Bools) -> Bools:
    names = np.array(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])[dates.dayofweek]
    closed: Bools = np.isin(names, business.closed_weekdays)
    if business.closed_christmas:
        closed = closed | ((dates.month.to_numpy() == 12) & (dates.day.to_numpy() == 25))
    if business.closed_holidays:
        closed = closed | holiday
    rests = np.array([bool(item.location) and item.location == business.closed_sundays_at for item in items])
    resting: Bools = rests[:, None] & (names == "sun")[None, :]
    return ~(closed[None, :] | resting)


def _life(role: Role, past: int, total: int) -> Bools:
    """Return (t,): the days on which a product of this role is on sale."""
    day = np.arange(total)
    if role is Role.DISCONTINUED:
        return np.asarray(day < past - DISCONTINUED_DAYS)
    first = {Role.NEW: past - NEW_DAYS, Role.NEWEST: past - NEWEST_DAYS}.get(role, 0)
    return np.asarray(day >= first)


def prices(items: Sequence[Item], days: Days) -> Floats:
    """Return (n, t): unit prices in euros, rising once a year, 15 % less on promotion."""
    years = days.dates.year.to_numpy() - days.dates[days.past - 1].year
    listed = np.array([i.price for i in items])[:, None] * (1 + INFLATION) ** years[None, :]
    listed = np.where(years[None, :] == 0, [[i.price] for i in items], np.round(listed / PRICE_STEP) * PRICE_STEP)
    charged: Floats = np.where(days.promotion, listed * 0.85, listed)
    return charged.round(2)
