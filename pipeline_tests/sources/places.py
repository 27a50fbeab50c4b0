"""The same sales in every kind of place: a file, SQLite, PostgreSQL, a service with stamps and one without."""

from __future__ import annotations

import abc
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import NullPool, create_engine, make_url, text

from contracts import Tenant
from pipeline_tests.sources.builders import write_rows
from pipeline_tests.sources.service import Service, serving

TYPES = {"date": "date", "product_id": "text", "quantity": "numeric", "unit_price": "numeric", "location_id": "text"}
QUERY = "SELECT * FROM till WHERE date >= :since"


class Place(abc.ABC):
    """Where a tenant's sales lie."""

    live = True

    @property
    @abc.abstractmethod
    def source(self) -> dict[str, Any]:
        """What the tenant's file says of it."""

    @abc.abstractmethod
    def put(self, rows: pd.DataFrame) -> None:
        """Let it hold these rows and no others."""

    @abc.abstractmethod
    @contextmanager
    def broken(self) -> Iterator[None]:
        """Let it fail after it has begun to answer."""

    def tenant(self, **more: object) -> Tenant:
        """A tenant whose sales lie here."""
        source = {**self.source, **more}
        return Tenant.model_validate(
            {"id": "shop", "name": "Shop", "country": "ES", "timezone": "Europe/Madrid", "source": source}
        )


class InFile(Place):
    """A CSV file; each writing of it is younger than the one before."""

    live = False

    def __init__(self, folder: Path) -> None:
        self.path, self._age = folder / "till.csv", 1000

    @property
    def source(self) -> dict[str, Any]:
        """See `Place`."""
        return {"path": str(self.path)}

    def put(self, rows: pd.DataFrame) -> None:
        """See `Place`."""
        self._age -= 1
        write_rows(self.path, rows, self._age)

    @contextmanager
    def broken(self) -> Iterator[None]:
        """See `Place`."""
        whole = self.path.read_bytes()
        self.path.write_bytes(whole[: len(whole) // 2] + b"\0")
        yield
        self.path.write_bytes(whole)


class InSqlite(Place):
    """A table in a SQLite file."""

    def __init__(self, folder: Path, query: str = QUERY) -> None:
        self.path, self.query = folder / "till.db", query

    @property
    def source(self) -> dict[str, Any]:
        """See `Place`."""
        return {"kind": "sql", "url": f"sqlite:///{self.path}", "query": self.query}

    def put(self, rows: pd.DataFrame) -> None:
        """See `Place`."""
        columns = ", ".join(f"{name} {TYPES.get(name, 'text')}" for name in rows.columns)
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DROP TABLE IF EXISTS till")
            connection.execute(f"CREATE TABLE till ({columns})")
            connection.executemany(f"INSERT INTO till VALUES ({', '.join('?' * len(rows.columns))})", _plain(rows))

    @contextmanager
    def broken(self) -> Iterator[None]:
        """See `Place`."""
        whole = self.path.read_bytes()
        self.path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        yield
        self.path.write_bytes(whole)


class InPostgres(Place):
    """A table in a real PostgreSQL."""

    def __init__(self, url: str, query: str = QUERY) -> None:
        self.url, self.query = url, query
        self.engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=NullPool)

    @property
    def source(self) -> dict[str, Any]:
        """See `Place`."""
        return {"kind": "sql", "url": self.url, "query": self.query}

    def put(self, rows: pd.DataFrame) -> None:
        """See `Place`."""
        columns = ", ".join(f"{name} {TYPES.get(name, 'text')}" for name in rows.columns)
        marks = ", ".join(f":{name}" for name in rows.columns)
        values = [dict(zip(rows.columns, row, strict=True)) for row in _plain(rows)]
        with self.engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS till"))
            connection.execute(text(f"CREATE TABLE till ({columns})"))
            if values:
                connection.execute(text(f"INSERT INTO till VALUES ({marks})"), values)

    @contextmanager
    def broken(self) -> Iterator[None]:
        """See `Place`."""
        whole, self.query = self.query, f"{self.query} AND 1 / (quantity - (SELECT max(quantity) FROM till)) < 9"
        yield
        self.query = whole


class OverHttp(Place):
    """A service, in pages of three rows."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @property
    def source(self) -> dict[str, Any]:
        """See `Place`."""
        return {"kind": "http", "url": self.service.url}

    def put(self, rows: pd.DataFrame) -> None:
        """See `Place`."""
        self.service.rows = json.loads(rows.to_json(orient="records"))

    @contextmanager
    def broken(self) -> Iterator[None]:
        """See `Place`."""
        self.service.instead = lambda request: b'{"rows": [{"da<cut>' if "page" in request.params else None
        yield
        self.service.instead = None


@contextmanager
def over_http(*, stamps: bool) -> Iterator[OverHttp]:
    """A service that listens, with stamps or without."""
    with serving(Service(stamps=stamps)) as service:
        yield OverHttp(service)


def _plain(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    objects = rows.astype(object).where(rows.notna(), None)
    return [tuple(row) for row in objects.itertuples(index=False)]
