"""The manifest: all that is needed to trust, use and make again one registered model."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Contract, Count, ProductId, Sha256, Share, TenantId, UtcDatetime, Version
from contracts.metrics import Grade, Metrics
from contracts.products import DemandClass
from contracts.terms import TrainingTerms


class ModelType(StrEnum):
    """What a model is for."""

    FORECAST = "forecast"
    ANOMALY = "anomaly"


class ArtefactRef(Contract):
    """One stored object, named by the SHA-256 of its content."""

    name: str = Field(min_length=1, description="File name inside the model, such as `booster.txt`.")
    sha256: Sha256
    bytes: Count = Field(description="Size of the content before compression.")


class Member(Contract):
    """One family's fitted part of a model."""

    family: str = Field(min_length=1)
    weight: Share
    scope: str = Field(pattern="^(product|tenant)$", description="tenant: one fit shared by all products.")
    parameters: dict[str, Any] = Field(default_factory=dict)
    files: tuple[ArtefactRef, ...] = ()
    metrics: Metrics
    metrics_from: str | None = Field(
        None, description="The family whose out-of-sample errors stand for this one's, where it was not refitted."
    )


class IntervalBand(Contract):
    """Conformal quantiles of scaled errors for one stretch of the horizon."""

    first_day: int = Field(ge=1)
    last_day: int = Field(ge=1)
    quantiles: dict[str, float] = Field(description="Scaled error by quantile level, such as {'0.95': 1.7}.")
    errors: Count = Field(description="Errors that the quantiles were taken from.")


class TrialRecord(Contract):
    """One trial of a search."""

    number: Count
    state: str = Field(description="complete, pruned (given up half-way), fail or running (its process ended).")
    value: float | None = Field(None, description="Error relative to the untuned settings; None unless it is complete.")
    parameters: dict[str, Any] = Field(default_factory=dict)


class TuningRecord(Contract):
    """The search of one demand class's settings, on the pooled errors of some of its products."""

    demand_class: DemandClass
    sampler: str
    pruner: str
    folds: Count = Field(description="Inner origins, all of them before the model's origin.")
    products: Count = Field(description="Products whose errors were pooled.")
    best: dict[str, Any] = Field(description="The class's best settings; a product may depart from them.")
    importance: dict[str, Share] = Field(description="Share of each setting in what made trials good; may be empty.")
    trials: tuple[TrialRecord, ...] = ()


class RecipeComparison(Contract):
    """A model's recipe against that of the champion, each with its settings and weights, at the same past origins.

    Losses are absolute errors in units for `mae`, squared ones for `rmse`; a difference above 0 says that the champion
    did better. Those of the class are in units of each product's usual change from week to week.
    """

    version: Version = Field(description="The champion.")
    metric: str = Field(pattern="^(mae|rmse)$")
    days: Count = Field(0, description="Days that both were scored on.")
    weeks: Count = 0
    loss: float | None = Field(None, description="Mean loss of the model's recipe; None: no day was scored.")
    champion_loss: float | None = Field(None, description="That of the champion's on the same days.")
    standard_error: float | None = Field(None, description="Of the difference; None: too few weeks to tell.")
    class_difference: float | None = Field(
        None, description="Mean scaled difference over all products of the demand class that change their recipe."
    )
    class_standard_error: float | None = None
    class_products: Count = 0
    fault: str | None = Field(None, description="Why the champion's recipe cannot be fitted any more; None: it can.")
    lost: str | None = Field(None, description="Why a fit was lost, so that it has to be tried again; None: none was.")


class ModelManifest(Contract):
    """One product's registered model: recipe, members, metrics, data, code, timings."""

    schema_version: str = SCHEMA_VERSION
    model_type: ModelType = ModelType.FORECAST
    tenant_id: TenantId
    product_id: ProductId
    version: Version
    created_at: UtcDatetime
    job_id: str
    origin: dt.date = Field(description="The last day that the model has seen.")
    terms: TrainingTerms | None = Field(None, description="What its training was asked for; None: an ordinary one.")
    horizon: int = Field(ge=1, le=365)
    demand_class: DemandClass
    data_days: Count
    data_fingerprint: Sha256 = Field(description="Hash of the sales that it has seen.")
    config_fingerprint: Sha256 = Field(description="Hash of the settings that shape a model.")
    members: tuple[Member, ...] = Field(min_length=1)
    scale: float = Field(ge=0, description="Units that one scaled error stood for at the origin.")
    bands: tuple[IntervalBand, ...] = ()
    metrics: Metrics = Field(description="Of the combination, nested out of sample.")
    grade: Grade | None = Field(None, description="By MAPE; None where no day with sales was scored.")
    naive_metrics: Metrics = Field(description="Of the seasonal naive on the same days.")
    class_metrics: Metrics | None = Field(None, description="Of all products of its demand class together.")
    against: RecipeComparison | None = Field(
        None, description="Against the champion at its training; None: there was none, or one of the same recipe."
    )
    origins: tuple[dt.date, ...] = Field((), description="Origins that the metrics come from.")
    evaluation: str = Field(description="How nested the figures are, in words.")
    covariates: tuple[str, ...] | None = Field(None, description="Covariates that there were; None: not written down.")
    tuning: TuningRecord | None = Field(None, description="The search of its class's settings; None: untuned.")
    libraries: dict[str, str] = Field(description="Version by library.")
    code_version: str
    seed: int
    seconds: float = Field(ge=0, description="Time spent on this product's fit and storage.")
    notes: tuple[str, ...] = ()
