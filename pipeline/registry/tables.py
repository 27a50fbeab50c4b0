"""The registry's tables.

Product ids are free text of up to 1,000 characters, more than an index entry may hold: `product_key`
(their slug) stands for them in every index and condition, and `product_id` gives them back as they were.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, Date, Double, ForeignKey, Index, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from contracts import TrainingTerms
from pipeline.registry.columns import BigId, ProductText, ReadableText, TermsJson, UtcDateTime


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can find them again."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dt.datetime: UtcDateTime, dt.date: Date, float: Double}  # noqa: RUF012 - SQLAlchemy reads it so


class Identity(Base):
    """The one row that tells this registry from any other; it goes along when the rows are moved elsewhere."""

    __tablename__ = "registry_identity"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)


class TrainingJob(Base):
    """One training run of one tenant."""

    __tablename__ = "training_jobs"
    __table_args__ = (Index(None, "tenant_id", "started_at"), Index(None, "started_at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(ReadableText)
    status: Mapped[str] = mapped_column(String(20))
    cause: Mapped[str] = mapped_column(ReadableText)
    requested_by: Mapped[str] = mapped_column(ReadableText)
    step: Mapped[str | None] = mapped_column(ReadableText)
    percentage: Mapped[float]
    products_total: Mapped[int]
    products_completed: Mapped[int]
    trained: Mapped[int]
    skipped: Mapped[int]
    insufficient: Mapped[int]
    failed: Mapped[int]
    started_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]
    error: Mapped[str | None] = mapped_column(ReadableText)
    run_id: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[str] = mapped_column(String(10), server_default="normal")
    retry_count: Mapped[int] = mapped_column(server_default="0")
    git_commit: Mapped[str | None] = mapped_column(String(64))
    tags: Mapped[dict[str, Any]] = mapped_column(JSON, server_default="{}")
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON, server_default="{}")


class TrainingMetric(Base):
    """One figure of all of a tenant's products in one training: step 0 over all past origins, the others one each."""

    __tablename__ = "training_metrics"

    job_id: Mapped[str] = mapped_column(ForeignKey("training_jobs.id"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    family: Mapped[str] = mapped_column(String(64), primary_key=True)
    metric: Mapped[str] = mapped_column(String(64), primary_key=True)
    origin: Mapped[dt.date | None]
    value: Mapped[float]


class TrainingLog(Base):
    """One line that a job wrote down; `milliseconds` is what the step took, `details` whatever belongs to it."""

    __tablename__ = "training_logs"
    __table_args__ = (Index(None, "job_id", "id"), Index(None, "at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("training_jobs.id"))
    at: Mapped[dt.datetime]
    level: Mapped[str] = mapped_column(String(10))
    step: Mapped[str] = mapped_column(ReadableText)
    message: Mapped[str] = mapped_column(ReadableText)
    milliseconds: Mapped[float | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


class TrainedModel(Base):
    """One registered model; at most one of a product and type is deployed."""

    __tablename__ = "trained_models"
    __table_args__ = (
        UniqueConstraint("tenant_id", "product_key", "version"),
        Index(None, "tenant_id", "id"),
        Index(None, "tenant_id", "type", "product_key", "version"),
        Index(None, "job_id"),
        Index(
            "uq_trained_models_champion",
            "tenant_id",
            "type",
            "product_key",
            unique=True,
            # The champions alone, in the words in which each database is asked for them.
            sqlite_where=text("deployed = 1"),
            postgresql_where=text("deployed"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(63))
    product_id: Mapped[str] = mapped_column(ProductText)
    product_key: Mapped[str] = mapped_column(String(57))
    version: Mapped[str] = mapped_column(String(15))
    type: Mapped[str] = mapped_column(String(20))
    algorithm: Mapped[str] = mapped_column(Text)
    origin: Mapped[dt.date]
    demand_class: Mapped[str] = mapped_column(String(20))
    data_fingerprint: Mapped[str] = mapped_column(String(64))
    config_fingerprint: Mapped[str] = mapped_column(String(64))
    code_version: Mapped[str] = mapped_column(String(64))
    data_points: Mapped[int]
    seconds: Mapped[float]
    job_id: Mapped[str] = mapped_column(ForeignKey("training_jobs.id"))
    created_at: Mapped[dt.datetime]
    deployed: Mapped[bool]
    deployed_since: Mapped[dt.datetime | None]
    previous_version: Mapped[str | None] = mapped_column(String(15))
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    manifest: Mapped[str] = mapped_column(Text)
    signature: Mapped[str | None] = mapped_column(String(64))
    terms: Mapped[TrainingTerms | None] = mapped_column(TermsJson)


class PerformanceMetric(Base):
    """One figure of one family of a model, of the `combination`, or of the `naive` that it is held against."""

    __tablename__ = "performance_metrics"

    model_id: Mapped[int] = mapped_column(BigId, ForeignKey("trained_models.id"), primary_key=True)
    family: Mapped[str] = mapped_column(String(64), primary_key=True)
    metric: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[float]


class Artefact(Base):
    """One stored file of one family of a model; `location` is its object in the store, but for the ending."""

    __tablename__ = "artefacts"
    __table_args__ = (Index(None, "sha256"),)

    model_id: Mapped[int] = mapped_column(BigId, ForeignKey("trained_models.id"), primary_key=True)
    family: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigId)
    type: Mapped[str] = mapped_column(String(40), server_default="")
    location: Mapped[str] = mapped_column(String(80), server_default="")


class TrainingPlan(Base):
    """One product's place in a job's plan."""

    __tablename__ = "training_plan"
    __table_args__ = (UniqueConstraint("job_id", "product_key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("training_jobs.id"))
    tenant_id: Mapped[str] = mapped_column(String(63))
    product_id: Mapped[str] = mapped_column(ProductText)
    product_key: Mapped[str] = mapped_column(String(57))
    due: Mapped[bool]
    cause: Mapped[str | None] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(ReadableText)
    importance: Mapped[float]
    data_days: Mapped[int]
    data_fingerprint: Mapped[str] = mapped_column(String(64))
    restricted: Mapped[bool]


class TrainingLedger(Base):
    """What became of one product in one job."""

    __tablename__ = "training_ledger"
    __table_args__ = (
        UniqueConstraint("job_id", "product_key"),
        Index(None, "tenant_id", "id"),
        Index(None, "tenant_id", "product_key", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("training_jobs.id"))
    tenant_id: Mapped[str] = mapped_column(String(63))
    product_id: Mapped[str] = mapped_column(ProductText)
    product_key: Mapped[str] = mapped_column(String(57))
    outcome: Mapped[str] = mapped_column(String(20))
    cause: Mapped[str | None] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(ReadableText)
    data_days: Mapped[int]
    data_fingerprint: Mapped[str] = mapped_column(String(64))
    origin: Mapped[dt.date]
    version: Mapped[str | None] = mapped_column(String(15))
    seconds: Mapped[float]
    error_type: Mapped[str | None] = mapped_column(String(200))


class PromotionDecision(Base):
    """One decision about a product's champion, with the figures that it was taken on."""

    __tablename__ = "promotions"
    __table_args__ = (Index(None, "tenant_id", "product_key", "id"), Index(None, "tenant_id", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(63))
    product_id: Mapped[str] = mapped_column(ProductText)
    product_key: Mapped[str] = mapped_column(String(57))
    decided_at: Mapped[dt.datetime]
    decision: Mapped[str] = mapped_column(String(20))
    from_version: Mapped[str | None] = mapped_column(String(15))
    to_version: Mapped[str] = mapped_column(String(15))
    reason: Mapped[str] = mapped_column(ReadableText)
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    actor: Mapped[str] = mapped_column(ReadableText)


class AuditEntry(Base):
    """Who did what to whose models, when and why; entries are added and never changed."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "tenant_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[dt.datetime]
    actor: Mapped[str] = mapped_column(ReadableText)
    action: Mapped[str] = mapped_column(String(20))
    tenant_id: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(ReadableText)
    reason: Mapped[str] = mapped_column(ReadableText)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


class TenantModel(Base):
    """A family's fit that all of a tenant's products share, by the hash of its data and parameters."""

    __tablename__ = "tenant_models"
    __table_args__ = (UniqueConstraint("tenant_id", "family", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(63))
    family: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    origin: Mapped[dt.date]
    created_at: Mapped[dt.datetime]
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    seconds: Mapped[float]


class OutboxEvent(Base):
    """One event for other systems, written with what it tells of; `body` is the JSON that is sent.

    It waits until it was sent, or dropped by hand.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "published_at", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    event_id: Mapped[str] = mapped_column(String(32), unique=True)
    tenant_id: Mapped[str] = mapped_column(String(63))
    type: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(ReadableText)
    created_at: Mapped[dt.datetime]
    published_at: Mapped[dt.datetime | None]
    dropped_at: Mapped[dt.datetime | None]


class InboxMessage(Base):
    """One message of another system, kept once however often it comes; `outcome` says what it led to.

    `asked_at` is when a run was last asked for, which may not be there yet, and `run_key` what it is known by: messages
    that have the same wait for the same run. The lower the `rank`, the more urgent.
    """

    __tablename__ = "inbox"
    __table_args__ = (Index(None, "handled_at", "id"), Index(None, "handled_at", "rank", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(200), unique=True)
    type: Mapped[str] = mapped_column(String(64))
    tenant_id: Mapped[str] = mapped_column(String(63))
    body: Mapped[str] = mapped_column(ReadableText)
    rank: Mapped[int] = mapped_column(server_default="0")
    received_at: Mapped[dt.datetime]
    asked_at: Mapped[dt.datetime | None]
    run_key: Mapped[str | None] = mapped_column(String(250))
    handled_at: Mapped[dt.datetime | None]
    outcome: Mapped[str | None] = mapped_column(ReadableText)


class CircuitBreaker(Base):
    """What the processes of an installation know together about a service that may be down."""

    __tablename__ = "circuit_breakers"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    state: Mapped[str] = mapped_column(String(10))
    failures: Mapped[int]
    opened_at: Mapped[dt.datetime | None]
    changed_at: Mapped[dt.datetime]
    last_error: Mapped[str | None] = mapped_column(ReadableText)


class Alert(Base):
    """What needs a person, from when it is first seen until it is well again; `times` it was seen meanwhile.

    One of a kind, tenant and subject is open at a time. `tenant_id` is empty where it concerns the whole installation.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("kind", "tenant_id", "subject", "raised_at"),
        Index(None, "ended_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    tenant_id: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(String(200))
    severity: Mapped[str] = mapped_column(String(10))
    message: Mapped[str] = mapped_column(ReadableText)
    action: Mapped[str] = mapped_column(ReadableText)
    times: Mapped[int]
    raised_at: Mapped[dt.datetime]
    last_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    outcome: Mapped[str | None] = mapped_column(ReadableText)


class MetricTotal(Base):
    """One total that only grows: what it counted may be deleted since. `bucket` is one of a distribution, or empty."""

    __tablename__ = "metric_totals"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    label: Mapped[str] = mapped_column(ReadableText, primary_key=True)
    bucket: Mapped[str] = mapped_column(String(10), primary_key=True)
    value: Mapped[float]
