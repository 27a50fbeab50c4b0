"""The registry's database: how it is opened, migrated, and checked against this code."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from tenacity import Retrying, retry_if_exception_message, stop_after_delay, wait_random

from pipeline.errors import ConfigurationError, RegistryError, SchemaMismatchError
from pipeline.home import Home
from pipeline.places import with_driver, without_values
from pipeline.registry.tables import Base
from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

VERSION_TABLE = "registry_version"
"""Not Alembic's usual name: Dagster keeps its own version table, perhaps in the same database."""

MIGRATIONS = "pipeline.registry:migrations"
VIEWS = ("active_jobs", "experiments")
UPGRADE = "type `pipeline registry upgrade`"
_MIGRATION_LOCK = 7_102_020_815
_BUSY_SECONDS = 60
_BEGIN = "sqlite_begin"


def open_engine(settings: Settings) -> Engine:
    """Return an engine for DATABASE_URL, or for the SQLite file under PIPELINE_HOME where it is unset.

    Raises:
        ConfigurationError: DATABASE_URL is no URL, or names another database than these two.
    """
    url = location(settings)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, settings)
    return create_engine(
        url,
        pool_size=settings.db_pool_size,
        max_overflow=settings.db_max_overflow,
        pool_timeout=settings.db_pool_timeout,
        pool_recycle=settings.db_pool_recycle,
        pool_pre_ping=settings.db_pool_pre_ping,
        echo=settings.db_echo,
        hide_parameters=True,
    )


def location(settings: Settings) -> URL:
    """Return where the registry's database is.

    Raises:
        ConfigurationError: DATABASE_URL is no URL, or names another database than these two.
    """
    if settings.database_url is None:
        return URL.create("sqlite", database=str(Home(settings.home).registry_file))
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):  # Not chained: its text may hold the password.
        raise ConfigurationError("DATABASE_URL is not a URL such as postgresql://user@host:5432/name") from None
    url = with_driver(url)
    if url.get_backend_name() == "postgresql" or (url.get_backend_name() == "sqlite" and url.database):
        return url
    raise ConfigurationError(
        f"DATABASE_URL names {url.drivername!r} and database {url.database!r}; "
        "use postgresql://user@host:5432/name or sqlite:////absolute/path.db"
    )


def writer(engine: Engine) -> Engine:
    """Return the same engine for transactions that write.

    SQLite then takes its one write lock at the start, where it can wait for it; a reader that turns
    into a writer half-way cannot.
    """
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Turn the database's errors into RegistryError, without the statement's values and without a password."""
    try:
        yield
    except SQLAlchemyError as error:
        place = without_values(engine.url.render_as_string(hide_password=True))
        raise RegistryError(
            f"the registry at {place} could not be used: {getattr(error, 'orig', None) or error}"
        ) from error


def upgrade(engine: Engine) -> None:
    """Migrate to the newest schema in one transaction; of several processes at once, one does the work.

    Raises:
        SchemaMismatchError: the database was written by newer code.
        RegistryError: it cannot be reached or written, or others use it for a minute on end.
    """
    from alembic import command

    with explained(engine), writer(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        revision = _revision(connection)
        _refuse_ahead(revision)
        if revision != _scripts().get_current_head():
            _take_alone(connection)
        config = _alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_schema(engine: Engine) -> None:
    """Raise SchemaMismatchError unless the database has exactly the schema of this code; say what to type."""
    with explained(engine), engine.connect() as connection:
        revision = _revision(connection)
        if revision is None:
            raise SchemaMismatchError(f"the registry's database is empty: {UPGRADE}")
    _refuse_ahead(revision)
    head = _scripts().get_current_head()
    if revision != head:
        raise SchemaMismatchError(f"the registry's database is behind: it has {revision}, needs {head}: {UPGRADE}")


def is_empty(engine: Engine) -> bool:
    """Whether the database holds nothing of the registry.

    Raises:
        SchemaMismatchError: it holds tables of the registry, but not the number of their schema.
    """
    with explained(engine), engine.connect() as connection:
        return _revision(connection) is None


def _take_alone(connection: Connection) -> None:
    """Lock all that is there before the first change: all at once or nothing, so that no order can be the wrong one.

    Trainings and sweeps lock tables in their own orders; SQLite has one lock for all.
    """
    ours = [name for name in _relations(connection) if name in VIEWS or name in Base.metadata.tables]
    if connection.dialect.name != "postgresql" or not ours:
        return
    try:
        for attempt in Retrying(
            retry=retry_if_exception_message(match=".*could not obtain lock"),
            stop=stop_after_delay(_BUSY_SECONDS),
            wait=wait_random(0.05, 0.2),
            reraise=True,
        ):
            with attempt, connection.begin_nested():
                connection.execute(text(f"LOCK TABLE {', '.join(ours)} IN ACCESS EXCLUSIVE MODE NOWAIT"))
    except OperationalError as error:
        raise RegistryError(
            f"the registry's database is in use ({str(error.orig).strip()}): "
            f"end all trainings and other clients, then {UPGRADE}"
        ) from error


def _relations(connection: Connection) -> list[str]:
    found = inspect(connection)
    return [*found.get_table_names(), *found.get_view_names()]


def _sqlite(url: URL, settings: Settings) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, echo=settings.db_echo, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # The driver would begin late, and never before DDL.
    connection.execute("PRAGMA foreign_keys = ON")
    # The change to WAL does not wait for another process that makes it at the same moment: it fails at once.
    Retrying(
        retry=retry_if_exception_message(match=".*locked"),
        stop=stop_after_delay(_BUSY_SECONDS),
        wait=wait_random(0.01, 0.05),
        reraise=True,
    )(_write_ahead, connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _alembic() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", MIGRATIONS.replace("%", "%%"))
    return config


def _scripts() -> Any:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_alembic())


def _revision(connection: Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    strays = set() if found else set(inspect(connection).get_table_names()) & set(Base.metadata.tables)
    if strays:
        raise SchemaMismatchError(
            f"the registry's database holds {', '.join(sorted(strays))} but no row in {VERSION_TABLE}: "
            "restore that table from a backup, or use an empty database"
        )
    return found


def _refuse_ahead(revision: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaMismatchError(
            f"the registry's database is ahead: it has {revision}, which this code does not know: "
            "install the release that wrote it (`pipeline registry upgrade` cannot go back)"
        )
