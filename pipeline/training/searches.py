"""The settings of the final fits: from a search on what is known now, or from an earlier one that still holds."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from contracts import DemandClass
from pipeline.engine.demand import understand
from pipeline.engine.panel import Outlook, Panel
from pipeline.engine.tuning import Search, Tuned, joined, tune
from pipeline.errors import EngineError
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.fingerprint import fingerprints_as_of, of_tenant
from pipeline.training.recipes import CODE_VERSION, config_fingerprint, search_of


@dataclass(frozen=True)
class SearchTask:
    """One demand class's products and how their settings are searched."""

    demand_class: DemandClass
    panel: Panel
    outlook: Outlook
    horizon: int
    search: Search


def search_class(task: SearchTask) -> Tuned:
    """Search the settings of a class in a worker."""
    return tune(task.panel, understand(task.panel), task.outlook, task.horizon, task.search)


class Searches:
    """A tenant's searches: which are known already, and which are to be made.

    A search is reused for TUNING_REUSE_DAYS of sales: as long as the code, the settings and the sales before the
    stretch of days that the origin lies in are what they were. Corrected history makes it anew.
    """

    def __init__(self, data: TenantData, registry: Registry, store: ArtefactStore, settings: Settings) -> None:
        self._data, self._registry, self._store, self._settings = data, registry, store, settings
        self._key = self._told_apart()
        self._found: dict[DemandClass, Tuned] = {}
        trainable = data.demand.trainable(settings.min_training_data_days)
        self._rows = {
            demand_class: rows
            for demand_class in DemandClass
            if (rows := np.flatnonzero(trainable & [one is demand_class for one in data.demand.classes])).size
        }

    def tasks(self) -> list[SearchTask]:
        """Return the searches that are to be made; the others are read."""
        search, left = search_of(self._settings), []
        if search is None:
            return []
        for demand_class in self._rows:
            stored = self._stored(demand_class)
            if stored is None:
                left.append(self._task(demand_class, search))
            else:
                self._found[demand_class] = stored
        return left

    def keep(self, task: SearchTask, found: Tuned, seconds: float) -> None:
        """Take and store what a search found."""
        self._found[task.demand_class] = found
        files = [self._store.put(name, content) for name, content in found.to_files().items()]
        self._registry.save_tenant_model(
            self._data.tenant.id,
            _name(task.demand_class),
            self._key,
            files,
            origin=self._data.origin.date(),
            seconds=seconds,
        )

    @property
    def tuned(self) -> Tuned:
        """All that is known; a product that no search has seen takes the best settings of its class."""
        found = joined(self._found.values())
        classes = zip(self._data.panel.products, self._data.demand.classes, strict=True)
        best = {product: found.records[label].best for product, label in classes if label in found.records}
        return Tuned({**best, **found.by_product}, found.records)

    def _task(self, demand_class: DemandClass, search: Search) -> SearchTask:
        panel = self._data.held.panel.take(self._rows[demand_class])
        outlook, horizon = self._data.outlook.take(panel.products), self._settings.horizon_days
        study = f"{self._data.tenant.id} {self._data.origin.date()} {self._key[:12]}"
        kept = replace(search, storage=self._settings.tuning_storage, study=study, importances=True)
        return SearchTask(demand_class, panel, outlook, horizon, kept)

    def _stored(self, demand_class: DemandClass) -> Tuned | None:
        files = self._registry.tenant_model(self._data.tenant.id, _name(demand_class), self._key)
        if files is None or any(self._store.verify(ref) for ref in files):
            return None
        try:
            return Tuned.from_files({ref.name: self._store.get(ref) for ref in files})
        except EngineError:
            return None  # It is searched again.

    def _told_apart(self) -> str:
        """The key of the searches: what must be the same for one to be used again."""
        days = self._settings.tuning_reuse_days
        begun = pd.Timestamp(dt.date.fromordinal(self._data.origin.toordinal() // days * days))
        before = fingerprints_as_of(self._data, [begun]).get(begun, {})
        return of_tenant(
            [CODE_VERSION, str(begun.date()), *sorted(before.values())],
            config_fingerprint(self._settings, self._data.outlook),
        )


def _name(demand_class: DemandClass) -> str:
    return f"settings {demand_class}"
