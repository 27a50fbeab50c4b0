"""The first schema: jobs, models, plans, ledger, promotions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "performance_metrics",
    "artefacts",
    "training_plan",
    "training_ledger",
    "promotions",
    "tenant_models",
    "trained_models",
    "training_jobs",
)


def upgrade() -> None:
    """Make every table."""
    _training_jobs()
    _trained_models()
    _model_details()
    _training_plan()
    _training_ledger()
    _promotions()
    _tenant_models()


def downgrade() -> None:
    """Drop every table, the dependent ones first."""
    for table in TABLES:
        op.drop_table(table)


def _text(name: str, length: int | None = None, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=nullable)


def _needed(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _moment(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _product() -> tuple[sa.Column[str], ...]:
    return (_text("tenant_id", 63), _text("product_id"), _text("product_key", 57))


def _table(name: str, *parts: Any, key: tuple[str, ...] = ("id",)) -> None:
    """Make a table; the metadata's naming convention names its constraints."""
    op.create_table(name, *parts, sa.PrimaryKeyConstraint(*key))


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _training_jobs() -> None:
    counts = ("products_total", "products_completed", "trained", "skipped", "insufficient", "failed")
    _table(
        "training_jobs",
        _text("id", 32),
        _text("tenant_id", 63),
        _text("name"),
        _text("status", 20),
        _text("cause"),
        _text("requested_by"),
        _text("step", nullable=True),
        _needed("percentage", sa.Double()),
        *(_needed(count, sa.Integer()) for count in counts),
        _moment("started_at"),
        _moment("finished_at", nullable=True),
        _text("error", nullable=True),
        _text("run_id", 64, nullable=True),
    )
    _index("training_jobs", "started_at")
    _index("training_jobs", "tenant_id", "started_at")


def _trained_models() -> None:
    _table(
        "trained_models",
        _number("id"),
        *_product(),
        _text("version", 15),
        _text("type", 20),
        _text("algorithm"),
        _needed("origin", sa.Date()),
        _text("demand_class", 20),
        _text("data_fingerprint", 64),
        _text("config_fingerprint", 64),
        _text("code_version", 64),
        _needed("data_points", sa.Integer()),
        _needed("seconds", sa.Double()),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("training_jobs.id"), nullable=False),
        _moment("created_at"),
        _needed("deployed", sa.Boolean()),
        _moment("deployed_since", nullable=True),
        _text("previous_version", 15, nullable=True),
        _text("manifest_sha256", 64),
        _text("manifest"),
        sa.UniqueConstraint("tenant_id", "product_key", "version"),
    )
    _index("trained_models", "tenant_id", "id")
    _index("trained_models", "tenant_id", "type", "product_key", "version")
    _index("trained_models", "job_id")
    op.create_index(
        "uq_trained_models_champion",
        "trained_models",
        ["tenant_id", "type", "product_key"],
        unique=True,
        sqlite_where=sa.text("deployed = 1"),
        postgresql_where=sa.text("deployed"),
    )


def _model_id() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("model_id", kind, sa.ForeignKey("trained_models.id"), nullable=False)


def _model_details() -> None:
    _table(
        "performance_metrics",
        _model_id(),
        _text("family", 64),
        _text("metric", 64),
        _needed("value", sa.Double()),
        key=("model_id", "family", "metric"),
    )
    _table(
        "artefacts",
        _model_id(),
        _text("family", 64),
        _text("name", 255),
        _text("sha256", 64),
        _number("bytes"),
        key=("model_id", "family", "name"),
    )
    _index("artefacts", "sha256")


def _of_job() -> tuple[sa.Column[Any], ...]:
    job = sa.Column("job_id", sa.String(32), sa.ForeignKey("training_jobs.id"), nullable=False)
    return (_number("id"), job, *_product())


def _training_plan() -> None:
    _table(
        "training_plan",
        *_of_job(),
        _needed("due", sa.Boolean()),
        _text("cause", 40, nullable=True),
        _text("reason"),
        _needed("importance", sa.Double()),
        _needed("data_days", sa.Integer()),
        _text("data_fingerprint", 64),
        _needed("restricted", sa.Boolean()),
        sa.UniqueConstraint("job_id", "product_key"),
    )


def _training_ledger() -> None:
    _table(
        "training_ledger",
        *_of_job(),
        _text("outcome", 20),
        _text("cause", 40, nullable=True),
        _text("reason"),
        _needed("data_days", sa.Integer()),
        _text("data_fingerprint", 64),
        _needed("origin", sa.Date()),
        _text("version", 15, nullable=True),
        _needed("seconds", sa.Double()),
        _text("error_type", 200, nullable=True),
        sa.UniqueConstraint("job_id", "product_key"),
    )
    _index("training_ledger", "tenant_id", "id")


def _promotions() -> None:
    _table(
        "promotions",
        _number("id"),
        *_product(),
        _moment("decided_at"),
        _text("decision", 20),
        _text("from_version", 15, nullable=True),
        _text("to_version", 15),
        _text("reason"),
        _needed("figures", sa.JSON()),
        _text("actor"),
    )
    _index("promotions", "tenant_id", "id")
    _index("promotions", "tenant_id", "product_key", "id")


def _tenant_models() -> None:
    _table(
        "tenant_models",
        _number("id"),
        _text("tenant_id", 63),
        _text("family", 64),
        _text("key", 64),
        _needed("origin", sa.Date()),
        _moment("created_at"),
        _needed("files", sa.JSON()),
        _needed("seconds", sa.Double()),
        sa.UniqueConstraint("tenant_id", "family", "key"),
    )
