"""Writes a product's manifest from what its training found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from contracts import (
    ArtefactRef,
    CovariateKind,
    DemandClass,
    Grade,
    IntervalBand,
    Member,
    Metrics,
    ModelManifest,
    PlanRow,
)
from pipeline.engine.combination import NAIVE, Weights
from pipeline.engine.evaluate import among, score
from pipeline.engine.families import FAMILIES
from pipeline.engine.tuning import Tuned
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.contest import Contest
from pipeline.training.evaluation import Evaluation, faults_of
from pipeline.training.recipes import CODE_VERSION, config_fingerprint, covariates_of, library_versions, recipes


@dataclass(frozen=True)
class Stored:
    """What was stored of each family for one product, what failed, and notes on the run as a whole."""

    files: Mapping[str, tuple[ArtefactRef, ...]]
    faults: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ManifestMaker:
    """What all manifests of one job have in common."""

    data: TenantData
    settings: Settings
    job_id: str
    evaluation: Evaluation
    tuned: Tuned
    weights: Weights
    contest: Contest
    bands: Mapping[DemandClass | None, tuple[IntervalBand, ...]]
    scale: Mapping[str, float]
    version: str

    def make(self, row: PlanRow, stored: Stored, seconds: float) -> ModelManifest:
        """Return the manifest of one product; `seconds` is what its fits and files took."""
        product = row.product_id
        demand_class = self.data.demand.classes[self.data.panel.row[product]]
        families = [name for name in FAMILIES if name in stored.files]
        metrics = self._combined(product, families or [NAIVE])
        members = self._members(product, demand_class, families or [NAIVE], stored)
        return ModelManifest(
            tenant_id=row.tenant_id,
            product_id=product,
            version=self.version,
            created_at=dt.datetime.now(dt.UTC),
            job_id=self.job_id,
            origin=self.data.origin.date(),
            terms=self.data.terms,
            horizon=self.settings.horizon_days,
            demand_class=demand_class,
            data_days=row.data_days,
            data_fingerprint=row.data_fingerprint,
            config_fingerprint=config_fingerprint(self.settings, self.data.outlook),
            members=tuple(members),
            scale=self.scale[product],
            bands=self.bands.get(demand_class, self.bands[None]),
            metrics=metrics,
            grade=grade(metrics, self.settings),
            naive_metrics=self._metrics(NAIVE, product),
            class_metrics=self._of_class[demand_class],
            against=self.contest.against(product, {member.family: member.weight for member in members}),
            origins=tuple(one.origin.date() for one in self.evaluation.scored if product in one.row),
            evaluation=self.evaluation.nesting,
            covariates=covariates_of(self.data.outlook),
            tuning=self.tuned.records.get(demand_class),
            libraries=library_versions(),
            code_version=CODE_VERSION,
            seed=self.settings.seed,
            seconds=seconds,
            notes=(
                *self._realised,
                *(f"{signal}: {fault}" for signal, fault in self.data.degraded.items()),
                *self._held(product),
                *stored.notes,
                *(f"{name}: {fault}" for name, fault in stored.faults.items()),
                *faults_of(self.evaluation.scored, product),
            ),
        )

    @property
    def _realised(self) -> tuple[str, ...]:
        """Says so when covariates that are forecasts in life were evaluated with what came true."""
        kinds = self.data.tenant.covariate_kinds
        names = [name for name, kind in kinds.items() if kind is CovariateKind.FORECAST]
        return (f"evaluated with realised {', '.join(names)}",) if names else ()

    def _held(self, product: str) -> tuple[str, ...]:
        """Says which days of the product were held back, so that nothing is changed in silence."""
        told = self.data.held.told(product)
        return (f"{len(told)} one-day outliers held back in fitting: {', '.join(told)}",) if told else ()

    def _members(self, product: str, demand_class: DemandClass, families: list[str], stored: Stored) -> list[Member]:
        share, recipe = self.weights.shares(families, demand_class), self.tuned.applied(recipes(self.settings))
        return [
            Member(
                family=name,
                weight=share[name],
                scope=FAMILIES[name].scope.value,
                parameters=recipe[name].of(product),
                files=stored.files.get(name, ()),
                metrics=self._metrics(FAMILIES[name].stand_in or name, product),
                metrics_from=FAMILIES[name].stand_in,
            )
            for name in families
        ]

    def _combined(self, product: str, families: list[str]) -> Metrics:
        """Errors of the families that are really members; one that was lost does not lend its figures."""
        taking_part = [one.alone(product) for one in self.evaluation.scored if product in one.row]
        return score(among(taking_part, {FAMILIES[name].stand_in or name for name in families}), None, product)

    @cached_property
    def _of_class(self) -> Mapping[DemandClass, Metrics]:
        """Of all products that are of each class today, at all origins."""
        classes, row = np.array(self.data.demand.classes, object), self.data.panel.row
        labels = [classes[[row[product] for product in one.products]] for one in self.evaluation.scored]
        parts = list(zip(self.evaluation.scored, labels, strict=True))
        return {label: score([one.take(own == label) for one, own in parts]) for label in set(classes)}

    def _metrics(self, family: str, product: str) -> Metrics:
        return score(self.evaluation.scored, family, product)


def grade(metrics: Metrics, settings: Settings) -> Grade | None:
    """Return how good a forecast is by its MAPE, with the limits of the settings."""
    if metrics.mape is None:
        return None
    limits = {
        Grade.EXCELLENT: settings.grade_excellent,
        Grade.GOOD: settings.grade_good,
        Grade.ACCEPTABLE: settings.grade_acceptable,
    }
    return next((name for name, limit in limits.items() if metrics.mape <= limit), Grade.POOR)
