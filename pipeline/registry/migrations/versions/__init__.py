"""One module a migration; its number orders them for people, `down_revision` for Alembic."""
