"""Locks: what every registry backend promises of them, with other processes that hold and die."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline.errors import LockedError, LockLostError, RegistryError
from pipeline.registry import open_engine
from pipeline.registry.locks import hold
from pipeline.settings import Settings
from pipeline_tests.registry.holding import NAME


def nothing() -> None:
    """What is called by a lock that has to wait, where nobody wants to know."""


def holding(settings: Settings, counter: Path, times: int) -> subprocess.Popen[str]:
    """Start a process that takes the lock."""
    arguments = [str(settings.home), settings.database_url or "", str(counter), str(times)]
    command = [sys.executable, "-m", "pipeline_tests.registry.holding", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@contextmanager
def another(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it is ended."""
    process = holding(settings, Path("unused"), 0)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_who_waits_is_told_and_gives_up(prepared: Settings) -> None:
    """While another process holds the lock nobody else gets it: who waits hears of it once, and stops in time."""
    told: list[bool] = []
    with another(prepared):
        begun = time.monotonic()
        with pytest.raises(LockedError), hold(prepared, NAME, 1.2, lambda: told.append(True)):
            pass
        assert 1.2 <= time.monotonic() - begun < 10
        with hold(prepared, "training cafe", 0, nothing) as held:
            held.check()
    assert told == [True]


def test_a_lock_ends_with_its_holder(prepared: Settings) -> None:
    """A holder that is killed holds nothing: who waits gets the lock."""
    with another(prepared) as process:
        ending = threading.Timer(1, process.kill)
        ending.start()
        with hold(prepared, NAME, 30, nothing) as held:
            assert process.wait(10) == -9
            held.check()


def test_a_lock_is_free_after_the_block(prepared: Settings) -> None:
    """A block that ends, by an error too, lets go; the same name can be held again at once, and nobody waits."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), hold(prepared, NAME, 0, pytest.fail):
            _ = 1 / 0


def test_no_two_hold_it_at_once(prepared: Settings, tmp_path: Path) -> None:
    """Of four processes that count together under the lock none loses a count."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [holding(prepared, counter, 10) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    for process in processes:
        process.communicate()
    assert counter.read_text() == "40"


@pytest.mark.parametrize("name", ["../../outside", "a/b\\c", "ñandú 🥐" * 100, "\0"])
def test_a_lock_may_be_called_anything(prepared: Settings, name: str, tmp_path: Path) -> None:
    """Names are only names: two that differ are two locks, and none reaches out of its folder."""
    with hold(prepared, name, 0, nothing), hold(prepared, f"{name}x", 0, nothing):
        pass
    assert {path.parent for path in tmp_path.rglob("*.lock")} <= {prepared.home / "locks"}


def test_a_lost_connection_is_a_lost_lock(migrated_postgres: str, tmp_path: Path) -> None:
    """Where the server ends the connection the holder hears of it, and somebody else can have the lock."""
    settings = Settings(pipeline_home=tmp_path, database_url=migrated_postgres)
    engine = open_engine(settings)
    with hold(settings, NAME, 0, nothing) as held, engine.begin() as connection:
        held.check()
        ended = text(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert connection.scalars(ended).all() == [True]
        with pytest.raises(LockLostError, match="training bakery"):
            held.check()
        with hold(settings, NAME, 5, nothing) as other:
            other.check()
    engine.dispose()


def test_another_path_to_a_database_is_the_same_lock(tmp_path: Path) -> None:
    """Who comes over a link to the registry's file has to wait like any other."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    by_name = Settings(database_url=f"sqlite:///{tmp_path}/real/registry.db")
    by_link = Settings(database_url=f"sqlite:///{tmp_path}/link/registry.db")
    with (
        hold(by_name, NAME, 0, nothing),
        pytest.raises(LockedError),
        hold(by_link, NAME, 0.1, nothing),
    ):
        pass


def test_a_lock_that_cannot_be_taken_is_explained(tmp_path: Path) -> None:
    """Where the folder of the locks cannot be made the error names the file."""
    (tmp_path / "locks").write_text("a file where the folder should be")
    with (
        pytest.raises(RegistryError, match="cannot be taken"),
        hold(Settings(pipeline_home=tmp_path), NAME, 0, nothing),
    ):
        pass


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Without a server there is no lock, and the error names the place without the password."""
    settings = Settings(pipeline_home=tmp_path, database_url="postgresql://me:secret@127.0.0.1:1/nowhere")
    with pytest.raises(RegistryError, match=r"me:\*\*\*@127\.0\.0\.1:1/nowhere"), hold(settings, NAME, 0, nothing):
        pass
