"""The contest: a new recipe and the champion's, both fitted at the same past origins, on the same days.

A recipe is the families of a model with their settings and weights. A fresh fit of the same recipe needs no contest,
and what code has changed cannot be told by one: the old code is gone. Both recipes are taken as they would be used
now, found with all that was known when they were found: both have seen most of the days, the challenger the last of
them too. So the comparison leans a little to what is new, and its figures are for this alone: what users see of a
model's errors is nested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from contracts import DemandClass, ModelManifest, RecipeComparison
from pipeline.compute import Outcome
from pipeline.engine.combination import Weights
from pipeline.engine.evaluate import OriginForecasts
from pipeline.engine.families import FAMILIES
from pipeline.engine.metrics import SEASON
from pipeline.engine.paired import Difference, difference
from pipeline.engine.panel import Floats, Ints
from pipeline.training.rivals import Refit, Rivals, Side

Loss = Callable[[Floats], Floats]
LOSSES: Mapping[str, Loss] = {"mae": np.abs, "rmse": np.square}
MIN_PRODUCTS = 3
"""Products of a class below which they say nothing together that each does not say alone."""


@dataclass(frozen=True)
class _Days:
    """One product's losses on the past days that both sides forecast, and the week and the usual loss of each."""

    own: Floats
    other: Floats
    weeks: Ints
    scale: Floats


class Contest:
    """New recipes against those of the champions.

    Args:
        rivals: the champions.
        scored: the past origins as they were evaluated for today's recipe.
        weights: of its families.
        classes: demand class by product, as of today.
        metric: `mae` or `rmse`.
    """

    def __init__(
        self,
        rivals: Rivals,
        scored: Sequence[OriginForecasts],
        weights: Weights,
        classes: Mapping[str, DemandClass],
        metric: str,
    ) -> None:
        self._rivals, self._scored, self._weights = rivals, scored, weights
        self._classes, self._metric, self._loss = classes, metric, LOSSES[metric]
        self._made: dict[tuple[Side, str, pd.Timestamp, str], Floats] = {}
        self._lost: dict[str, str] = {}

    def keep(self, outcome: Outcome[Refit, OriginForecasts]) -> None:
        """Take what was forecast; where it was lost, its products are not compared this time."""
        made, task = outcome.value, outcome.task.task
        if made is None:
            why = f"{', '.join(task.families)} at {task.origin.date()}: {type(outcome.error).__name__}: {outcome.error}"
            self._lost |= dict.fromkeys(outcome.task.products, why)
            return
        for name, units in made.families.items():
            # A task fits all of its families for all of its products; what was not asked for stays as evaluated.
            asked = task.recipes[name].by_product.keys() or made.row.keys()
            for product in outcome.task.products & made.row.keys() & asked:
                self._made[outcome.task.side, name, made.origin, product] = units[made.row[product]]

    def against(self, product: str, weights: Mapping[str, float]) -> RecipeComparison | None:
        """Return how a model did against its champion; None without a champion, or where both have one recipe.

        Args:
            product: of the model.
            weights: of its families.
        """
        champion = self._rivals.champions.get(product)
        if champion is None:
            return None
        changed = product in self._rivals.others or product in self._rivals.faults
        if not changed and set(champion.algorithm.split("+")) == set(weights):
            return None
        manifest = self._rivals.others.get(product) or self._rivals.manifest(champion)
        if manifest is None:
            return RecipeComparison(version=champion.version, metric=self._metric, fault=self._rivals.faults[product])
        if product in self._lost:
            return RecipeComparison(version=champion.version, metric=self._metric, lost=self._lost[product])
        days = self._days(product, weights, manifest)
        apart = difference(days.own, days.other, days.weeks)
        together, products = self._by_class.get(self._classes[product], (None, 0))
        return RecipeComparison(
            version=champion.version,
            metric=self._metric,
            days=apart.days,
            weeks=apart.weeks,
            loss=float(days.own.mean()) if apart.days else None,
            champion_loss=float(days.other.mean()) if apart.days else None,
            standard_error=apart.standard_error,
            class_difference=together.mean if together else None,
            class_standard_error=together.standard_error if together else None,
            class_products=products,
        )

    def _days(self, product: str, weights: Mapping[str, float], manifest: ModelManifest) -> _Days:
        theirs = {member.family: member.weight for member in manifest.members}
        loss = self._loss
        parts: list[tuple[Floats, Floats, Ints, Floats]] = []
        for number, one in enumerate(self._scored):
            if product not in one.row:
                continue
            row = one.row[product]
            own = loss(one.actual[row] - self._said(Side.CHALLENGER, one, product, weights))
            other = loss(one.actual[row] - self._said(Side.CHAMPION, one, product, theirs))
            # A closed day is 0 for both, and would only make the difference look surer than it is.
            scored = np.isfinite(own) & np.isfinite(other) & ~one.closed[row]
            weeks = number * len(own) + np.arange(len(own)) // SEASON
            scale = np.full(len(own), float(loss(one.difference[row : row + 1])[0]))
            parts.append((own[scored], other[scored], weeks[scored], scale[scored]))
        if not parts:
            nothing = np.empty(0)
            return _Days(nothing, nothing, np.empty(0, np.int64), nothing)
        return _Days(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _said(self, side: Side, one: OriginForecasts, product: str, weights: Mapping[str, float]) -> Floats:
        """(h,) units of a recipe from one origin; what could not be fitted there leaves its weight to the others."""
        total, units = 0.0, np.zeros(one.actual.shape[1])
        for family, weight in weights.items():
            name = FAMILIES[family].stand_in or family
            made = self._made.get((side, name, one.origin, product))
            if made is None:
                evaluated = one.families.get(name)
                made = None if evaluated is None else evaluated[one.row[product]]
            if weight > 0 and made is not None and np.isfinite(made).all():
                total, units = total + weight, units + weight * made
        return units / total if total else np.full_like(units, np.nan)

    @cached_property
    def _by_class(self) -> dict[DemandClass, tuple[Difference, int]]:
        """The scaled differences of all products of a class that change their recipe, and how many these are."""
        found: dict[DemandClass, list[_Days]] = {}
        for product, manifest in self._rivals.others.items():
            families = self._evaluated(product)
            if not families or product in self._lost:
                continue
            label = self._classes[product]
            days = self._days(product, self._weights.shares(families, label), manifest)
            if days.own.size and (days.scale > 0).all():
                found.setdefault(label, []).append(days)
        return {label: (_pooled(some), len(some)) for label, some in found.items() if len(some) >= MIN_PRODUCTS}

    def _evaluated(self, product: str) -> list[str]:
        """The families that could forecast a product at the last past origin."""
        last = next((one for one in reversed(self._scored) if product in one.row), None)
        if last is None:
            return []
        return [name for name, units in last.families.items() if np.isfinite(units[last.row[product]]).all()]


def _pooled(some: Sequence[_Days]) -> Difference:
    own, other = (np.concatenate([getattr(days, side) / days.scale for days in some]) for side in ("own", "other"))
    return difference(own, other, np.concatenate([days.weeks for days in some]))
