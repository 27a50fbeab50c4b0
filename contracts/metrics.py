"""Errors of a model or a family, out of sample."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Count, Share


class Grade(StrEnum):
    """How good a forecast is by MAPE; the limits are settings."""

    EXCELLENT = "excellent"
    GOOD = "good"
    ACCEPTABLE = "acceptable"
    POOR = "poor"


class Metrics(Contract):
    """Errors over scored days; None where a figure is not defined (no sales, no history, one day)."""

    n: Count = Field(description="Days scored.")
    mae: float | None = Field(None, ge=0, description="Units a day.")
    rmse: float | None = Field(None, ge=0, description="Units a day.")
    r2_score: float | None = Field(None, le=1, description="1 perfect, 0 no better than the mean of the days.")
    mape: float | None = Field(None, ge=0, description="Percent, over days with sales.")
    mape_days_left_out: Share | None = Field(None, description="Share of days without sales, not in `mape`.")
    accuracy: float | None = Field(None, ge=0, le=100, description="max(0, 100 - mape).")
    wape: float | None = Field(None, ge=0, description="Units wrong for each unit sold.")
    mase: float | None = Field(None, ge=0, description="Against the seasonal naive of lag 7 in the history.")
    rmsse: float | None = Field(None, ge=0, description="Squared, against the same.")
    bias: float | None = Field(None, description="(forecast - actual) / actual.")
    coverage: Share | None = Field(None, description="Share of days inside lower to upper.")
    below_upper: Share | None = Field(None, description="Share of days at or below upper; 0.95 is aimed at.")
    pinball: float | None = Field(None, ge=0, description="Units a day: loss of all quantiles, on the mean of them.")
