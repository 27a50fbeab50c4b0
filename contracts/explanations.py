"""Why a forecast is what it is: parts in units that add up to it."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from contracts.base import Contract, ProductId, Share, TenantId, Version
from contracts.forecasts import Rung

EXACT = 1e-6
"""Units, and share of the forecast, by which the sum of the parts may differ from it."""


class PartKind(StrEnum):
    """What a part of a forecast comes from."""

    LEVEL = "level"
    WEEKDAY = "weekday"
    TIME_OF_YEAR = "time_of_year"
    DAY_OF_MONTH = "day_of_month"
    HOLIDAY = "holiday"
    COVARIATE = "covariate"
    RECENT_DAYS = "recent_days"
    PRODUCT = "product"
    PEERS = "peers"
    FAMILY = "family"
    NOT_BELOW_ZERO = "not_below_zero"
    CLOSED = "closed"


class ForecastPart(Contract):
    """One part of a day's forecast."""

    kind: PartKind
    name: str = Field("", description="Of the holiday, covariate or family; empty for the other kinds.")
    units: float = Field(description="What it adds; negative where it takes away.")
    value: float | None = Field(None, description="Of a covariate on that day; None where it is not known.")
    words: str = Field(description="The part in words, such as `Saturday`.")


class MemberForecast(Contract):
    """What one family of the model says alone."""

    family: str = Field(min_length=1)
    weight: Share
    y_hat: float = Field(ge=0, description="Units, before closed days are set to 0.")


class Explanation(Contract):
    """One product's forecast for one day, and the parts that add up to it."""

    tenant_id: TenantId
    product_id: ProductId
    date: dt.date
    origin: dt.date = Field(description="The last day that the forecast has seen.")
    y_hat: float = Field(ge=0, description="Mean demand, units.")
    lower: float = Field(ge=0, description="0.05 quantile.")
    upper: float = Field(ge=0, description="0.95 quantile.")
    stored: float | None = Field(
        None, ge=0, description="Mean of the stored forecast; another than `y_hat` where sales or models have changed."
    )
    rung: Rung
    reason: str = Field(description="Why this rung.")
    model_version: Version | None = None
    parts: tuple[ForecastPart, ...] = Field(description="The level first, then by size; together `y_hat`.")
    members: tuple[MemberForecast, ...]

    @property
    def closed(self) -> bool:
        """Whether nothing is forecast because the shop is taken to be closed."""
        return any(part.kind is PartKind.CLOSED for part in self.parts)

    @property
    def overtaken(self) -> bool:
        """Whether the stored forecast is no longer what would be forecast now."""
        return self.stored is not None and self._differs(self.stored)

    def _differs(self, units: float) -> bool:
        return abs(units - self.y_hat) > EXACT * max(1.0, self.y_hat)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = sum(part.units for part in self.parts)
        if self._differs(total):
            raise ValueError(f"the parts are together {total}, the forecast is {self.y_hat}")
        return self
