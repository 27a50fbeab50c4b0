"""The settings of the final fits: from a search on what is known now, or from an earlier one that still holds."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from contracts import DemandClass
from pipeline.engine.tuning import Search, Tuned, joined
from pipeline.errors import PipelineError
from pipeline.places import with_driver
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.evaluation import outlook_digest
from pipeline.training.fingerprint import fingerprints, fingerprints_as_of, of_tenant
from pipeline.training.fitting import SearchTask
from pipeline.training.recipes import CODE_VERSION, config_fingerprint, search_of


class Searches:
    """A tenant's searches: which are known already, and which are to be made.

    A search is reused for TUNING_REUSE_DAYS of sales: as long as the code, the settings, and the sales and covariates
    before the stretch of days that the origin lies in are what they were. Corrected history makes it anew.

    Attributes:
        notes: what the whole training had to do without.
    """

    def __init__(self, data: TenantData, registry: Registry, store: ArtefactStore, settings: Settings) -> None:
        self._data, self._registry, self._store, self._settings = data, registry, store, settings
        self._key = self._told_apart()
        self.notes: list[str] = []
        self._found: dict[DemandClass, Tuned] = {}
        self._lost: dict[DemandClass, str] = {}
        trainable = data.demand.trainable(settings.min_training_data_days)
        self._rows = {
            demand_class: rows
            for demand_class in DemandClass
            if (rows := np.flatnonzero(trainable & [one is demand_class for one in data.demand.classes])).size
        }

    def tasks(self) -> list[SearchTask]:
        """Return the searches that are to be made; the others are read."""
        search = search_of(self._settings)
        if search is None:
            return []
        self._found = {one: stored for one in self._rows if (stored := self._stored(one)) is not None}
        left = [one for one in self._rows if one not in self._found]
        kept = replace(search, importances=True, storage=self._storage() if left else None)
        return [self._task(one, kept) for one in left]

    def keep(self, task: SearchTask, found: Tuned, seconds: float) -> None:
        """Take what a search found, and store it for the next training; that it cannot be stored is noted."""
        self._found[task.demand_class] = found
        try:
            files = [self._store.put(name, content) for name, content in found.to_files().items()]
            self._registry.save_tenant_model(
                self._data.tenant.id,
                _name(task.demand_class),
                self._key,
                files,
                origin=self._data.origin.date(),
                seconds=seconds,
            )
        except (PipelineError, OSError) as error:
            self.notes.append(f"the search for {task.demand_class} products was not kept: {error}")

    def lose(self, task: SearchTask, error: Exception | None) -> None:
        """Do without a search; its products are trained untuned, and say so."""
        # Another's words may hold the login of a database.
        told = f"{type(error).__name__}: {error}" if isinstance(error, PipelineError) else type(error).__name__
        self._lost[task.demand_class] = f"untuned, the search for {task.demand_class} products was lost: {told}"

    def lost(self, demand_class: DemandClass) -> tuple[str, ...]:
        """Return what the products of a class had to do without."""
        return (self._lost[demand_class],) if demand_class in self._lost else ()

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
        seen = of_tenant(sorted(fingerprints(panel).values()), self._key)[:12]
        study = f"{self._data.tenant.id} {self._data.origin.date()} {seen}"
        return SearchTask(demand_class, panel, outlook, horizon, replace(search, study=study))

    def _storage(self) -> str | None:
        """The database for the trials, its tables made before several workers use it at once.

        A search does not need one: where it cannot be used that is noted, without its login.
        """
        if self._settings.tuning_storage is None:
            return None
        import optuna

        try:
            place = with_driver(make_url(self._settings.tuning_storage)).render_as_string(hide_password=False)
            optuna.storages.RDBStorage(place).engine.dispose()
        except (SQLAlchemyError, ImportError, ValueError, RuntimeError, OSError) as error:
            fault = type(error).__name__
            self.notes.append(f"trials are not kept: the database of TUNING_STORAGE cannot be used ({fault})")
            return None
        return place

    def _stored(self, demand_class: DemandClass) -> Tuned | None:
        files = self._registry.tenant_model(self._data.tenant.id, _name(demand_class), self._key)
        try:
            if files is None or any(self._store.verify(ref) for ref in files):
                return None
            return Tuned.from_files({ref.name: self._store.get(ref) for ref in files})
        except (PipelineError, OSError):
            return None  # It is searched again.

    def _told_apart(self) -> str:
        """The key of the searches: what must be the same for one to be used again."""
        days = self._settings.tuning_reuse_days
        begun = pd.Timestamp(dt.date.fromordinal(self._data.origin.toordinal() // days * days))
        before = fingerprints_as_of(self._data, [begun]).get(begun, {})
        return of_tenant(
            [CODE_VERSION, outlook_digest(self._data.outlook, begun), str(begun.date()), *sorted(before.values())],
            config_fingerprint(self._settings, self._data.outlook),
        )


def _name(demand_class: DemandClass) -> str:
    return f"settings {demand_class}"
