"""Runs the migrations on the connection and inside the transaction that `upgrade` opened."""

from __future__ import annotations

from alembic import context

from pipeline.registry.database import VERSION_TABLE
from pipeline.registry.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
