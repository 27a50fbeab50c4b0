"""What makes a training another than an ordinary one: asked for in a request, kept with its models."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import Field

from contracts.base import Contract
from contracts.limits import (
    Depth,
    HalfOrMore,
    LeafDays,
    LearningRate,
    Origins,
    PriorScale,
    SeasonalityMode,
    Trees,
    TrendFlexibility,
)


class HyperparameterOverrides(Contract):
    """Settings of families for one training; None leaves a setting as it is. Names and ranges are the settings' own."""

    prophet_changepoint_prior_scale: TrendFlexibility | None = Field(None, description="Flexibility of the trend.")
    prophet_seasonality_prior_scale: PriorScale | None = Field(None, description="Size of the seasons.")
    prophet_holidays_prior_scale: PriorScale | None = Field(None, description="Size of holidays and covariates.")
    prophet_seasonality_mode: SeasonalityMode | None = Field(None, description="Whether seasons add or multiply.")
    lightgbm_n_estimators: Trees | None = Field(None, description="Trees of a booster.")
    lightgbm_learning_rate: LearningRate | None = Field(None, description="How much of what is left a tree takes.")
    lightgbm_max_depth: Depth | None = Field(None, description="Questions in a row.")
    lightgbm_min_child_samples: LeafDays | None = Field(None, description="Product days that a leaf needs.")
    lightgbm_subsample: HalfOrMore | None = Field(None, description="Share of the days that a tree sees.")
    lightgbm_colsample_bytree: HalfOrMore | None = Field(None, description="Share of the features that a tree sees.")


class TrainingTerms(Contract):
    """The terms of a training: the days that it sees and the settings of its own; without any it is an ordinary one.

    The rules about days are those of the request that they came with: what was kept is read for ever.
    """

    start: dt.date | None = Field(None, description="First day that it sees; None: the first one there is.")
    end: dt.date | None = Field(None, description="Last day that it sees; None: the last complete one.")
    evaluation_origins: Origins | None = Field(None, description="Past origins to score at; None: as the settings say.")
    overrides: HyperparameterOverrides = Field(HyperparameterOverrides(), description="Settings for this training.")

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it replaces, by name."""
        own = {} if self.evaluation_origins is None else {"evaluation_origins": self.evaluation_origins}
        return own | self.overrides.model_dump(exclude_none=True)

    @property
    def stated(self) -> dict[str, Any]:
        """All that was asked for, by name."""
        days = {name: day for name, day in (("start", self.start), ("end", self.end)) if day is not None}
        return days | self.settings

    def __str__(self) -> str:
        """Name them in a message: `start 2024-03-01, lightgbm_max_depth 4`."""
        return ", ".join(f"{name} {value}" for name, value in self.stated.items())
