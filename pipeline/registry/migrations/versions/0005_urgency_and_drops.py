"""Messages in the order of their urgency, the run that each waits for, and events that are dropped by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BY_RANK = "ix_inbox_handled_at_rank_id"
RANKS = {"urgent": -20, "high": -10, "low": 10}


def upgrade() -> None:
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


def downgrade() -> None:
    """Drop what was added; what was dropped by hand waits again."""
    op.drop_index(BY_RANK, "inbox")
    op.drop_column("inbox", "run_key")
    op.drop_column("inbox", "rank")
    op.drop_column("outbox", "dropped_at")
