"""A training that is killed at any step from its first byte to the decision: the next run ends where one run would."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pipeline.registry import open_registry
from pipeline.registry.records import JobStatus
from pipeline.registry.sweep import GRACE, carry_out, propose
from pipeline.registry.tables import TrainingJob
from pipeline.settings import Settings
from pipeline.training.integrity import broken_files
from pipeline.training.job import close_interrupted
from pipeline_tests.registry.conftest import database
from pipeline_tests.training.killing import TENANT, made_shop, open_shop
from pipeline_tests.training.shop import Shop

TELLING = (
    "commit UPDATE training_jobs INSERT outbox INSERT metric_totals",
    "commit UPDATE outbox",
    "tear models",
    "commit INSERT trained_models INSERT performance_metrics INSERT artefacts INSERT training_ledger "
    "INSERT metric_totals",
    "commit UPDATE trained_models INSERT audit INSERT promotions",
)
"""Kinds of steps before each of which something else is half done; the last step of the kind is taken."""
ON_POSTGRESQL = (
    pytest.param("commit INSERT tenant_models", marks=pytest.mark.long),
    pytest.param(TELLING[-2], marks=pytest.mark.long),
    TELLING[-1],
)


@dataclass(frozen=True)
class Children:
    """Trainings in processes of their own, over copies of one shop with two products."""

    process: subprocess.Popen[str]
    shop: Path

    def run(self, root: Path, at: int | None = None, url: str | None = None) -> dict[str, Any] | None:
        """Train in a folder; killed before step `at`, where given, it tells nothing."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"root": str(root), "at": at, "url": url}), file=self.process.stdin, flush=True)
        ended = json.loads(self.process.stdout.readline())
        assert ended["status"] == (0 if at is None else -signal.SIGKILL)
        told: dict[str, Any] | None = ended["told"]
        return told


@contextmanager
def forking(shop: Path) -> Iterator[Children]:
    """Start a process that forks trainings over copies of a shop."""
    command = [sys.executable, "-m", "pipeline_tests.training.killing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Children(process, shop)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    """A process that forks trainings, and a shop with a product that earns promotion and one that does not."""
    root = tmp_path_factory.mktemp("killed") / "shop"
    shop = made_shop(root)
    open_registry(shop.installation.settings).close()
    shop.close()
    with forking(root) as made:
        yield made


@pytest.fixture(scope="module")
def whole(children: Children, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The steps of an undisturbed training, and what it came to."""
    told = children.run(shutil.copytree(children.shop, tmp_path_factory.mktemp("undisturbed") / "shop"))
    assert told is not None
    return told


def swept(shop: Shop) -> set[str]:
    """Sweep as if three days had passed, and return what then lies in the store but is neither used nor a mark."""
    opened, later = shop.installation, dt.datetime.now(dt.UTC) + GRACE + dt.timedelta(days=1)
    proposal = propose(opened.registry, opened.store, opened.settings, [TENANT], later)
    carry_out(proposal, opened.registry, opened.store, "tests")
    used, _ = opened.registry.references()
    places = {f"{sha256[:2]}/{sha256[2:]}.zst" for sha256 in used} | {f"registries/{opened.registry.identity}"}
    models = opened.home.models
    found = {path.relative_to(models).as_posix() for path in models.rglob("*") if path.is_file()}
    assert not found or places <= found
    return found - places


def assert_whole(shop: Shop) -> None:
    """Whatever is registered is there and whole, and other systems are told of each end, once, and of no other."""
    registry = shop.installation.registry
    ended = [job.id for job in registry.jobs(TENANT, limit=None) if job.status.final]
    assert sorted(json.loads(event.body)["job_id"] for event in registry.events(TENANT)) == sorted(ended)
    for model in registry.models(TENANT):
        assert broken_files(registry.manifest(TENANT, model.product_id, model.version), shop.installation.store) == []


def assert_closed_in_time(shop: Shop) -> None:
    """The next run closes what ran; what had only waited for the lock might wait still, and is closed a day later."""
    registry = shop.installation.registry
    unfinished = registry.jobs(TENANT, limit=None, unfinished=True)
    assert {job.status for job in unfinished} <= {JobStatus.PENDING}
    with registry._engine.begin() as connection:
        for job in unfinished:
            long_ago = job.started_at - dt.timedelta(days=1, seconds=1)
            connection.execute(update(TrainingJob).where(TrainingJob.id == job.id).values(started_at=long_ago))
    close_interrupted(shop.installation, TENANT)
    assert registry.jobs(TENANT, limit=None, unfinished=True) == []


def check(children: Children, whole: dict[str, Any], root: Path, at: int, url: str | None = None) -> None:
    """Kill before step `at`, train again, and hold the outcome against that of an undisturbed training."""
    shutil.copytree(children.shop, root)
    children.run(root, at, url)
    shop = open_shop(root, url)
    assert_whole(shop)
    if url is None:  # The dead one's leavings alone: a sweep takes what nothing refers to, and no more.
        left = open_shop(shutil.copytree(root, root.with_name("left")), None)
        assert swept(left) == set()
        assert_whole(left)
        left.close()
    told = children.run(root, None, url)
    assert told is not None
    assert told["state"] | {"unfinished": []} == whole["state"]
    assert_closed_in_time(shop)
    assert swept(shop) == set()
    assert_whole(shop)
    shop.close()


def check_each(children: Children, whole: dict[str, Any], root: Path, numbers: range) -> None:
    """Check a kill before each of these steps."""
    for at in numbers:
        check(children, whole, root / f"{at}" / "shop", at)


def last(whole: dict[str, Any], kind: str) -> int:
    """The number of the last step of a kind."""
    steps = whole["steps"]
    return len(steps) - steps[::-1].index(kind)


def test_every_kind_of_step_is_known(whole: dict[str, Any]) -> None:
    """An undisturbed training takes every telling step, and writes, flushes and renames each file that it stores."""
    steps = whole["steps"]
    assert set(TELLING) <= set(steps)
    assert steps.count("tear models") == steps.count("rename models") == steps.count("open models") >= 4
    assert whole["state"]["rows"]["promotions"] == len(whole["state"]["trained"]) == 2
    assert whole["state"]["unfinished"] == []


@pytest.mark.parametrize("kind", TELLING)
def test_a_kill_at_a_kind_of_step_loses_nothing(
    children: Children, whole: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    """Killed at such a step and run again: nothing is lost, nothing double, and no orphan outlives a sweep."""
    check(children, whole, tmp_path / "shop", last(whole, kind))


@pytest.mark.parametrize("kind", ON_POSTGRESQL)
def test_a_kill_on_postgresql_loses_nothing(
    children: Children, whole: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    """The same where the registry is a PostgreSQL server, which must notice that its client is gone."""
    with database() as url:
        open_registry(Settings(pipeline_home=tmp_path / "home", database_url=url)).close()
        at = last(whole, kind)
        files_of_locks = sum("locks" in step for step in whole["steps"][:at])  # There the server has the locks.
        check(children, whole, tmp_path / "shop", at - files_of_locks, url)


@pytest.mark.long
def test_a_kill_at_any_step_loses_nothing(children: Children, whole: dict[str, Any], tmp_path: Path) -> None:
    """The same at each of the steps, from the first byte to the last decision."""
    steps = len(whole["steps"])
    with forking(children.shop) as more, ThreadPoolExecutor(2) as both:
        halves = (
            both.submit(check_each, forks, whole, tmp_path, range(first, steps + 1, 2))
            for first, forks in enumerate((children, more), start=1)
        )
        assert [half.result() for half in list(halves)] == [None, None]
