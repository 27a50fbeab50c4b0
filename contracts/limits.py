"""Ranges that a setting and a request share: each stands here once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

PriorScale = Annotated[float, Field(ge=0.01, le=10)]
TrendFlexibility = Annotated[float, Field(ge=0.001, le=0.5)]
SeasonalityMode = Literal["additive", "multiplicative"]
Trees = Annotated[int, Field(ge=50, le=500)]
LearningRate = Annotated[float, Field(ge=0.01, le=0.3)]
Depth = Annotated[int, Field(ge=3, le=15)]
LeafDays = Annotated[int, Field(ge=5, le=100)]
HalfOrMore = Annotated[float, Field(ge=0.5, le=1)]
Origins = Annotated[int, Field(ge=1, le=52)]
DaysAhead = Annotated[int, Field(ge=1, le=365)]

MOST_DAYS = 36_500
"""A hundred years: with a longer span, what lies so far back or ahead is a date that no calendar has."""
SpanDays = Annotated[int, Field(le=MOST_DAYS)]
LongDays = Annotated[float, Field(le=MOST_DAYS)]
SpanHours = Annotated[float, Field(le=24 * MOST_DAYS)]
SpanMinutes = Annotated[float, Field(le=24 * 60 * MOST_DAYS)]
SpanSeconds = Annotated[float, Field(le=24 * 60 * 60 * MOST_DAYS)]
MOST_HOURS_OF_WINDOWS = 24 * 366
"""A year of what model servers report."""
