"""Tuning: settings of the regression, searched for each demand class on pooled errors, then fitted to each product.

Everything is judged at inner origins, before the panel's end, so that what is tuned at an origin has seen nothing
later. The search runs on `linear`, whose further trial costs a millisecond a product; Prophet takes what is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from contracts import DemandClass, TuningRecord
from pipeline.engine.demand import Demand
from pipeline.engine.families.base import Recipe
from pipeline.engine.panel import Ints, Outlook, Panel
from pipeline.engine.tuning.choose import choose, pooled
from pipeline.engine.tuning.folds import Folds
from pipeline.engine.tuning.space import TUNED_FAMILIES
from pipeline.engine.tuning.study import Search, Study, conduct
from pipeline.errors import EngineError

FILE = "settings.json"
STUDY_PRODUCTS = 24
"""Products of a class that its study runs on; more would cost more and tell little. Also how many are held at once."""


@dataclass(frozen=True)
class Tuned:
    """Settings by product, and what was searched by class."""

    by_product: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    records: Mapping[DemandClass, TuningRecord] = field(default_factory=dict)

    def to_files(self) -> dict[str, bytes]:
        """Return all of it as JSON, by file name."""
        records = [record.model_dump(mode="json") for record in self.records.values()]
        return {FILE: json.dumps({"by_product": self.by_product, "records": records}, sort_keys=True).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Tuned:
        """Read it back.

        Raises:
            EngineError: the file is missing or not what it should be.
        """
        try:
            stored = json.loads(files[FILE])
            records = [TuningRecord.model_validate(record) for record in stored["records"]]
            return cls({**stored["by_product"]}, {record.demand_class: record for record in records})
        except (KeyError, ValueError, TypeError) as error:
            raise EngineError(f"tuned settings need {FILE} as JSON; found {sorted(files)}") from error

    def applied(self, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
        """Return the recipes with these settings in those of the tuned families."""
        return {
            name: replace(recipe, by_product=self.by_product) if name in TUNED_FAMILIES else recipe
            for name, recipe in recipes.items()
        }


def tune(panel: Panel, demand: Demand, outlook: Outlook, horizon: int, search: Search) -> Tuned:
    """Search the settings for the products of a panel, class by class.

    Args:
        panel: sales up to the origin.
        demand: of the same panel.
        outlook: covers the panel.
        horizon: days ahead that errors count for.
        search: how much, and how.

    Raises:
        ConfigurationError: a setting that was fixed by hand lies outside its limits.
    """
    known = _Known(panel, demand, outlook, horizon)
    classes = np.array(demand.classes, object)
    return joined(known.of_class(one, np.flatnonzero(classes == one), search) for one in DemandClass)


def joined(parts: Iterable[Tuned]) -> Tuned:
    """Return the settings and records of all parts."""
    settings: dict[str, Mapping[str, Any]] = {}
    records: dict[DemandClass, TuningRecord] = {}
    for part in parts:
        settings |= part.by_product
        records |= part.records
    return Tuned(settings, records)


@dataclass(frozen=True)
class _Known:
    """What a search goes by."""

    panel: Panel
    demand: Demand
    outlook: Outlook
    horizon: int

    def of_class(self, demand_class: DemandClass, rows: Ints, search: Search) -> Tuned:
        """Search on some products of a class, and choose for all of them."""
        picked = self._picked(rows)
        folds = self._folds(picked, search)
        if not folds.rows:
            return Tuned()
        found = conduct(folds, demand_class, search)
        shared = pooled(found.losses)
        places = dict(zip(folds.rows, choose(found.losses, shared), strict=True))
        others = np.setdiff1d(rows, picked)
        for some in np.array_split(others, -(-len(others) // STUDY_PRODUCTS)) if others.size else ():
            more = self._folds(some, search)
            losses = np.array([[more.losses(one, fold) for fold in range(more.count)] for one in found.menu])
            places |= dict(zip(more.rows, choose(losses.transpose(0, 2, 1), shared), strict=True))
        return Tuned(
            {self.panel.products[row]: found.menu[place] for row, place in places.items()},
            {demand_class: found.record},
        )

    def _picked(self, rows: Ints) -> Ints:
        """Rows spread over the class by volume, so that its small products are heard as its large ones are."""
        ranked = rows[np.argsort(-self.demand.level[rows], kind="stable")]
        places = np.linspace(0, len(ranked) - 1, min(STUDY_PRODUCTS, len(ranked))).round().astype(int)
        return np.asarray(ranked[np.unique(places)])

    def _folds(self, rows: Ints, search: Search) -> Folds:
        return Folds(self.panel, rows.tolist(), self.demand.level, self.outlook, self.horizon, search.folds)


__all__ = ["Search", "Study", "Tuned", "joined", "tune"]
