"""Every test that takes `registry`, `prepared` or `settings` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from pipeline.registry import Registry, open_registry
from pipeline.registry.tables import Base
from pipeline.settings import Settings
from pipeline_tests.registry.bucket import bucket

__all__ = ["bucket"]

DATABASE = "PIPELINE_TEST_DATABASE_URL"


def server() -> Engine:
    if DATABASE not in os.environ:
        lacking = f"{DATABASE} is unset: name a PostgreSQL server, such as postgresql://postgres@127.0.0.1/test"
        (pytest.fail if "CI" in os.environ else pytest.skip)(lacking)
    url = make_url(os.environ[DATABASE]).set(drivername="postgresql+psycopg2")
    return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)


@contextmanager
def database() -> Iterator[str]:
    name = f"pipeline_test_{uuid4().hex}"
    engine = server()
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(os.environ[DATABASE]).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def empty_postgres() -> Iterator[str]:
    """URL of an empty database on the server that PIPELINE_TEST_DATABASE_URL names, dropped afterwards."""
    with database() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a database with the registry's schema, shared by the session and dropped at its end."""
    with database() as url:
        open_registry(Settings(pipeline_home=tmp_path_factory.mktemp("home"), database_url=url)).close()
        yield url


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite registry with its schema, to copy."""
    home = tmp_path_factory.mktemp("template")
    open_registry(Settings(pipeline_home=home)).close()
    return home / "registry.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an installation whose registry is an empty database."""
    url = request.getfixturevalue("empty_postgres") if request.param == "postgresql" else None
    return Settings(pipeline_home=tmp_path / "home", database_url=url)


@pytest.fixture(params=["sqlite", "postgresql"])
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an installation whose registry has its schema and no rows."""
    return prepared_on(request.param, request, tmp_path)


def prepared_on(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The same, on one kind of database."""
    if kind == "postgresql":
        url = request.getfixturevalue("migrated_postgres")
        _empty(url)
        return Settings(pipeline_home=tmp_path / "home", database_url=url)
    (tmp_path / "home").mkdir()
    shutil.copy(request.getfixturevalue("migrated"), tmp_path / "home" / "registry.db")
    return Settings(pipeline_home=tmp_path / "home")


@pytest.fixture
def registry(prepared: Settings) -> Iterator[Registry]:
    """An open registry without rows."""
    with open_registry(prepared) as opened:
        yield opened


def _empty(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(set(Base.metadata.tables) - {'registry_identity'})}"))
