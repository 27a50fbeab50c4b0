"""A forecast row, and the rung of the ladder that it stands on."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from contracts.base import Contract, ProductId, TenantId, UtcDatetime


class Rung(StrEnum):
    """Which fallback produced a forecast; the first is the best."""

    CHAMPION = "champion"
    PREVIOUS_CHAMPION = "previous_champion"
    BORROWED = "borrowed"
    SEASONAL_NAIVE = "seasonal_naive"
    LAST_FORECAST = "last_forecast"


class _AnyForecastRow(Contract):
    """What every forecast of a product on one future day begins with."""

    tenant_id: TenantId
    product_id: ProductId
    date: dt.date = Field(description="The day that is forecast.")
    origin: dt.date = Field(description="The last day that the forecast has seen.")
    horizon: int = Field(ge=1, le=365, description="Days from the origin.")
    y_hat: float = Field(ge=0, description="Mean demand, units.")


class ForecastRow(_AnyForecastRow):
    """One product on one future day."""

    lower: float = Field(ge=0, description="0.05 quantile.")
    upper: float = Field(ge=0, description="0.95 quantile.")
    q10: float = Field(ge=0, description="0.10 quantile.")
    q25: float = Field(ge=0, description="0.25 quantile.")
    q50: float = Field(ge=0, description="0.50 quantile: the median.")
    q75: float = Field(ge=0, description="0.75 quantile.")
    q90: float = Field(ge=0, description="0.90 quantile.")
    model_version: str | None = Field(None, description="None on the rungs that need no model.")
    rung: Rung = Field(description="Which fallback produced it; `champion` is the model in use.")
    reason: str = Field(description="Why this rung.")
    stale: bool = Field(False, description="True: from an earlier forecast, since no new one could be made.")
    issued_at: UtcDatetime = Field(description="When it was made, UTC.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        levels = [self.lower, self.q10, self.q25, self.q50, self.q75, self.q90, self.upper]
        if levels != sorted(levels):
            raise ValueError(f"quantiles must not fall, got {levels}")
        if (self.date - self.origin).days != self.horizon:
            raise ValueError(f"{self.date} is not {self.horizon} days after the origin {self.origin}")
        return self


class RequestedForecastRow(_AnyForecastRow):
    """One product on one future day, as far ahead and with the range that was asked for; nothing stores it."""

    lower: float = Field(ge=0, description="Lower end of the range.")
    upper: float = Field(ge=0, description="Upper end of the range.")
    confidence: float = Field(ge=0.5, le=0.99, description="Share of days that the range shall hold.")
    beyond_horizon: bool = Field(description="True: further ahead than forecasts were held against what came.")
    model_version: str | None = Field(None, description="None on the rungs that need no model.")
    rung: Rung = Field(description="Which fallback produced it; `champion` is the model in use.")
    reason: str = Field(description="Why this rung.")
    issued_at: UtcDatetime = Field(description="When it was made, UTC.")
