"""Where the CPU seconds of a training go: the engine's own functions, called one after the other in one process."""

from __future__ import annotations

import functools
import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.fresh import cpu_seconds
from pipeline.engine import evaluate
from pipeline.engine.families import FAMILIES, Scope
from pipeline.installation import Installation
from pipeline.monitoring.anomalies import judge_days
from pipeline.tenant_data import TenantData
from pipeline.training.evaluation import Origins
from pipeline.training.fitting import PooledTask, ProductTask, fit_pooled, fit_product, search_class
from pipeline.training.recipes import recipes
from pipeline.training.searches import Searches

LIBRARIES = ("prophet", "lightgbm", "optuna", "sklearn.ensemble", "scipy.optimize")
SEARCH = "searches"
ORIGINS, FITS = "past origins", "final fits"
REST = "the rest"
UNUSUAL = "unusual days"


class Clock:
    """CPU seconds by step; what runs inside a step within another counts for the inner one alone."""

    def __init__(self) -> None:
        self.spent: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._open: list[float] = []

    @contextmanager
    def step(self, part: str, what: str) -> Iterator[None]:
        """Count the block for a part of the training and what it does there."""
        begun = cpu_seconds()
        self._open.append(0.0)
        try:
            yield
        finally:
            whole = cpu_seconds() - begun
            self.spent[part, what] += whole - self._open.pop()
            if self._open:
                self._open[-1] += whole

    @contextmanager
    def watching(self, module: ModuleType, name: str, part: str, what: Callable[..., str]) -> Iterator[None]:
        """Count every call of a module's function, under what its arguments say, while the block runs."""
        called = getattr(module, name)

        @functools.wraps(called)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.step(part, what(*arguments, **named)):
                return called(*arguments, **named)

        setattr(module, name, timed)
        try:
            yield
        finally:
            setattr(module, name, called)


def ready(_number: int) -> None:
    """Import what a worker needs, as its first task does: what starting one costs."""
    for name in LIBRARIES:
        importlib.import_module(name)


def spent(installation: Installation, tenant_id: str) -> list[tuple[str, str, float]]:
    """Return part, what and CPU seconds of every step of a training, on sales that are taken in already.

    Raises:
        RuntimeError: the engine no longer calls what is watched, so that the figures would be wrong.
    """
    ready(0)
    clock, data = Clock(), installation.data(tenant_id)
    _past_origins(clock, installation, data)
    tuned = _searches(clock, installation, data)
    _fits(clock, installation, data, tuned)
    with clock.step(UNUSUAL, UNUSUAL):
        judge_days(data, installation.home, installation.settings)
    unseen = [name for name in ("lightgbm", "linear") if (ORIGINS, name) not in clock.spent]
    if unseen:
        raise RuntimeError(
            f"no fit of {unseen} at a past origin was seen: benchmarks/anatomy.py watches the wrong place"
        )
    return [(part, what, seconds) for (part, what), seconds in clock.spent.items()]


def _past_origins(clock: Clock, installation: Installation, data: TenantData) -> None:
    origins = Origins(data, installation.home.root / "anatomy", installation.settings)
    with (
        clock.watching(evaluate, "forecast_with", ORIGINS, lambda name, *_: name),
        clock.watching(evaluate, "tune", ORIGINS, lambda *_: SEARCH),
    ):
        for number, task in enumerate(origins.missing, start=1):
            print(f"origin {number}", file=sys.stderr)
            with clock.step(ORIGINS, REST):
                origins.add(evaluate.at_origin(task))
    with clock.step(ORIGINS, "weights and ranges"):
        scored = origins.evaluation().scored
        evaluate.weights_of(scored)
        evaluate.bands_of(scored)


def _searches(clock: Clock, installation: Installation, data: TenantData) -> Any:
    searches = Searches(data, installation.registry, installation.store, installation.settings)
    for task in searches.tasks():
        with clock.step(FITS, SEARCH):
            searches.keep(task, search_class(task), 0.0)
    return searches.tuned


def _fits(clock: Clock, installation: Installation, data: TenantData, tuned: Any) -> None:
    settings = installation.settings
    every = tuned.applied(recipes(settings))
    panel = data.held.panel.take(data.demand.trainable(settings.min_training_data_days))
    outlook, horizon = data.outlook.take(panel.products), settings.horizon_days
    for name in every:
        family = FAMILIES[name]
        if family.gatekeeper:
            continue
        with clock.step(FITS, name):
            if family.scope is Scope.TENANT:
                fit_pooled(PooledTask(name, panel, outlook, every[name], horizon, None, panel.products))
                continue
            for product in _able(data, panel.products, family.intermittent, settings.zero_share_error):
                alone, ahead = panel.take([panel.row[product]]), outlook.take([product])
                fit_product(ProductTask(alone, ahead, {name: every[name]}, horizon))


def _able(data: TenantData, products: tuple[str, ...], intermittent: bool, most_zeros: float) -> list[str]:
    """The products that a family is fitted to: with too many days of zero, those for rare sales alone."""
    rows = np.array([data.panel.row[product] for product in products])
    able = np.ones(len(rows), bool) if intermittent else data.demand.zero_share[rows] <= most_zeros
    return [product for product, can in zip(products, able, strict=True) if can]
