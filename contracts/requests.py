"""What may be asked of the pipeline: one definition for the launchpad, the command line and whatever comes later.

The fields of a request are checked in their order, so that a rule about two of them names the later one.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, field_validator

from contracts.base import Contract, ProductId, TenantId
from contracts.limits import DaysAhead, Origins
from contracts.models import ModelType
from contracts.planning import Priority
from contracts.terms import HyperparameterOverrides, TrainingTerms

LONGEST_SPAN_YEARS = 3
LEAST_EVALUATED_DAYS = 7
LONGEST_SPAN_DAYS = 366 * LONGEST_SPAN_YEARS
MOST_TENANTS = 100
MOST_ROWS = 1000
"""Models on one page."""
LATEST_ZONE = dt.timezone(dt.timedelta(hours=14))
"""The first to see a new day: what lies in the future there does so everywhere."""


def _once(given: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for name, count in Counter(given).items() if count > 1]
    if twice:
        raise ValueError(f"each may be given once, {', '.join(map(repr, twice[:5]))} is given more often")
    return given


Products = Annotated[tuple[ProductId, ...], AfterValidator(_once)]


class _Spanned(Contract):
    """Base of requests for a span of days."""

    start: dt.date | None = Field(None, description="First day, ISO 8601; None: from the first one there is.")
    end: dt.date | None = Field(None, description="Last day, ISO 8601; None: to the last one there is.")

    @field_validator("start", "end")
    @classmethod
    def _not_in_the_future(cls, value: dt.date | None) -> dt.date | None:
        today = dt.datetime.now(LATEST_ZONE).date()
        if value is not None and value > today:
            raise ValueError(f"must not lie in the future, today is {today}")
        return value

    @field_validator("end")
    @classmethod
    def _after_the_start(cls, value: dt.date | None, info: ValidationInfo) -> dt.date | None:
        start = info.data.get("start")
        if value is None or start is None:
            return value
        if value <= start:
            raise ValueError(f"must be after start, {start}")
        if value > _years_after(start, LONGEST_SPAN_YEARS):
            raise ValueError(f"must be at most {LONGEST_SPAN_YEARS} years after start, {start}")
        return value


class TrainingRequest(_Spanned):
    """Train a tenant's products."""

    tenant: TenantId
    products: Products = Field((), description="Ids to train now, whatever their state. Empty: those that are due.")
    priority: Priority = Field(Priority.NORMAL, description="How soon; it orders the queue.")
    scheduled: bool = Field(False, description="True: the weekly retraining, every product with new sales is due.")


class AdvancedTrainingRequest(TrainingRequest):
    """A training with its cross-validation and settings of its own."""

    evaluation_origins: Origins | None = Field(None, description="Past origins to score at; None: as the settings say.")
    diagnostics: bool = Field(False, description="True: a profile of the training is written, too.")
    overrides: HyperparameterOverrides = Field(HyperparameterOverrides(), description="Settings for this training.")

    @property
    def terms(self) -> TrainingTerms | None:
        """What makes it another than an ordinary training; None: nothing does."""
        asked = TrainingTerms(**{name: getattr(self, name) for name in TrainingTerms.model_fields})
        return None if asked == TrainingTerms() else asked


class BulkTrainingRequest(Contract):
    """Train several tenants."""

    tenants: Annotated[tuple[TenantId, ...], AfterValidator(_once)] = Field(
        min_length=1, max_length=MOST_TENANTS, description="Each once; the queue takes them in this order."
    )
    products: Products = Field((), description="Of each tenant. Empty: those with new sales.")
    parallel: bool = Field(True, description="False: one tenant after the other, in this order.")
    priority: Priority = Field(Priority.NORMAL, description="How soon; it orders the queue.")


class ForecastRequest(Contract):
    """Forecast a tenant's products with the standing models."""

    tenant: TenantId
    products: Products = Field((), description="Empty: all that still sell.")
    days: DaysAhead = Field(description="Days ahead.")
    confidence: float = Field(0.9, ge=0.5, le=0.99, description="Share of days that the range shall hold.")


class EvaluationRequest(_Spanned):
    """Hold forecasts against what was sold, over at least 7 days: either the last `days`, or `start` to `end`."""

    tenant: TenantId
    products: Products = Field((), description="Empty: all.")
    days: int | None = Field(
        None, ge=LEAST_EVALUATED_DAYS, le=LONGEST_SPAN_DAYS, validate_default=True, description="The last so many days."
    )
    ahead: DaysAhead = Field(1, description="Days from the last sales that a forecast has seen to its day, at least.")

    @field_validator("end")
    @classmethod
    def _long_enough(cls, value: dt.date | None, info: ValidationInfo) -> dt.date | None:
        start = info.data.get("start")
        if value is not None and start is not None and (value - start).days + 1 < LEAST_EVALUATED_DAYS:
            raise ValueError(f"must leave at least {LEAST_EVALUATED_DAYS} days, from start, {start}, on")
        return value

    @field_validator("days")
    @classmethod
    def _one_way(cls, value: int | None, info: ValidationInfo) -> int | None:
        if not {"start", "end"} <= set(info.data):
            return value  # One of them is refused already.
        given = [name for name in ("start", "end") if info.data[name] is not None]
        if len(given) != (2 if value is None else 0):
            raise ValueError("either days must be given, or start and end")
        return value


class DataQualityRequest(Contract):
    """Say what the checks find in a tenant's sales."""

    tenant: TenantId
    products: Products = Field((), description="Empty: all, and what concerns no single one.")
    recommendations: bool = Field(True, description="True: what to do about each finding, in words.")


class ModelQuery(Contract):
    """A page of a tenant's registered models, the newest first; None asks for nothing."""

    tenant: TenantId
    product: ProductId | None = None
    model_type: ModelType | None = None
    family: str | None = Field(None, min_length=1, description="Models with this family, such as `lightgbm`.")
    deployed: StrictBool | None = Field(None, description="True: in use; False: not in use.")
    max_wape: float | None = Field(None, ge=0, description="The largest WAPE that they may have.")
    limit: int = Field(50, ge=1, le=MOST_ROWS, description="Models on the page at the most.")
    offset: int = Field(0, ge=0, description="Models to leave out first.")


def _years_after(day: dt.date, years: int) -> dt.date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)  # 29 February
