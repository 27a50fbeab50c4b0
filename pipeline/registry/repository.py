"""What the parts of the registry share: transactions, rows, and the rule that a job has one tenant."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, Row, Select, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute

from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.registry.database import explained, writer
from pipeline.registry.tables import Base, TrainingJob

Columns = Sequence[InstrumentedAttribute[Any]]
AnyRow: TypeAlias = "Row[*tuple[Any, ...]]"
AnySelect: TypeAlias = "Select[*tuple[Any, ...]]"
Insert = postgresql.Insert | sqlite.Insert


class Repository:
    """A part of the registry: some tables, behind one engine.

    Args:
        engine: the database.
        key: manifests are signed with it, and read only where they are.
    """

    def __init__(self, engine: Engine, key: bytes | None = None) -> None:
        self._engine, self._key = engine, key
        self._writer = writer(engine)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with explained(self._engine), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Commit at the end; roll everything back when anything fails."""
        with explained(self._engine), self._writer.begin() as connection:
            yield connection


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


def columns_of(table: type[Base], fields: Iterable[str]) -> Columns:
    """Return a table's columns by name."""
    return [getattr(table, field) for field in fields]


def insert_into(connection: Connection, table: type[Base]) -> Insert:
    """Return an INSERT that knows ON CONFLICT, in the words of the connection's database."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return make(table)


def upsert(connection: Connection, table: type[Base], values: Mapping[str, Any], unique: Sequence[str]) -> None:
    """Insert one row, or replace the values of the row that holds the same unique columns."""
    statement = insert_into(connection, table).values(**values)
    rest = {name: statement.excluded[name] for name in values if name not in unique}
    connection.execute(statement.on_conflict_do_update(index_elements=list(unique), set_=rest))


def require_job(connection: Connection, job_id: str, tenant_id: str) -> None:
    """Raise unless the job exists and belongs to the tenant.

    Raises:
        NotRegisteredError: there is no such job.
        RegistryError: it is another tenant's.
    """
    owner = connection.scalar(select(TrainingJob.tenant_id).where(TrainingJob.id == job_id))
    if owner is None:
        raise NotRegisteredError(f"training job {job_id!r} is not registered; start it before writing to it")
    if owner != tenant_id:
        raise RegistryError(f"training job {job_id!r} belongs to tenant {owner!r}, not to {tenant_id!r}")


def plain_json(figures: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return figures that JSON can hold.

    Raises:
        RegistryError: a value is not finite, or of a type that JSON does not know; names it.
    """
    for name, value in figures.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise RegistryError(f"{what}: {name} is {value}; give None for a figure that is not defined")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(figures), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RegistryError(f"{what}: {error}; give numbers, texts, booleans, lists and None") from error
    return plain
