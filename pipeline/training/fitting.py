"""What a training computes in worker processes: the functions, and what they take and give.

A worker imports this module, so it imports the engine alone: a database's library would cost each worker 40 MB.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from contracts import DemandClass
from pipeline.engine.demand import understand
from pipeline.engine.evaluate import OriginForecasts, Task, at_origin
from pipeline.engine.explain import explain
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.faults import borne
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import Parts, total
from pipeline.engine.tuning import Search, Tuned, tune
from pipeline.errors import FamilyError
from pipeline.logs import bound

logger = logging.getLogger(__name__)
EXPLAINED_DAYS = 1
"""Days ahead whose forecast is explained with the fit; trees take milliseconds for a product and day."""


@dataclass(frozen=True)
class SearchTask:
    """One demand class's products and how their settings are searched."""

    demand_class: DemandClass
    panel: Panel
    outlook: Outlook
    horizon: int
    search: Search


@dataclass(frozen=True)
class PooledTask:
    """A family to fit once for all products of a panel; where `files` holds an earlier fit, that one is used.

    `explained` are the products whose forecast for the first day is to be explained.
    """

    family: str
    panel: Panel
    outlook: Outlook
    recipe: Recipe
    horizon: int
    files: Mapping[str, bytes] | None = None
    explained: tuple[str, ...] = ()


@dataclass(frozen=True)
class PooledFit:
    """A pooled family's files, (n, h) units ahead, (explained, 1) parts of the first day's, and the seconds it took."""

    files: Mapping[str, bytes]
    forecasts: Floats
    parts: Parts
    seconds: float


@dataclass(frozen=True)
class ProductTask:
    """One product, alone in its panel, and the families to fit to it."""

    panel: Panel
    outlook: Outlook
    recipes: Mapping[str, Recipe]
    horizon: int

    @property
    def product(self) -> str:
        """The product's id."""
        return self.panel.products[0]


@dataclass(frozen=True)
class Fits:
    """One product's fits.

    `files` holds what must be stored of each family, by file name; `forecasts` its (h,) units; `parts` the (1, 1) parts
    of the first day's; `faults` why a family failed; `seconds` what it took.
    """

    files: Mapping[str, Mapping[str, bytes]]
    forecasts: Mapping[str, Floats]
    parts: Mapping[str, Parts]
    faults: Mapping[str, str]
    seconds: float


def prepare(task: Task | PooledTask | SearchTask) -> OriginForecasts | PooledFit | Tuned:
    """Do any task that concerns many products, in a worker; one function, so that one set of workers serves them."""
    if isinstance(task, Task):
        return at_origin(task)
    return fit_pooled(task) if isinstance(task, PooledTask) else search_class(task)


def search_class(task: SearchTask) -> Tuned:
    """Search the settings of a class."""
    return tune(task.panel, understand(task.panel), task.outlook, task.horizon, task.search)


def fit_pooled(task: PooledTask) -> PooledFit:
    """Fit a pooled family, or take the earlier fit, and forecast.

    Raises:
        FamilyError: the panel cannot carry it, or the files are not what they should be.
    """
    started, family = time.perf_counter(), FAMILIES[task.family]
    known = task.files
    fitted = family.from_files(known) if known else family.fit(task.panel, task.outlook, task.recipe)
    forecasts = fitted.predict(task.panel, task.outlook, task.horizon)
    few = task.panel.take([task.panel.row[product] for product in task.explained])
    parts = explain(task.family, fitted, few, task.outlook.take(few.products), EXPLAINED_DAYS) if few.products else {}
    return PooledFit(known or fitted.to_files(), forecasts, parts, time.perf_counter() - started)


def fit_product(task: ProductTask) -> Fits:
    """Fit each family to one product; one that fails is noted and left out."""
    with bound(product=task.product):
        fits = _fitted(task)
        logger.debug("fitted %s in %.1f s", ", ".join(fits.files) or "nothing", fits.seconds)
    return fits


def _fitted(task: ProductTask) -> Fits:
    started = time.perf_counter()
    files, forecasts, parts, faults = {}, {}, {}, {}
    for name, recipe in task.recipes.items():
        try:
            fitted = FAMILIES[name].fit(task.panel, task.outlook, recipe)
            told = explain(name, fitted, task.panel, task.outlook, task.horizon)
            ahead = total(told)[0]
            if not np.isfinite(ahead).all():
                raise FamilyError(f"the forecast of {task.product!r} is not finite")
            forecasts[name], files[name] = ahead, fitted.to_files()
            parts[name] = {part: units[:, :EXPLAINED_DAYS] for part, units in told.items()}
        except borne(name) as error:
            faults[name] = f"{type(error).__name__}: {error}"
    return Fits(files, forecasts, parts, faults, time.perf_counter() - started)
