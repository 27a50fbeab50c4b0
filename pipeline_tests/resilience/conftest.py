"""The registry's fixtures: `registry` and `prepared` on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from pipeline_tests.registry.conftest import migrated, migrated_postgres, prepared, registry

__all__ = ["migrated", "migrated_postgres", "prepared", "registry"]
