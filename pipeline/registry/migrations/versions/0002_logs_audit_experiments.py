"""Jobs with priority, retries, tags, commit and log; signatures; the audit; views of active jobs and experiments."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ADDED = ("priority", "retry_count", "git_commit", "tags")
ACTIVE_JOBS = """
CREATE VIEW active_jobs AS
SELECT id, tenant_id, name, status, priority, cause, requested_by, step, percentage, products_completed,
       products_total, retry_count, started_at, run_id
FROM training_jobs
WHERE status IN ('pending', 'running')
"""
EXPERIMENTS = """
CREATE VIEW experiments AS
SELECT jobs.id AS job_id, jobs.tenant_id, jobs.name, jobs.cause, jobs.status, jobs.started_at, jobs.finished_at,
       jobs.git_commit, jobs.tags, COUNT(models.id) AS models, MIN(figures.value) AS best_wape,
       AVG(figures.value) AS mean_wape
FROM training_jobs AS jobs
LEFT JOIN trained_models AS models ON models.job_id = jobs.id
LEFT JOIN performance_metrics AS figures
       ON figures.model_id = models.id AND figures.family = 'combination' AND figures.metric = 'wape'
GROUP BY jobs.id, jobs.tenant_id, jobs.name, jobs.cause, jobs.status, jobs.started_at, jobs.finished_at,
         jobs.git_commit, CAST(jobs.tags AS TEXT)
"""


def upgrade() -> None:
    """Add what is new; rows that are there get its defaults."""
    for column in (
        sa.Column("priority", sa.String(10), nullable=False, server_default="normal"),
        sa.Column("retry_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("git_commit", sa.String(64), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False, server_default="{}"),
    ):
        op.add_column("training_jobs", column)
    op.add_column("trained_models", sa.Column("signature", sa.String(64), nullable=True))
    op.create_table(
        "training_logs",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("training_jobs.id"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_training_logs_job_id_id", "training_logs", ["job_id", "id"])
    op.create_index("ix_training_logs_at", "training_logs", ["at"])
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_tenant_id_id", "audit", ["tenant_id", "id"])
    identity = op.create_table(
        "registry_identity", sa.Column("id", sa.String(32), nullable=False), sa.PrimaryKeyConstraint("id")
    )
    op.bulk_insert(identity, [{"id": uuid4().hex}])
    op.execute(ACTIVE_JOBS)
    op.execute(EXPERIMENTS)


def downgrade() -> None:
    """Drop what was added."""
    op.execute("DROP VIEW experiments")
    op.execute("DROP VIEW active_jobs")
    op.drop_table("registry_identity")
    op.drop_table("audit")
    op.drop_table("training_logs")
    with op.batch_alter_table("trained_models") as batch:
        batch.drop_column("signature")
    with op.batch_alter_table("training_jobs") as batch:
        for name in reversed(ADDED):
            batch.drop_column(name)
