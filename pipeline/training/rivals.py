"""The champions of another recipe than today's, and what has to be fitted to hold the two against each other."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from contracts import Member, ModelManifest
from pipeline.engine.evaluate import OriginForecasts, Task, at_origin
from pipeline.engine.families import FAMILIES, Recipe, Scope
from pipeline.engine.panel import Outlook
from pipeline.engine.tuning import Tuned
from pipeline.engine.tuning.space import TUNED_FAMILIES
from pipeline.errors import IntegrityError, NotRegisteredError
from pipeline.registry.records import ModelRecord
from pipeline.registry.registry import Registry
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.evaluation import origin_task
from pipeline.training.recipes import config_fingerprint, covariates_of, evaluated_families, recipes

Where = tuple[int, tuple[str, ...] | None]
"""What the fits of one task share: the seed, and the covariates that there were."""


class Side(StrEnum):
    """Whose recipe."""

    CHALLENGER = "challenger"
    CHAMPION = "champion"


@dataclass(frozen=True)
class Refit:
    """Some families of one side, to be fitted at one past origin, for some products."""

    side: Side
    task: Task
    products: frozenset[str]


def refit(one: Refit) -> OriginForecasts:
    """Forecast from one past origin."""
    return at_origin(one.task)


class Rivals:
    """The champions of the products to be trained.

    Args:
        data: the tenant's sales and outlook as of the origin.
        registry: knows the champions.
        settings: today's recipe.
        products: that are trained.
    """

    def __init__(self, data: TenantData, registry: Registry, settings: Settings, products: Collection[str]) -> None:
        self._data, self._registry, self._settings = data, registry, settings
        champions = registry.champions(data.tenant.id)
        self.champions = {product: champions[product] for product in products if product in champions}
        self.faults: dict[str, str] = {}
        config = config_fingerprint(settings, data.outlook)
        others = [one for one in self.champions.values() if one.config_fingerprint != config]
        self.others = {one.product_id: manifest for one in others if (manifest := self.manifest(one)) is not None}

    def manifest(self, champion: ModelRecord) -> ModelManifest | None:
        """Return a champion's manifest; None, and a fault, where it is not whole or its recipe cannot be fitted.

        Raises:
            RegistryError: the registry cannot be read.
        """
        product = champion.product_id
        try:
            manifest = self._registry.manifest(champion.tenant_id, product, champion.version)
        except (IntegrityError, NotRegisteredError) as error:
            self.faults[product] = str(error)
            return None
        gone = [member.family for member in manifest.members if member.family not in FAMILIES]
        there = covariates_of(self._data.outlook)
        lacking = [name for name in manifest.covariates or () if name not in there]
        if gone or lacking:
            what = f"families {', '.join(gone)}" if gone else f"covariates {', '.join(lacking)}"
            self.faults[product] = f"its recipe cannot be fitted any more: {what} are not there"
            return None
        return manifest

    def refits(self, origins: Collection[pd.Timestamp], tuned: Tuned) -> tuple[Refit, ...]:
        """Return what has to be fitted beyond today's evaluation; nothing where no product changes its recipe.

        Args:
            origins: at which both recipes are fitted.
            tuned: the settings that are new.
        """
        if not self.others:
            return ()
        sides = [*self._challengers(tuned), *self._champions()]
        return tuple(replace(one, task=replace(one.task, origin=origin)) for one in sides for origin in origins)

    def _challengers(self, tuned: Tuned) -> Iterator[Refit]:
        """What was searched anew at each origin, fitted with what is found now."""
        names = tuple(name for name in TUNED_FAMILIES if name in evaluated_families(self._settings))
        if tuned.by_product and names:
            own, products = tuned.applied(recipes(self._settings)), frozenset(self.others)
            yield Refit(
                Side.CHALLENGER, self._task(names, {name: own[name] for name in names}, only=products), products
            )

    def _champions(self) -> Iterator[Refit]:
        """The families of the champions as they were fitted, but for those that the evaluation fits just so."""
        local: dict[Where, dict[str, dict[str, Mapping[str, object]]]] = {}
        shared: dict[tuple[Where, str, str], set[str]] = {}
        for product, manifest in self.others.items():
            where = manifest.seed, manifest.covariates
            for member in manifest.members:
                name = FAMILIES[member.family].stand_in or member.family
                if self._as_evaluated(name, member, manifest):
                    continue
                if FAMILIES[name].scope is Scope.TENANT:
                    words = json.dumps(member.parameters, sort_keys=True)
                    shared.setdefault((where, name, words), set()).add(product)
                else:
                    local.setdefault(where, {}).setdefault(name, {})[product] = member.parameters
        for (seed, covariates), by_family in local.items():
            found = {name: Recipe({}, seed, by_product) for name, by_product in by_family.items()}
            group = frozenset(product for by_product in by_family.values() for product in by_product)
            yield Refit(Side.CHAMPION, self._task(tuple(found), found, covariates, only=group), group)
        for ((seed, covariates), name, words), products in shared.items():
            found = {name: Recipe(json.loads(words), seed)}
            yield Refit(Side.CHAMPION, self._task((name,), found, covariates), frozenset(products))

    def _as_evaluated(self, name: str, member: Member, manifest: ModelManifest) -> bool:
        """Whether the evaluation fits a family as the champion would: then it is not fitted again."""
        today = recipes(self._settings).get(name)
        return (
            today is not None
            and name in evaluated_families(self._settings)
            and not (name in TUNED_FAMILIES and self._settings.tuning_enabled)
            and (dict(today.parameters), today.seed) == (member.parameters, manifest.seed)
            and manifest.covariates in (None, covariates_of(self._data.outlook))
        )

    def _task(
        self,
        families: tuple[str, ...],
        recipe: Mapping[str, Recipe],
        covariates: tuple[str, ...] | None = None,
        only: frozenset[str] | None = None,
    ) -> Task:
        plain = origin_task(self._data, self._data.origin, self._settings)
        outlook = self._data.outlook if covariates is None else _with(self._data.outlook, covariates)
        return replace(plain, outlook=outlook, families=families, recipes=recipe, search=None, only=only)


def _with(outlook: Outlook, covariates: Collection[str]) -> Outlook:
    """The outlook with some covariates alone."""
    return replace(
        outlook,
        covariates={name: values for name, values in outlook.covariates.items() if name in covariates},
        by_product={name: values for name, values in outlook.by_product.items() if name in covariates},
    )
