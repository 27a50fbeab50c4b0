"""What files are and where they lie; the parameters of a training and its tenant's figures, overall and by origin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TYPES = {".json": "model/json", ".txt": "model/text", ".parquet": "model/parquet"}
FILL = f"""
UPDATE artefacts SET location = substr(sha256, 1, 2) || '/' || substr(sha256, 3), type = CASE
{" ".join(f"WHEN lower(name) LIKE '%{ending}' THEN '{kind}'" for ending, kind in TYPES.items())} ELSE 'model/other' END
"""  # noqa: S608 -- ours
BEFORE = """
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
EXPERIMENTS = """
CREATE VIEW experiments AS
SELECT jobs.id AS job_id, jobs.tenant_id, jobs.name, jobs.cause, jobs.status, jobs.started_at, jobs.finished_at,
       jobs.git_commit, jobs.tags, jobs.parameters, COALESCE(made.models, 0) AS models, made.best_wape, made.mean_wape,
       own.value AS wape, naive.value AS naive_wape
FROM training_jobs AS jobs
LEFT JOIN (
    SELECT models.job_id, COUNT(*) AS models, MIN(figures.value) AS best_wape, AVG(figures.value) AS mean_wape
    FROM trained_models AS models
    LEFT JOIN performance_metrics AS figures
           ON figures.model_id = models.id AND figures.family = 'combination' AND figures.metric = 'wape'
    GROUP BY models.job_id
) AS made ON made.job_id = jobs.id
LEFT JOIN training_metrics AS own
       ON own.job_id = jobs.id AND own.step = 0 AND own.family = 'combination' AND own.metric = 'wape'
LEFT JOIN training_metrics AS naive
       ON naive.job_id = jobs.id AND naive.step = 0 AND naive.family = 'naive' AND naive.metric = 'wape'
"""


def upgrade() -> None:
    """Add what is new; of the files that are there, name and SHA-256 tell it."""
    with op.batch_alter_table("artefacts") as batch:
        batch.add_column(sa.Column("type", sa.String(40), nullable=False, server_default=""))
        batch.add_column(sa.Column("location", sa.String(80), nullable=False, server_default=""))
    op.execute(FILL)
    op.add_column("training_jobs", sa.Column("parameters", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "training_metrics",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("training_jobs.id"), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("family", sa.String(64), nullable=False),
        sa.Column("metric", sa.String(64), nullable=False),
        sa.Column("origin", sa.Date(), nullable=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "step", "family", "metric"),
    )
    op.execute("DROP VIEW experiments")
    op.execute(EXPERIMENTS)


def downgrade() -> None:
    """Drop what was added."""
    op.execute("DROP VIEW experiments")
    op.drop_table("training_metrics")
    op.drop_column("training_jobs", "parameters")
    with op.batch_alter_table("artefacts") as batch:
        batch.drop_column("location")
        batch.drop_column("type")
    op.execute(BEFORE)
