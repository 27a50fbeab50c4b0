"""How often stable sales are called drifting, and how soon a shift is found."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import drift_panels
from benchmarks.drift_panels import CHAIN, DAYS, SAMPLE, Noise, stable
from benchmarks.page import Choice, Page, Steps, figure, steps, table, verdict
from benchmarks.scoring import HORIZON
from benchmarks.tasks import Task, at_hand, prepare
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.observe import observe
from pipeline.engine.outliers import hold_outliers
from pipeline.engine.panel import Bools, Floats, Outlook, Panel, Status
from pipeline.engine.sales_level import JUDGED_DAYS, LEAST_DAYS, LEAST_UNITS, levels
from pipeline.engine.shifts import Moved, Stretch, drifting, moved
from pipeline.engine.usual import explained
from pipeline.settings import Settings, get_settings
from pipeline.training.backtest import read

PRODUCTS, WEEKS = 1000, 20
STANDING = (7, 14, 28)
"""Days that a model stands: the weekly retraining, RETRAIN_AFTER_NEW_DAYS, and the longest that the plan allows."""
BUSY = 20.0
FEW = 0.02
ONSETS = (1, 8, 15)
"""Days after the origin on which a shift begins."""
SEEDS = (31, 32, 33, 34, 35, 36, 37, 38)
"""None of them was looked at when the rule was made."""
FOUND_WITHIN = 10
NOISES = {"as the sample": SAMPLE, "as a real chain": CHAIN}
BLOCKS = 4
SMALL = (5, 40)
"""Products of a small shop, and how many such shops."""
FIRST = pd.Timestamp("2024-01-01")


@dataclass(frozen=True)
class Alarms:
    """Share of product-weeks with an alarm on any day, of those that were judged, and how many were."""

    where: str
    standing: int
    share: float
    weeks: int


@dataclass(frozen=True)
class Found:
    """Share of shifted products with 20 or more sales a day that were found in time, and how many there were."""

    where: str
    factor: float
    who: str
    share: float
    products: int


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the page of drift."""
    begun, settings = time.perf_counter(), get_settings()
    cases = [(name, noise, factor, who) for name, noise in NOISES.items() for factor in (1.4, 0.6) for who in (FEW, 1)]
    real = [task for task in at_hand() if task.real]
    with steps(len(NOISES) * (len(STANDING) + 1) + len(cases) + len(real) * len(STANDING)) as progress:
        alarms = list(_stable(settings, progress))
        found = [_found(case, settings, progress) for case in cases]
        sane = [one for task in real for one in _real(task, settings, progress)]
    yield page(alarms, found, sane, time.perf_counter() - begun)


def page(alarms: list[Alarms], found: list[Found], real: list[Alarms], seconds: float) -> Page:
    """Return the page of what was measured."""
    lines = [
        "# What is called drift",
        "",
        f"Panels of {PRODUCTS:,} products, looked at every day of {WEEKS} weeks: weekly and yearly season, holidays, "
        "sold-out days, more spread than Poisson's, and movements of each product and of the whole shop that last for "
        "days. `as the sample` has the overdispersion and seasons of the sample businesses; `as a real chain` is so "
        "noisy that ten-day sums of products move by 11 % beside one another, as those of a German bakery chain do. "
        "Sales and residuals (of the seasonal average) are judged together, as in production.",
        "",
        "Product-weeks in which any daily look raised an alarm, of those judged:",
        "",
        *table(
            ["", "days a model stands", "alarms, %", "product-weeks"],
            [[one.where, str(one.standing), figure(100 * one.share, 2), f"{one.weeks:,}"] for one in alarms + real],
        ),
        f"Products with {BUSY:.0f} or more sales a day whose level shifts by 40 %, found within {FOUND_WITHIN} days. "
        f"The shift begins {', '.join(map(str, ONSETS))} days after the model's origin:",
        "",
        *table(
            ["", "shift", "who shifts", "found, %", "products"],
            [[o.where, f"{o.factor - 1:+.0%}", o.who, figure(100 * o.share, 1), str(o.products)] for o in found],
        ),
    ]
    worst = max(one.share for one in alarms)
    lines += table(
        ["bar", "measured", "asked", ""],
        [
            ["alarms on stable panels, % of product-weeks, the worst", figure(100 * worst, 2), "at most 1",
             verdict(worst <= 0.01)],
            *(_bar(noise, min(one.share for one in found if one.where == noise)) for noise in NOISES),
        ],
    )  # fmt: skip
    lines += [f"Measured in {seconds:.0f} s.", ""]
    return Page("\n".join(lines))


def _bar(noise: str, least: float) -> list[str]:
    said = f"found within {FOUND_WITHIN} days, {noise}, %, the worst"
    return [said, figure(100 * least, 1), "at least 90", verdict(least >= 0.9)]


def _stable(settings: Settings, progress: Steps) -> Iterator[Alarms]:
    for name, noise in NOISES.items():
        for standing in STANDING:
            with progress.doing(f"{name}, models stand {standing} days"):
                yield _of_panels(name, noise, (PRODUCTS, 1), standing, settings)
        with progress.doing(f"{name}, small shops"):
            small = f"{name}, {SMALL[1]} shops of {SMALL[0]} products"
            yield _of_panels(small, noise, SMALL, max(STANDING), settings)


def _of_panels(name: str, noise: Noise, size: tuple[int, int], standing: int, settings: Settings) -> Alarms:
    """Alarms over some panels of so many products each."""
    found = []
    for seed in range(size[1]):
        panel = stable(noise, size[0], 1000 + seed)
        units = panel.units()
        found.append(_alarms(name, units, np.where(panel.known, units, np.nan), standing, settings))
        _FORECASTS.clear()
    weeks = sum(one.weeks for one in found)
    return Alarms(name, standing, sum(one.share * one.weeks for one in found if one.weeks) / weeks, weeks)


def _alarms(name: str, units: Floats, seen: Floats, standing: int, settings: Settings) -> Alarms:
    first = units.shape[1] - 7 * WEEKS
    raised, judged = np.zeros((2, len(units), WEEKS), bool)
    for day in range(first, units.shape[1]):
        origin = first - 1 + (day - first) // standing * standing
        if day - origin < LEAST_DAYS:
            continue
        kinds = _kinds(units, seen, origin, day)
        raised[:, (day - first) // 7] |= np.any(_drift(kinds, settings), axis=0)
        judged[:, (day - first) // 7] |= np.any([np.isfinite(one.change) for one in kinds], axis=0)
    return Alarms(name, standing, float(raised[judged].mean()) if judged.any() else 0.0, int(judged.sum()))


def _drift(kinds: list[Moved], settings: Settings) -> list[Bools]:
    return drifting(kinds, settings.drift_least_change, settings.drift_false_share)


_FORECASTS: dict[tuple[int, int], Floats] = {}


def _kinds(units: Floats, seen: Floats, origin: int, day: int) -> list[Moved]:
    """Both kinds of evidence of one look; forecasts of the seasonal average stand for those of a model."""
    gap = min(day - origin, JUDGED_DAYS)
    now = _residuals(units, seen, origin, (day - gap, day), (LEAST_UNITS, LEAST_DAYS))
    starts = [origin - HORIZON * (block + 1) for block in range(BLOCKS)]
    past = [_residuals(units, seen, start, (start, start + gap), (LEAST_UNITS / 2, 1)) for start in starts]
    return [moved(*levels(seen, origin, day)), moved(now, past)]


def _residuals(units: Floats, seen: Floats, origin: int, days: tuple[int, int], least: tuple[float, int]) -> Stretch:
    """What was sold after a day, up to another, against what was forecast from an origin; least units and days."""
    key = (id(units), origin)
    if key not in _FORECASTS:
        history = _as_panel(units[:, : origin + 1])
        outlook = Outlook(pd.date_range(FIRST, periods=origin + 1 + max(STANDING)))
        fitted = FAMILIES["seasonal_average"].fit(history, outlook, Recipe())
        _FORECASTS[key] = fitted.predict(history, outlook, max(STANDING))
    after, last = days
    said, sold = _FORECASTS[key][:, after - origin : last - origin], seen[:, after + 1 : last + 1]
    known = np.isfinite(sold) & np.isfinite(said)
    expected = np.where(known, said, 0.0).sum(axis=1)
    usable = (known.sum(axis=1) >= least[1]) & (expected >= least[0])
    return Stretch(np.where(known, sold, 0.0).sum(axis=1), expected, 1 / np.maximum(expected, 1.0), usable)


def _as_panel(units: Floats) -> Panel:
    status = np.where(np.isnan(units), Status.MASKED, np.where(units > 0, Status.SOLD, Status.ZERO)).astype(np.int8)
    names = tuple(f"p{row}" for row in range(len(units)))
    return Panel(names, pd.date_range(FIRST, periods=units.shape[1]), units, status)


def _found(case: tuple[str, Noise, float, float], settings: Settings, progress: Steps) -> Found:
    name, noise, factor, who = case
    told = "all" if who == 1 else f"{who:.0%} of them"
    hits: list[Bools] = []
    with progress.doing(f"{name}, {factor - 1:+.0%}, {told}"):
        for seed in SEEDS if who < 1 else SEEDS[:2]:
            panel = stable(noise, PRODUCTS, seed)
            for onset in ONSETS:
                shifted = np.random.default_rng([seed, onset]).random(PRODUCTS) < who
                hits.append(_hits(panel, factor, shifted, onset, settings))
                _FORECASTS.clear()
    together = np.concatenate(hits)
    return Found(name, factor, told, float(together.mean()), len(together))


def _hits(panel: drift_panels.Panel, factor: float, shifted: Bools, onset: int, settings: Settings) -> Bools:
    """Of the shifted products that sell enough: whether any look of the first days found them, the right way."""
    origin = DAYS - max(ONSETS) - FOUND_WITHIN - 1
    begins = origin + onset
    units = panel.units(factor, shifted, begins)
    seen, found = np.where(panel.known, units, np.nan), np.zeros(PRODUCTS, bool)
    for day in range(max(begins, origin + LEAST_DAYS), begins + FOUND_WITHIN):
        kinds = _kinds(units, seen, origin, day)
        for one, rows in zip(kinds, _drift(kinds, settings), strict=True):
            found |= rows & (np.sign(one.change) == np.sign(factor - 1))
    busy = panel.mean[:, begins - 28 : begins].mean(axis=1) >= BUSY
    return np.asarray(found[shifted & busy])


def _real(task: Task, settings: Settings, progress: Steps) -> Iterator[Alarms]:
    """Alarms on the last weeks of real sales, which do shift: what an owner would see."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        ledger, outlook = read(prepare(task, Path(folder) / task.name).tenant, settings, HORIZON)
    panel = hold_outliers(observe(ledger, outlook), outlook).panel
    units = panel.quantity
    seen = np.where(explained(panel, outlook), np.nan, units)
    for standing in STANDING:
        with progress.doing(f"{task.name}, models stand {standing} days"):
            yield _alarms(task.name, units, seen, standing, settings)
        _FORECASTS.clear()
