"""How the registry's database is opened, migrated and checked."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, inspect, text

import pipeline.registry
from pipeline.errors import ConfigurationError, RegistryError, SchemaMismatchError
from pipeline.registry import Registry, Wanted, check_schema, database, open_engine, open_registry, upgrade
from pipeline.registry.tables import Base
from pipeline.settings import Settings
from pipeline_tests.registry.builders import MOMENT, member, ref, register, start, versions

EARLIER = (
    "INSERT INTO training_jobs (id, tenant_id, name, status, cause, requested_by, percentage, products_total,"
    " products_completed, trained, skipped, insufficient, failed, started_at)"
    " VALUES ('j', 'bakery', 'weekly', 'running', 'schedule', 'tests', 1, 0, 0, 0, 0, 0, 0, now())",
    "INSERT INTO trained_models (id, tenant_id, product_id, product_key, version, type, algorithm, origin,"
    " demand_class, data_fingerprint, config_fingerprint, code_version, data_points, seconds, job_id, created_at,"
    " deployed, manifest_sha256, manifest) VALUES (1, 'bakery', 'rye', 'rye', '20260101_000000', 'forecast', 'linear',"
    " '2026-01-01', 'low', '0', '0', 'c', 1, 1, 'j', now(), false, '0', '{}')",
    "INSERT INTO artefacts (model_id, family, name, sha256, bytes) VALUES (1, 'linear', 'a.json', 'abcd', 1)",
)
"""Rows of schema 0002."""


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An engine on an empty database."""
    settings.home.mkdir()
    opened = open_engine(settings)
    yield opened
    opened.dispose()


@pytest.fixture
def fresh(settings: Settings) -> Iterator[Registry]:
    """An open registry whose schema a test may spoil."""
    with open_registry(settings) as opened:
        yield opened


@pytest.fixture
def newer_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of a later release, which brings one more migration."""
    folder = tmp_path / "50 % later" / "migrations"
    shutil.copytree(Path(pipeline.registry.__file__).parent / "migrations", folder)
    migration = """
        import sqlalchemy as sa
        from alembic import op

        revision, down_revision = "9999", "0005"
        branch_labels = depends_on = None


        def upgrade() -> None:
            op.add_column("training_jobs", sa.Column("shift", sa.Integer(), server_default="5"))
    """
    (folder / "versions" / "9999_shift.py").write_text(textwrap.dedent(migration))
    monkeypatch.setattr(database, "MIGRATIONS", str(folder))


def test_the_migrations_make_exactly_the_tables(engine: Engine) -> None:
    """What the migrations build does not differ from what the code declares."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": database.VERSION_TABLE})
        assert compare_metadata(context, Base.metadata) == []


def test_the_first_migration_can_be_undone(engine: Engine) -> None:
    """Down from the first schema, nothing of the registry is left."""
    from alembic import command

    upgrade(engine)
    with database.writer(engine).begin() as connection:
        config = database._alembic()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert database.is_empty(engine)


def test_an_empty_database_is_told_apart(engine: Engine) -> None:
    """Checking an empty database says so and what to type; afterwards all is well, twice."""
    with pytest.raises(SchemaMismatchError, match=r"empty.*`pipeline registry upgrade`"):
        check_schema(engine)
    upgrade(engine)
    check_schema(engine)
    upgrade(engine)
    check_schema(engine)


def test_a_database_behind_is_not_touched(fresh: Registry, settings: Settings, newer_code: None) -> None:
    """Newer code refuses an older database, says what to type, and after that keeps every row."""
    job_id = start(fresh)
    version = register(fresh, job_id)
    with pytest.raises(SchemaMismatchError, match=r"behind: it has 0005, needs 9999.*`pipeline registry upgrade`"):
        open_registry(settings)
    engine = open_engine(settings)
    upgrade(engine)
    with open_registry(settings) as opened, engine.connect() as connection:
        assert versions(opened.models("bakery")) == [version]
        assert connection.scalar(text("SELECT shift FROM training_jobs")) == 5
    engine.dispose()


@pytest.mark.parametrize("act", [open_registry, lambda settings: upgrade(open_engine(settings))])
def test_a_database_ahead_is_refused(fresh: Registry, settings: Settings, act: object) -> None:
    """Older code neither uses nor migrates what a newer release wrote."""
    with fresh._writing() as connection:
        connection.execute(text("UPDATE registry_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatchError, match="ahead: it has 9999"):
        act(settings)  # type: ignore[operator]


def test_a_lost_version_is_not_an_empty_database(fresh: Registry, settings: Settings) -> None:
    """Tables without their schema's number are an error, not a place to start anew."""
    with fresh._writing() as connection:
        connection.execute(text("DROP TABLE registry_version"))
    with pytest.raises(SchemaMismatchError, match=r"training_jobs.*restore"):
        open_registry(settings)


@contextmanager
def at_0002(url: str, home: Path) -> Iterator[Engine]:
    """A PostgreSQL database of an earlier release, with a job and a model."""
    from alembic import command

    engine = open_engine(Settings(pipeline_home=home, database_url=url))
    with database.writer(engine).begin() as connection:
        config = database._alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for statement in EARLIER:
            connection.execute(text(statement))
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (
            "SELECT 1 FROM training_jobs",
            "INSERT INTO artefacts (model_id, family, name, sha256, bytes) VALUES (1, 'linear', 'b.json', 'cdef', 1)",
        ),
        ("SELECT 1 FROM trained_models", "UPDATE training_jobs SET step = 'x'"),
        ("SELECT 1 FROM experiments", "SELECT 1 FROM trained_models"),
    ],
    ids=["register", "delete jobs", "look"],
)
def test_an_upgrade_and_its_users_wait_for_each_other(
    empty_postgres: str, tmp_path: Path, first: str, then: str
) -> None:
    """Whichever table a transaction took first, it gets the next one too, and the upgrade comes after it."""
    with at_0002(empty_postgres, tmp_path) as engine, ThreadPoolExecutor(1) as aside:
        with engine.begin() as worker:
            worker.execute(text(first)).all()
            upgrading = aside.submit(upgrade, engine)
            with pytest.raises(TimeoutError):
                upgrading.result(timeout=0.7)
            worker.execute(text(then))
        upgrading.result(timeout=20)
        check_schema(engine)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT type FROM artefacts WHERE name = 'a.json'")) == "model/json"


def test_an_upgrade_does_not_wait_for_ever(
    empty_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where somebody stays in the database, the upgrade says what to end, and nothing was changed."""
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.3)
    with at_0002(empty_postgres, tmp_path) as engine:
        with engine.begin() as worker:
            worker.execute(text("SELECT 1 FROM artefacts")).all()
            with pytest.raises(
                RegistryError, match=r"in use .*artefacts.*: end all trainings.*`pipeline registry upgrade`"
            ):
                upgrade(engine)
        with pytest.raises(SchemaMismatchError, match="it has 0002"):
            check_schema(engine)


def test_a_failed_migration_leaves_nothing(engine: Engine) -> None:
    """A migration that stumbles half-way, here over a name that is taken, is undone as a whole."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE ix_trained_models_tenant_id_id (id INTEGER)"))
    with pytest.raises(RegistryError, match="ix_trained_models_tenant_id_id"):
        upgrade(engine)
    assert inspect(engine).get_table_names() == ["ix_trained_models_tenant_id_id"]
    assert database.is_empty(engine)


def test_another_version_table_is_no_hindrance(engine: Engine) -> None:
    """The orchestrator may keep its own `alembic_version` in the same database."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('other')"))
    upgrade(engine)
    check_schema(engine)


def test_opening_makes_the_folder_and_the_schema(settings: Settings) -> None:
    """The first use of an installation needs no other command, and the second finds what the first left."""
    with open_registry(settings) as registry:
        job_id = start(registry)
    with open_registry(settings) as registry:
        assert registry.job("bakery", job_id).tenant_id == "bakery"


def test_sqlite_is_set_up_for_many_processes(tmp_path: Path) -> None:
    """Readers and a writer do not block each other, writers wait, and references are enforced."""
    engine = open_engine(Settings(pipeline_home=tmp_path))
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) == 60_000
        assert connection.scalar(text("PRAGMA synchronous")) == 2
    engine.dispose()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_a_plain_url_finds_the_installed_driver(scheme: str) -> None:
    """The usual spellings of a PostgreSQL URL all work, with the pool's settings."""
    settings = Settings(database_url=f"{scheme}://ana:secret@db.example:5433/registry", db_pool_size=3)
    engine = open_engine(settings)
    assert engine.url.drivername == "postgresql+psycopg2"
    assert (engine.url.host, engine.url.port, engine.url.password) == ("db.example", 5433, "secret")
    assert engine.pool.size() == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url", ["mysql://root:secret@localhost/x", "sqlite://", "no url: secret", "", "postgresql://u:secret@[::1/x"]
)
def test_an_unusable_url_is_explained(url: str) -> None:
    """Another kind of database, or no URL at all, is an error that shows no password."""
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as caught:
        open_engine(Settings(database_url=url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("query", ["", "?password=secret", "?sslmode=prefer&password=secret"])
def test_an_unreachable_database_is_explained(query: str) -> None:
    """The error names the place and hides the password, also one that stands in the query."""
    settings = Settings(database_url=f"postgresql://ana:secret@127.0.0.1:1/registry{query}")
    with pytest.raises(RegistryError, match=re.escape("ana:***@127.0.0.1:1")) as caught:
        open_registry(settings)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    """Rubbish where the registry should be is an error that names the file."""
    (tmp_path / "registry.db").write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(RegistryError, match=r"registry\.db"):
        open_registry(Settings(pipeline_home=tmp_path))


def test_values_stay_out_of_errors(registry: Registry) -> None:
    """What a statement carried is not in the error's text, nor in that of its cause."""
    twice = member("linear").model_copy(update={"files": (ref(b"1", "recipe.txt"), ref(b"2", "recipe.txt"))})
    with pytest.raises(RegistryError) as caught:
        register(registry, start(registry), members=(twice,))
    assert ref(b"1").sha256 not in f"{caught.value} {caught.value.__cause__}"


QUERIES: dict[str, Callable[[Registry], object]] = {
    "champions": lambda registry: registry.champions("b"),
    "previous champions": lambda registry: registry.previous_champions("b"),
    "latest": lambda registry: registry.latest("b"),
    "models": lambda registry: registry.models("b"),
    "listing": lambda registry: registry.listing("b"),
    "listing of a product": lambda registry: registry.listing("b", Wanted(product_id="p", deployed=True)),
    "listing of champions": lambda registry: registry.listing("b", Wanted(family="linear", deployed=True)),
    "logs": lambda registry: registry.logs("b", "j"),
    "audit": lambda registry: registry.audit("b"),
    "models of a product": lambda registry: registry.models("b", "p"),
    "manifest": lambda registry: registry.next_version("b", "p", MOMENT),
    "jobs": lambda registry: registry.jobs("b"),
    "plan": lambda registry: registry.plan("b", "j"),
    "ledger": lambda registry: registry.ledger("b"),
    "ledger of a job": lambda registry: registry.ledger("b", "j"),
    "promotions": lambda registry: registry.promotions("b"),
    "promotions of a product": lambda registry: registry.promotions("b", "p"),
    "metrics": lambda registry: registry.metrics("b", "p", "v"),
    "events that wait": lambda registry: registry.unpublished(5, {"cafe"}),
    "messages that wait": lambda registry: registry.waiting_messages(5),
    "messages that are free": lambda registry: registry.unclaimed_messages(5, timedelta(minutes=5)),
    "tenant model": lambda registry: registry.tenant_model("b", "f", "k"),
}
SORTED_FEW = {"plan", "ledger of a job", "listing", "listing of a product", "listing of champions"}
"""Sort one job's or product's rows, or one page, found by an index."""


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_has_its_index(migrated: Path, name: str) -> None:
    """No query walks a whole table, or sorts what an index could give in order."""
    asked: list[tuple[str, tuple[object, ...]]] = []
    with open_registry(Settings(pipeline_home=migrated.parent)) as registry:

        @event.listens_for(registry._engine, "before_cursor_execute")
        def _note(_c: object, _u: object, statement: str, values: tuple[object, ...], *_rest: object) -> None:
            asked.append((statement, values))

        QUERIES[name](registry)
        [(statement, values)] = [question for question in asked if question[0].startswith("SELECT")]
        with registry._engine.connect() as connection:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plan = " / ".join(row[3] for row in rows)
    assert "INDEX" in plan
    assert name in SORTED_FEW or "TEMP B-TREE" not in plan, plan
    assert name == "all jobs" or "SCAN trained_models" not in plan, plan
    assert name == "all jobs" or not re.search(r"SCAN training_|SCAN promotions|SCAN tenant_models", plan), plan
    if "champions" in name:
        assert "uq_trained_models_champion" in plan, plan
