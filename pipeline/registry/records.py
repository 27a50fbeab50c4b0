"""What the registry gives back where no contract says it already."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contracts import JobProgress, Priority, Severity, TrainingTerms


class JobStatus(StrEnum):
    """Where a training job stands; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


class Decision(StrEnum):
    """What was decided about a product's champion."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"


class Action(StrEnum):
    """What was done to a tenant's models, to a service's circuit breaker, to an alert, or to an event."""

    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    WITHDRAW = "withdraw"
    QUARANTINE = "quarantine"
    DELETE = "delete"
    RESET_BREAKER = "reset_breaker"
    CLOSE_ALERT = "close_alert"
    DROP_EVENT = "drop_event"


@dataclass(frozen=True)
class JobRecord:
    """One training job; `percentage` is 0 to 100, times are UTC."""

    id: str
    tenant_id: str
    name: str
    status: JobStatus
    cause: str
    requested_by: str
    step: str | None
    percentage: float
    products_total: int
    products_completed: int
    trained: int
    skipped: int
    insufficient: int
    failed: int
    started_at: dt.datetime
    finished_at: dt.datetime | None
    error: str | None
    run_id: str | None
    priority: Priority
    retry_count: int
    git_commit: str | None
    tags: Mapping[str, str]
    parameters: Mapping[str, Any]

    def progress(self, now: dt.datetime) -> JobProgress:
        """Return how far it is, and how long it takes yet if it goes on as until now."""
        taken = ((self.finished_at or now) - self.started_at).total_seconds()
        left = max(taken, 0) * (100 - self.percentage) / self.percentage if self.percentage else None
        return JobProgress(
            job_id=self.id,
            percentage=self.percentage,
            current_step=self.step,
            products_completed=self.products_completed,
            products_total=self.products_total,
            estimated_time_remaining=0.0 if self.status.final else left,
            started_at=self.started_at,
        )


@dataclass(frozen=True)
class Figure:
    """One figure of a training over all of its tenant's products.

    Step 0 is over all past origins and has none of its own; the others are one origin each, the earliest first.
    """

    step: int
    origin: dt.date | None
    family: str
    metric: str
    value: float


@dataclass(frozen=True)
class Experiment:
    """One training and one of its figures, beside the seasonal naive's.

    `models` it made; `least` and `mean` over these. Of a product, `version` is the model that it made.
    """

    job: JobRecord
    value: float | None
    naive: float | None
    models: int = 1
    least: float | None = None
    mean: float | None = None
    version: str | None = None


@dataclass(frozen=True)
class TrainedProduct:
    """A model that a training made, with its figures by name; `naive_wape` is the seasonal naive's."""

    product_id: str
    version: str
    algorithm: str
    demand_class: str
    seconds: float
    figures: dict[str, float]


@dataclass(frozen=True)
class LogLine:
    """One line of a job's log; `milliseconds` is what the step took."""

    at: dt.datetime
    level: str
    step: str
    message: str
    milliseconds: float | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class AuditRecord:
    """One entry of the audit: `subject` is a product with its version, a stored object, a circuit breaker, or an alert.

    `tenant_id` is empty where it concerns everybody.
    """

    id: int
    at: dt.datetime
    actor: str
    action: Action
    tenant_id: str
    subject: str
    reason: str
    details: Mapping[str, Any]


@dataclass(frozen=True)
class BreakerRecord:
    """One service's circuit breaker: `closed`, `open` or `half-open`, and its failures in a row.

    `opened_at` is since when the service is left alone, `changed_at` when the state changed or a trial began.
    """

    name: str
    state: str
    failures: int
    opened_at: dt.datetime | None
    changed_at: dt.datetime
    last_error: str | None


@dataclass(frozen=True)
class AlertRecord:
    """What needs a person; `ended_at` is None while it does, `times` how often it was seen, the last time at `last_at`.

    `tenant_id` is empty where it concerns the whole installation.
    """

    id: int
    kind: str
    tenant_id: str
    subject: str
    severity: Severity
    message: str
    action: str
    times: int
    raised_at: dt.datetime
    last_at: dt.datetime
    ended_at: dt.datetime | None
    outcome: str | None


@dataclass(frozen=True)
class ModelRecord:
    """One registered model without its manifest; `algorithm` joins its families by `+`.

    `terms` are those of its training, None where it was an ordinary one.
    """

    id: int
    tenant_id: str
    product_id: str
    version: str
    type: str
    algorithm: str
    origin: dt.date
    demand_class: str
    data_fingerprint: str
    config_fingerprint: str
    code_version: str
    data_points: int
    seconds: float
    job_id: str
    created_at: dt.datetime
    deployed: bool
    deployed_since: dt.datetime | None
    previous_version: str | None
    manifest_sha256: str
    terms: TrainingTerms | None


@dataclass(frozen=True)
class Wanted:
    """Which of a tenant's models; None asks for nothing.

    `family` is one of a model's families, `max_wape` the largest error on past days that it may have.
    """

    product_id: str | None = None
    model_type: str | None = None
    family: str | None = None
    deployed: bool | None = None
    max_wape: float | None = None


@dataclass(frozen=True)
class ListedModel:
    """A model in a list, with its error on past days and that of the seasonal naive."""

    model: ModelRecord
    wape: float | None
    naive_wape: float | None


@dataclass(frozen=True)
class Promotion:
    """One decision about a product's champion.

    `from_version` was the champion before, None where there was none; `to_version` is the model that
    was promoted, refused, rolled back to, or withdrawn.
    """

    id: int
    tenant_id: str
    product_id: str
    decided_at: dt.datetime
    decision: Decision
    from_version: str | None
    to_version: str
    reason: str
    figures: Mapping[str, Any]
    actor: str
