"""Dagster on PostgreSQL: the same definitions, runs and events in the database, processes that stand alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from pipeline_tests.commands.conftest import apart
from pipeline_tests.defs import tills
from pipeline_tests.defs.server import NEVER, Server, free_port
from pipeline_tests.defs.world import World
from pipeline_tests.registry.conftest import empty_postgres
from pipeline_tests.test_queue import TEMPLATE

__all__ = ["empty_postgres"]
DEPLOY = Path(__file__).parents[2] / "deploy" / "postgres"
BAKERY = "bakery"


def for_dagster(url: str) -> str:
    """The address as Dagster's own programs need it, with the driver named."""
    return url.replace("postgresql://", "postgresql+psycopg2://")


def answer(url: str, query: str) -> list[tuple[object, ...]]:
    """What PostgreSQL says."""
    engine = create_engine(for_dagster(url), poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.execute(text(query))
        return [tuple(row) for row in result] if result.returns_rows else []


def test_both_instances_have_the_same_rules() -> None:
    """The file for PostgreSQL differs from the other in its storage alone."""
    both = [
        text.partition("\ntelemetry:")[2] for text in (TEMPLATE, (DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))
    ]
    assert both[0] == both[1] != ""


@pytest.mark.parametrize("url", ["here", "sqlite:///x.db", "mysql://u:s3cret@h/db"])
def test_what_is_no_postgresql_is_refused(tmp_path: Path, url: str) -> None:
    """An address that cannot hold the instance ends the command with a message, without a password."""
    found = apart(World(tmp_path / "world"), "jobs", "list", DAGSTER_DATABASE_URL=url, cwd=tmp_path)
    assert found.status == 1
    assert "postgresql://user@host:5432/dagster" in found.err
    assert "s3cret" not in found.err


def test_a_server_without_the_database_says_how_to_make_it(tmp_path: Path, empty_postgres: str) -> None:
    """Where the server answers and has no such database, the message says the command that creates one."""
    url = empty_postgres.rpartition("/")[0] + "/no_such_database"
    found = apart(World(tmp_path / "world"), "jobs", "list", DAGSTER_DATABASE_URL=url, cwd=tmp_path)
    assert found.status == 1
    assert 'database "no_such_database" does not exist' in found.err
    assert "or create the database with createdb" in found.err


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A tenant with two products."""
    made = World(tmp_path / "world")
    made.root.mkdir()
    return made


def test_the_folder_of_the_guide_has_its_file(world: World) -> None:
    """Where DAGSTER_HOME names the folder for PostgreSQL itself, its file is written there and follows the settings."""
    folder = world.home.root / "dagster-postgres"
    settings = {"DAGSTER_HOME": str(folder), "DAGSTER_DATABASE_URL": "postgresql://user@host/dagster"}
    for places in ("3", "5"):
        with world.entered(**settings, MAX_CONCURRENT_JOBS=places):
            assert os.environ["DAGSTER_HOME"] == str(folder)
        text = (folder / "dagster.yaml").read_text(encoding="utf-8")
        assert "env: DAGSTER_DATABASE_URL" in text
        assert f"max_concurrent_runs: {int(places) + 1}" in text


@pytest.mark.parametrize("name", ["dagster-postgres", "elsewhere"])
def test_a_file_of_ones_own_is_respected(world: World, name: str) -> None:
    """In a folder that DAGSTER_HOME names, a file that a person wrote stays as it is; another folder gets none."""
    folder = world.home.root / name
    folder.mkdir(parents=True)
    settings = {"DAGSTER_HOME": str(folder), "DAGSTER_DATABASE_URL": "postgresql://user@host/dagster"}
    if name == "elsewhere":
        with world.entered(**settings):
            assert list(folder.iterdir()) == []
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with world.entered(**settings):
        assert [place.name for place in folder.iterdir()] == ["dagster.yaml"]
    assert (folder / "dagster.yaml").read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"


@pytest.mark.long
def test_runs_are_kept_in_the_database_and_purged_there(world: World, empty_postgres: str) -> None:
    """A run from the terminal is in PostgreSQL and not in a file; the purge deletes it with its events."""
    place = tills.write(tills.steady("Bun", days=60), world.root / "exports" / f"{BAKERY}.csv")
    settings = {"DAGSTER_DATABASE_URL": empty_postgres}
    run = apart(world, "run", "--sales", place, "--country", "ES", **settings)
    assert run.status == 0, run.err
    assert answer(empty_postgres, "SELECT status FROM runs") == [("SUCCESS",)]
    assert not (world.home.root / "dagster-postgres" / "history").exists()
    assert not world.home.dagster.exists()
    assert "postgresql" not in (world.home.root / "dagster-postgres" / "dagster.yaml").read_text(encoding="utf-8")
    answer(empty_postgres, "UPDATE runs SET create_timestamp = create_timestamp - interval '61 days'")
    program = Path(sys.executable).parent / "dagster"
    purge = [program, "job", "execute", "-m", "pipeline.definitions", "-j", "purge_dagster_history"]
    home = str(world.home.root / "dagster-postgres")
    done = subprocess.run(
        purge,
        env=world.alone(DAGSTER_HOME=home, DAGSTER_DATABASE_URL=for_dagster(empty_postgres)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    jobs = answer(empty_postgres, "SELECT pipeline_name FROM runs")
    assert jobs == [("purge_dagster_history",)]
    events = "SELECT DISTINCT runs.pipeline_name FROM event_logs LEFT JOIN runs ON runs.run_id = event_logs.run_id"
    assert answer(empty_postgres, events) == [("purge_dagster_history",)]


@contextmanager
def standing_alone(world: World, url: str, folder: Path) -> Iterator[Server]:
    """Code location, webserver and daemon as three processes, as the docs start them."""
    web, code = free_port(), free_port()
    workspace = folder / "workspace.yaml"
    workspace.write_text((DEPLOY / "workspace.yaml").read_text(encoding="utf-8").replace("4000", str(code)))
    environment = world.alone(
        DAGSTER_HOME=str(world.home.root / "dagster-postgres"),
        DAGSTER_DATABASE_URL=for_dagster(url),
        WATCH_INTERVAL_SECONDS="5",
        CLOCK_CRON=NEVER,
        FEEDBACK_CRON=NEVER,
    )
    commands = (
        ["dagster", "code-server", "start", "-m", "pipeline.definitions", "--port", str(code)],
        ["dagster-webserver", "-w", str(workspace), "--port", str(web)],
        ["dagster-daemon", "run", "-w", str(workspace)],
    )
    with ExitStack() as stack:
        for name, *arguments in commands:
            out = stack.enter_context((folder / f"{name}.log").open("wb"))
            # Where SIGINT is ignored, as in what a script starts in the background, Dagster's programs ignore SIGTERM.
            process = subprocess.Popen(
                ["/usr/bin/env", "--default-signal=INT,TERM", str(Path(sys.executable).parent / name), *arguments],
                env=environment,
                cwd=world.root,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
        yield Server(world, web, folder / "dagster-daemon.log")


@pytest.mark.long
def test_webserver_daemon_and_code_stand_alone(world: World, empty_postgres: str, tmp_path: Path) -> None:
    """Three processes on one database: the sensor's run goes through the queue and ends well."""
    place = tills.write(tills.steady("Bun", days=60), world.root / "exports" / f"{BAKERY}.csv")
    added = apart(
        world, "tenants", "add", "--sales", place, "--country", "ES", "--tenant", BAKERY,
        DAGSTER_DATABASE_URL=empty_postgres,
    )  # fmt: skip
    assert added.status == 0, added.err
    ended = "SELECT status FROM runs WHERE pipeline_name = 'train_and_forecast' AND status IN ('SUCCESS', 'FAILURE')"
    with standing_alone(world, empty_postgres, tmp_path) as server:

        def over() -> list[tuple[object, ...]] | None:
            has_tables = answer(empty_postgres, "SELECT to_regclass('runs')") != [(None,)]
            return (answer(empty_postgres, ended) or None) if has_tables else None

        assert server.wait("the sensor's run ends", over) == [("SUCCESS",)], server.tail()
        assert [run["status"] for run in server.runs() if run["jobName"] == "train_and_forecast"] == ["SUCCESS"]
    assert world.home.table(BAKERY, "forecasts").exists()
