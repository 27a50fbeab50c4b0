"""The plan (which products are due, and why) and the ledger (what became of them)."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Count, ProductId, Sha256, TenantId, Version


class Cause(StrEnum):
    """Why a product is trained."""

    NEVER_TRAINED = "never_trained"
    SCHEDULE = "schedule"
    AGE = "age"
    NEW_DATA = "new_data"
    CORRECTED_HISTORY = "corrected_history"
    NEW_CODE = "new_code"
    NEW_CONFIGURATION = "new_configuration"
    REQUEST = "request"


class PlanRow(Contract):
    """One product's place in a training plan."""

    tenant_id: TenantId
    product_id: ProductId
    due: bool
    cause: Cause | None = Field(None, description="None when it is not due.")
    reason: str = Field(description="In words, with the figures.")
    importance: float = Field(ge=0, description="Volume x staleness; the most important is trained first.")
    data_days: Count
    data_fingerprint: Sha256
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
    job_id: str
    outcome: Outcome
    cause: Cause | None = None
    reason: str
    data_days: Count
    data_fingerprint: Sha256
    origin: dt.date
    version: Version | None = None
    seconds: float = Field(ge=0)
    error_type: str | None = None
