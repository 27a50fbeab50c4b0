"""What is told to other systems, and what they tell: events of trainings, triggers, imported sales.

The names of the fields are those that other systems already use.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, StringConstraints

from contracts.base import Contract, Count, ProductId, TenantId, UtcDatetime, Version
from contracts.planning import Priority

EventId = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{32}$"),
    Field(description="One event's own; whoever meets it again may drop the repeat."),
]


class Severity(StrEnum):
    """How much a failure wants somebody's attention."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class CreatedModel(Contract):
    """One model that a training made; figures are those of its combination, out of sample, None where not scored."""

    product_id: ProductId
    product_name: str = Field(description="What people call it; its id where the sales give no name.")
    model_version: Version
    accuracy: float | None = Field(description="100 less the MAPE in percent, not below 0.")
    mae: float | None = Field(description="Units a day.")
    rmse: float | None = Field(description="Units a day.")
    r2_score: float | None


class TrainingResults(Contract):
    """What a training led to."""

    successful_trainings: Count = Field(description="Products that were trained.")
    failed_trainings: Count = Field(description="Products that failed or have too few days.")
    total_products: Count = Field(description="All that the plan looked at; those left are not due.")
    models_created: tuple[CreatedModel, ...]
    average_accuracy: float | None = Field(description="Mean over the models that have one; None where none has.")
    training_duration_seconds: float = Field(ge=0)


class TrainingCompleted(Contract):
    """A training ran to its end."""

    event_type: Literal["training_completed"] = "training_completed"
    event_id: EventId
    tenant_id: TenantId
    job_id: str
    job_name: str
    status: Literal["completed"] = "completed"
    results: TrainingResults
    started_at: UtcDatetime
    completed_at: UtcDatetime
    timestamp: UtcDatetime = Field(description="When the event was written.")


class TrainingFailed(Contract):
    """A product was not trained, or a whole training did not run to its end: then it names no product."""

    event_type: Literal["training_failed"] = "training_failed"
    event_id: EventId
    tenant_id: TenantId
    job_id: str
    product_id: ProductId | None = Field(description="None: the training as a whole.")
    product_name: str | None = Field(description="What people call it; its id where the sales give no name.")
    error_type: str = Field(description="Kind of the error, such as `InsufficientDataError`.")
    error_message: str
    recommended_action: str = Field(description="By the kind of the error.")
    severity: Severity = Field(description="By the kind of the error.")
    timestamp: UtcDatetime = Field(description="When the event was written.")


class _Alert(Contract):
    """Base of what is told of an alert."""

    event_id: EventId
    alert_id: Count = Field(description="Number of the alert, as `pipeline alerts list` shows it.")
    kind: str = Field(description="What is wrong, such as `run_failed`.")
    tenant_id: TenantId | None = Field(description="Whose; None: it concerns the whole installation.")
    subject: str = Field(description="What it is about, such as the job that failed.")
    severity: Severity
    message: str
    timestamp: UtcDatetime = Field(description="When the event was written.")


class AlertRaised(_Alert):
    """Something needs a person; told once, however often it happens until it has ended."""

    event_type: Literal["alert_raised"] = "alert_raised"
    recommended_action: str


class AlertEnded(_Alert):
    """What an alert was about is well again, or a person has closed it."""

    event_type: Literal["alert_ended"] = "alert_ended"
    outcome: str = Field(description="What ended it.")


class Message(Contract):
    """Base of what other systems tell; `tenant` is read as `tenant_id`."""

    tenant_id: TenantId = Field(validation_alias=AliasChoices("tenant_id", "tenant"))
    event_id: str | None = Field(
        None, min_length=1, description="The sender's name of this message; None: its content stands for it."
    )
    timestamp: UtcDatetime | None = Field(None, description="When it was sent.")


class TrainingTrigger(Message):
    """Some system wants a tenant's products trained."""

    event_type: Literal["training_trigger"] = "training_trigger"
    products: Literal["all"] | Annotated[tuple[ProductId, ...], Field(min_length=1)] = Field(
        description="`all`: those with new sales, as every week; a list: these, whatever their state."
    )
    priority: Priority = Priority.NORMAL
    batch: str | None = Field(
        None, min_length=1, max_length=100, description="Trainings of one batch run one after the other."
    )


class SalesImported(Message):
    """Some system has put sales where the tenant's file says they lie."""

    event_type: Literal["sales_imported"] = "sales_imported"
    source: str = Field(min_length=1, description="Where they came from, in the sender's words.")
    rows: Count
