"""How forecasts came out once the days were over, what has drifted, and what of it is a cause for training."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Count, ProductId, Share, TenantId, Version
from contracts.metrics import Grade
from contracts.planning import Cause


class AccuracyVerdict(StrEnum):
    """What is to be thought of a product's live accuracy."""

    AS_PROMISED = "as_promised"
    FALLING = "falling"
    WORSE_THAN_NAIVE = "worse_than_naive"
    TOO_EARLY = "too_early"


class AccuracyRow(Contract):
    """Forecasts that were in hand against what was sold, over the last ACCURACY_DAYS: of a product, or of all."""

    tenant_id: TenantId
    product_id: ProductId | None = Field(description="The product; None: all of them together.")
    horizon: str = Field(description="Days ahead, such as `1-3`; `all` days.")
    model_age: str = Field(description="Age of the model on the day that was forecast, days, such as `0-6`; `all`.")
    n: Count = Field(description="Days scored.")
    wape: float | None = Field(ge=0, description="Units wrong for each unit sold.")
    mase: float | None = Field(ge=0, description="Against the seasonal naive of lag 7 in the history.")
    bias: float | None = Field(description="(forecast - actual) / actual.")
    coverage: Share | None = Field(description="Share of days inside lower to upper.")
    mape: float | None = Field(ge=0, description="Percent, over days with sales.")
    grade: Grade | None = Field(description="By MAPE; None where no day with sales was scored.")
    naive_wape: float | None = Field(ge=0, description="WAPE of the seasonal naive on the same days.")
    promised_wape: float | None = Field(ge=0, description="The champion's on past days, before it was used.")
    version: Version | None = Field(description="The newest model, which the verdict is about.")
    new_days: Count = Field(description="Days scored that the newest model has not seen.")
    new_wape: float | None = Field(ge=0, description="The champion's WAPE on these days.")
    p: Share | None = Field(description="Chance of errors so much larger; None: not judged.")
    verdict: AccuracyVerdict | None = Field(description="Only of a product's row over all days.")
    reason: str = Field(description="The verdict in words.")


class DriftKind(StrEnum):
    """What has moved."""

    SALES = "sales"
    RESIDUALS = "residuals"


class DriftRow(Contract):
    """How far a product has moved since its newest model was trained."""

    tenant_id: TenantId
    product_id: ProductId
    kind: DriftKind = Field(description="Sales against the weeks before, or sales against what the model said.")
    version: Version = Field(description="The product's newest model.")
    origin: dt.date = Field(description="The last day that it has seen; no day up to it is evidence.")
    days: Count = Field(description="Days judged: open, not masked.")
    sold: float | None = Field(ge=0, description="Units sold on these days; None: not judged.")
    expected: float | None = Field(ge=0, description="Units that were expected of them.")
    change: float | None = Field(ge=-1, description="sold / expected - 1.")
    shared: float = Field(description="The same of the median product: what all of them did.")
    p: Share | None = Field(description="Chance that a stable product moves so far beside the others.")
    drifting: bool = Field(description="Whether it moved further than it usually does; a cause for training.")
    reason: str = Field(description="In words, with the figures.")


class Finding(Contract):
    """A cause for training that was found by looking at what came true."""

    product_id: ProductId
    version: Version = Field(description="The newest model when it was found; another one has answered it.")
    cause: Cause
    reason: str = Field(description="In words, with the figures.")


class Findings(Contract):
    """What accuracy and drift found in a tenant's products; `findings.json` beside its tables."""

    tenant_id: TenantId
    origin: dt.date = Field(description="The last day of sales that was looked at.")
    found: tuple[Finding, ...]
