"""The registry's database goes away in the middle of a training: nothing is lost, nor double, and one error says so."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from pipeline.errors import LockLostError, RegistryError
from pipeline.registry import database as opening
from pipeline.registry import open_registry
from pipeline_tests.registry.conftest import database, server
from pipeline_tests.training.killing import commit_listeners, made_shop, open_shop, state_of
from pipeline_tests.training.shop import Shop

MODEL = "INSERT trained_models INSERT performance_metrics INSERT artefacts INSERT training_ledger INSERT metric_totals"
POINTS = (
    pytest.param("INSERT training_jobs", marks=pytest.mark.long),
    pytest.param("INSERT tenant_models", marks=pytest.mark.long),
    MODEL,
    pytest.param("INSERT promotions", marks=pytest.mark.long),
)
"""Transactions that are open when the database goes away."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with sales and nothing trained."""
    root = tmp_path_factory.mktemp("away") / "shop"
    made_shop(root).close()
    return root


@pytest.fixture(scope="module")
def whole(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an undisturbed training comes to."""
    shop = open_shop(shutil.copytree(template, tmp_path_factory.mktemp("undisturbed") / "shop"), None)
    return trained(shop)


def trained(shop: Shop) -> dict[str, Any]:
    """Train, decide, and return what it came to."""
    shop.train()
    shop.promote()
    told = state_of(shop)
    shop.close()
    return told


@contextmanager
def once_at(point: str, act: Callable[[], None]) -> Iterator[list[str]]:
    """Do something before the first commit of a kind; yield where it was done."""
    done: list[str] = []

    def step(kind: str) -> None:
        if kind == f"commit {point}" and not done:
            done.append(kind)
            act()

    listeners = commit_listeners(step)
    for name, listener in listeners.items():
        event.listen(Engine, name, listener)
    try:
        yield done
    finally:
        for name, listener in listeners.items():
            event.remove(Engine, name, listener)


@pytest.fixture
def postgres(template: Path, tmp_path: Path) -> Iterator[tuple[Shop, str]]:
    """A shop whose registry is a PostgreSQL database, and the name of that."""
    with database() as url:
        shop = open_shop(shutil.copytree(template, tmp_path / "shop"), url)
        open_registry(shop.installation.settings).close()
        yield shop, url.rpartition("/")[2]
        shop.close()


def cut(name: str) -> None:
    """End every connection to a database, as a server does that is restarted."""
    with server().connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
        )


def close(name: str, *, allow: bool) -> None:
    """Let nobody connect to a database any more, or everybody."""
    with server().connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}"))


@pytest.mark.parametrize("point", POINTS)
def test_a_cut_leaves_one_error_and_the_rest_to_the_next_run(
    postgres: tuple[Shop, str], whole: dict[str, Any], point: str
) -> None:
    """Every connection is ended within a transaction: the run ends by one error of ours, the next one does the rest."""
    shop, name = postgres
    with once_at(point, lambda: cut(name)) as done, pytest.raises(RegistryError) as caught:
        trained(shop)
    assert done
    assert isinstance(caught.value, LockLostError) or "could not be used" in str(caught.value)
    assert trained(shop) == whole


def test_a_database_that_stays_away_ends_the_run_at_once(postgres: tuple[Shop, str], whole: dict[str, Any]) -> None:
    """Where nobody can connect any more the error says so and names the place; once it is back all is taken up."""
    shop, name = postgres

    def go() -> None:
        close(name, allow=False)
        cut(name)

    begun = time.monotonic()
    with once_at(MODEL, go) as done, pytest.raises(RegistryError, match=f"{name} could not be used"):
        trained(shop)
    assert done
    assert time.monotonic() - begun < 30
    close(name, allow=True)
    assert trained(shop) == whole


@pytest.mark.long
def test_connections_that_are_cut_between_transactions_cost_the_lock_alone(
    postgres: tuple[Shop, str], whole: dict[str, Any]
) -> None:
    """Idle connections are replaced unnoticed; a training whose lock went with them ends, since another may begin."""
    shop, name = postgres
    with pytest.raises(LockLostError, match="what was finished before is kept"):
        cut_after_each(shop, name)
    assert len(shop.installation.registry.latest("bakery")) == 2
    assert trained(shop) == whole


def cut_after_each(shop: Shop, name: str) -> None:
    """Train, and end every connection after each product."""
    with shop.job() as job:
        for _ in job.train():
            cut(name)


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[Callable[[], None]]:
    """Yield what makes another process's transaction hold a SQLite file for a while."""
    threads = []

    def hold() -> None:
        taken = threading.Event()

        def holding() -> None:
            connection = sqlite3.connect(path, isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            taken.set()
            time.sleep(seconds)
            connection.execute("ROLLBACK")
            connection.close()

        threads.append(threading.Thread(target=holding))
        threads[-1].start()
        assert taken.wait(10)

    yield hold
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("patience", [pytest.param(60, marks=pytest.mark.long), 1])
def test_a_locked_file_is_waited_for(
    template: Path, whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    """A SQLite file that another holds is waited for; held longer than that, the run fails, and the next goes on."""
    monkeypatch.setattr(opening, "_BUSY_SECONDS", patience)
    shop = open_shop(shutil.copytree(template, tmp_path / "shop"), None)
    with locked(shop.installation.home.registry_file, 2) as hold, shop.job() as job:
        products = job.train()
        next(products)
        hold()
        if patience > 2:
            list(products)
        else:
            with pytest.raises(RegistryError, match=r"registry\.db could not be used: database is locked"):
                list(products)
    assert trained(shop) == whole
