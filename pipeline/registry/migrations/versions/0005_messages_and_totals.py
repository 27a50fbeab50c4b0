"""Messages in the order of their urgency, events that are dropped by hand, and totals that outlive what they count."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BY_RANK = "ix_inbox_handled_at_rank_id"
RANKS = {"urgent": -20, "high": -10, "low": 10}

MOMENT = sa.DateTime(timezone=True)
SECONDS = (10, 30, 60, 120, 300, 600, 1800, 3600)
FIGURES = {
    "accuracy": ("model_accuracy_percentage", (50, 60, 70, 75, 80, 85, 90, 95, 100)),
    "mae": ("model_mae", (1, 5, 10, 20, 30, 50, 100)),
}
AT_ONCE = 500


def upgrade() -> None:
    """Add the columns and the table; what is there is ranked and counted."""
    _rank_messages()
    _count_totals()


def _rank_messages() -> None:
    """Add the columns; what waits gets the rank of its priority, and the key by which its run was asked for."""
    op.add_column("outbox", sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("inbox", sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("inbox", sa.Column("run_key", sa.String(250), nullable=True))
    op.create_index(BY_RANK, "inbox", ["handled_at", "rank", "id"])
    inbox = sa.table("inbox", *map(sa.column, ("message_id", "body", "asked_at", "handled_at", "rank", "run_key")))
    waiting = sa.update(inbox).where(inbox.c.handled_at.is_(None))
    for priority, rank in RANKS.items():
        # A body is JSON without spaces, whose texts hold no bare quotation mark.
        said = inbox.c.body.contains(f'"priority":"{priority}"', autoescape=True)
        op.execute(waiting.where(said).values(rank=rank))
    op.execute(waiting.where(inbox.c.asked_at.is_not(None)).values(run_key=inbox.c.message_id))


def _count_totals() -> None:
    """Add the table, and count the jobs that have ended and the models that there are; their categories are unknown."""
    totals = op.create_table(
        "metric_totals",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("bucket", sa.String(10), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "tenant_id", "label", "bucket", name="pk_metric_totals"),
    )
    found: Counter[tuple[str, str, str, str]] = Counter()
    _count_jobs(op.get_bind(), found)
    _count_models(op.get_bind(), found)
    rows = [
        {"name": name, "tenant_id": tenant, "label": label, "bucket": bucket, "value": value}
        for (name, tenant, label, bucket), value in sorted(found.items())
    ]
    for start in range(0, len(rows), AT_ONCE):
        op.bulk_insert(totals, rows[start : start + AT_ONCE])


def downgrade() -> None:
    """Drop what was added; what was dropped by hand waits again."""
    op.drop_table("metric_totals")
    op.drop_index(BY_RANK, "inbox")
    op.drop_column("inbox", "run_key")
    op.drop_column("inbox", "rank")
    op.drop_column("outbox", "dropped_at")


def _count_jobs(connection: sa.Connection, found: Counter[tuple[str, str, str, str]]) -> None:
    jobs = sa.table(
        "training_jobs",
        sa.column("tenant_id", sa.String),
        sa.column("status", sa.String),
        sa.column("started_at", MOMENT),
        sa.column("finished_at", MOMENT),
    )
    ended = jobs.c.status.in_(["completed", "failed", "cancelled"]) & jobs.c.finished_at.is_not(None)
    for job in connection.execute(sa.select(*jobs.c).where(ended)):
        found["training_jobs", job.tenant_id, job.status, ""] += 1
        if job.status == "completed":
            seconds = (job.finished_at - job.started_at).total_seconds()
            _observe(found, "training_duration_seconds", job.tenant_id, seconds, SECONDS)


def _count_models(connection: sa.Connection, found: Counter[tuple[str, str, str, str]]) -> None:
    models = sa.table("trained_models", sa.column("id", sa.BigInteger), sa.column("tenant_id", sa.String))
    metrics = sa.table(
        "performance_metrics",
        sa.column("model_id", sa.BigInteger),
        sa.column("family", sa.String),
        sa.column("metric", sa.String),
        sa.column("value", sa.Double),
    )
    for model in connection.execute(sa.select(models.c.tenant_id)):
        found["models_trained", model.tenant_id, "none", ""] += 1
    scored = (
        sa.select(models.c.tenant_id, metrics.c.metric, metrics.c.value)
        .join_from(metrics, models, models.c.id == metrics.c.model_id)
        .where(metrics.c.family == "combination", metrics.c.metric.in_(list(FIGURES)))
    )
    for row in connection.execute(scored):
        name, bounds = FIGURES[row.metric]
        _observe(found, name, row.tenant_id, row.value, bounds)


def _observe(
    found: Counter[tuple[str, str, str, str]], name: str, tenant: str, value: float, bounds: tuple[int, ...]
) -> None:
    place = bisect_left(bounds, value)
    found[name, tenant, "", "+Inf" if place == len(bounds) else f"{bounds[place]}.0"] += 1
    found[name, tenant, "", "sum"] += value  # type: ignore[assignment]  # amounts of a Counter may be floats
