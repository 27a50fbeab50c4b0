"""The plan (which products are due, and why) and the ledger (what became of them)."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Count, ProductId, Sha256, TenantId, Version


class Cause(StrEnum):
    """Why a product is trained."""

    NEVER_TRAINED = "never_trained"
    BROKEN_MODEL = "broken_model"
    SCHEDULE = "schedule"
    AGE = "age"
    NEW_DATA = "new_data"
    CORRECTED_HISTORY = "corrected_history"
    LIVE_ACCURACY = "live_accuracy"
    DRIFT = "drift"
    NEW_CODE = "new_code"
    NEW_CONFIGURATION = "new_configuration"
    REQUEST = "request"


class Priority(StrEnum):
    """How soon a training is wanted; the queue's order, first come first served among equals."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class PlanRow(Contract):
    """One product's place in a training plan."""

    tenant_id: TenantId
    product_id: ProductId
    due: bool = Field(description="Whether it is to be trained now.")
    cause: Cause | None = Field(None, description="None when it is not due.")
    reason: str = Field(description="In words, with the figures.")
    importance: float = Field(ge=0, description="Volume x staleness; the most important is trained first.")
    data_days: Count = Field(description="Observed days since the first row.")
    data_fingerprint: Sha256 = Field(description="Hash of the sales up to the origin.")
    restricted: bool = Field(False, description="Too many zeros: naive and intermittent families only.")


class Outcome(StrEnum):
    """What became of a product in a training job."""

    TRAINED = "trained"
    SKIPPED = "skipped"
    INSUFFICIENT = "insufficient"
    FAILED = "failed"


class LedgerRow(Contract):
    """What became of one product in one training job."""

    tenant_id: TenantId
    product_id: ProductId
    job_id: str = Field(description="The training job.")
    outcome: Outcome = Field(description="Trained, skipped, insufficient (too few days) or failed.")
    cause: Cause | None = Field(None, description="Why it was due; None when it was not.")
    reason: str = Field(description="In words: why, what was done without, or what went wrong.")
    data_days: Count = Field(description="Observed days since the first row.")
    data_fingerprint: Sha256 = Field(description="Hash of the sales up to the origin.")
    origin: dt.date = Field(description="The last day that was seen.")
    version: Version | None = Field(None, description="Of the registered model; None unless it was trained.")
    seconds: float = Field(ge=0, description="Time spent on this product's fit and storage.")
    error_type: str | None = Field(None, description="Kind of the error; None unless it failed or is too short.")
