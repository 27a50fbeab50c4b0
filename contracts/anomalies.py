"""The anomaly model of a tenant: settings, found on faults put into its own sales, and their evidence."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Contract, Count, Sha256, Share, TenantId, UtcDatetime
from contracts.models import ModelType


class AnomalySettings(Contract):
    """How the isolation forest is grown."""

    n_estimators: int = Field(ge=50, le=300, description="Trees.")
    contamination: float = Field(ge=0.01, le=0.3, description="Share of days that the forest calls odd.")
    max_samples: Literal["auto", 256, 512, 1024] = Field(description="Days a tree; auto: 256.")


class AnomalyTrial(Contract):
    """Settings that were tried, and their F1 on the faulty days."""

    settings: AnomalySettings
    f1: Share


class AnomalyModel(Contract):
    """What decides which of a tenant's days are called unusual; the forest itself is grown anew from this."""

    schema_version: str = SCHEMA_VERSION
    model_type: Literal[ModelType.ANOMALY] = ModelType.ANOMALY
    tenant_id: TenantId
    created_at: UtcDatetime
    origin: dt.date = Field(description="The last day that the settings were found on.")
    data_fingerprint: Sha256 = Field(description="Hash of the tenant's sales up to the origin.")
    code_version: str
    libraries: dict[str, str] = Field(description="Version by library.")
    seed: int
    settings: AnomalySettings
    alarm: Share = Field(description="Score above which a day is called unusual.")
    f1: Share = Field(description="Of the days called odd at `contamination`.")
    average_precision: Share = Field(description="Of the scores, over all thresholds.")
    precision: Share = Field(description="Share of the days called unusual that had a fault put into them.")
    recall: dict[str, Share] = Field(description="Share of the faulty days called unusual, by kind of fault.")
    injected: dict[str, Count] = Field(description="Days into which a fault was put, by kind.")
    days: Count = Field(description="Product days that the settings were tried on.")
    trials: tuple[AnomalyTrial, ...]
    seconds: float = Field(ge=0, description="What finding the settings took.")
