"""The families that one fit serves all of a tenant's products with: fitted once, kept by content, shared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from contracts import ArtefactRef
from pipeline.engine.families import FAMILIES, Scope
from pipeline.engine.panel import Floats
from pipeline.engine.parts import Parts
from pipeline.errors import PipelineError
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.evaluation import outlook_digest
from pipeline.training.fingerprint import fingerprints, of_tenant
from pipeline.training.fitting import PooledFit, PooledTask
from pipeline.training.recipes import CODE_VERSION, config_fingerprint, recipes


@dataclass(frozen=True)
class Pooled:
    """A pooled family's stored files, and by product its (h,) units and the (1, 1) parts of the first day's."""

    files: tuple[ArtefactRef, ...]
    forecasts: Mapping[str, Floats]
    parts: Mapping[str, Parts]


class PooledFits:
    """The pooled fits of one training.

    Args:
        data: the tenant's sales and outlook as of the origin.
        registry, store: hold what was fitted to the same data with the same settings before.
        settings: today's recipe.
    """

    def __init__(self, data: TenantData, registry: Registry, store: ArtefactStore, settings: Settings) -> None:
        self._data, self._registry, self._store, self._settings = data, registry, store, settings
        self._panel = data.held.panel.take(data.demand.trainable(settings.min_training_data_days))
        self._key = of_tenant(
            [*sorted(fingerprints(self._panel).values()), outlook_digest(data.outlook), CODE_VERSION],
            config_fingerprint(settings, data.outlook),
        )
        self._found: dict[str, Pooled] = {}
        self.lost: list[str] = []

    def tasks(self, due: Collection[str]) -> list[PooledTask]:
        """Return a task for each pooled family, with its stored fit where there is one.

        Args:
            due: products whose forecasts are explained.
        """
        outlook, recipe = self._data.outlook.take(self._panel.products), recipes(self._settings)
        explained = tuple(product for product in self._panel.products if product in due)
        names = [name for name in recipe if FAMILIES[name].scope is Scope.TENANT and not FAMILIES[name].gatekeeper]
        horizon = self._settings.horizon_days
        return [
            PooledTask(name, self._panel, outlook, recipe[name], horizon, self._stored(name), explained)
            for name in names
        ]

    def keep(self, task: PooledTask, fit: PooledFit) -> None:
        """Store a pooled fit; one that cannot be stored, or used, is done without."""
        if not np.isfinite(fit.forecasts).all():
            self.lost.append(f"{task.family}: its forecast is not finite")
            return
        try:
            files = tuple(self._store.put(file, content) for file, content in fit.files.items())
        except (PipelineError, OSError) as error:
            self.lose(task, error)
            return
        if task.files is None:
            origin = self._data.origin.date()
            self._registry.save_tenant_model(
                self._data.tenant.id, task.family, self._key, files, origin=origin, seconds=fit.seconds
            )
        parts = {
            product: {part: units[[row]] for part, units in fit.parts.items()}
            for row, product in enumerate(task.explained)
        }
        self._found[task.family] = Pooled(files, dict(zip(task.panel.products, fit.forecasts, strict=True)), parts)

    def lose(self, task: PooledTask, error: BaseException | None) -> None:
        """Do without a family."""
        self.lost.append(f"{task.family}: {type(error).__name__}: {error}")

    def serving(self, product: str) -> dict[str, Pooled]:
        """Return the fits that know a product, by family."""
        return {name: fit for name, fit in self._found.items() if product in fit.forecasts}

    def _stored(self, name: str) -> dict[str, bytes] | None:
        files = self._registry.tenant_model(self._data.tenant.id, name, self._key)
        if files is None or any(self._store.verify(ref) for ref in files):
            return None
        return {ref.name: self._store.get(ref) for ref in files}
