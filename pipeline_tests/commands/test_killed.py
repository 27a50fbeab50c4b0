"""A run that is killed in the middle: what was finished is kept, and the next run takes up the rest."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline_tests.commands.conftest import apart
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import World, processes

pytestmark = pytest.mark.long

PRODUCTS = 40
OBJECT = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}\.(zst|raw)|registries/[0-9a-f]{32}")
"""An object, or the mark of the registry that stores here."""


def registered(world: World) -> set[str]:
    """The products that have a model."""
    if not world.home.registry_file.exists():
        return set()
    connection = sqlite3.connect(f"file:{world.home.registry_file}?mode=ro", uri=True)
    try:
        return {row[0] for row in connection.execute("SELECT product_id FROM trained_models")}
    except sqlite3.OperationalError:
        return set()  # the schema is not there yet, or is being written
    finally:
        connection.close()


def ends(world: World) -> list[str]:
    """How Dagster says that the runs ended."""
    with world.instance() as instance:
        return [run.status.value for run in instance.get_runs()]


def wait_for(what: str, ready: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def start(world: World, *arguments: str) -> subprocess.Popen[bytes]:
    """Type a command and leave it running."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", "pipeline.cli", *arguments], env=world.alone(WORKERS="2"), **quiet)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A tenant of forty products over two years."""
    made = World(tmp_path / "world")
    rows = [tills.steady(f"Product {number:02}", 5 + number, 730) for number in range(PRODUCTS)]
    made.add("bakery", tills.write(pd.concat(rows), made.root / "exports" / "bakery.csv"))
    return made


def test_a_killed_run_keeps_what_it_finished(world: World):
    """After SIGKILL in the middle of training all files are whole, and the next run trains the others alone."""
    run = start(world, "run", "--tenant", "bakery")
    try:
        wait_for("five products are trained", lambda: len(registered(world)) >= 5 or run.poll() is not None, 240)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert run.returncode == -signal.SIGKILL, "it ended before it could be killed"
    wait_for("its workers are gone", lambda: not processes(world), 30)
    finished = registered(world)
    assert 5 <= len(finished) < PRODUCTS
    visible = [path for path in world.home.models.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert [str(path) for path in visible if not OBJECT.fullmatch(str(path.relative_to(world.home.models)))] == []
    verified = apart(world, "models", "verify", "--tenant", "bakery")
    assert (verified.status, verified.out) == (0, f"{len(finished)} models of bakery are whole\n")

    again = apart(world, "run", "--tenant", "bakery", WORKERS="2")
    assert again.status == 0, again.err
    ledger = pd.read_parquet(world.home.table("bakery", "training_ledger")).set_index("product_id")["outcome"]
    assert set(ledger[ledger == "skipped"].index) == finished
    assert (ledger == "trained").sum() == PRODUCTS - len(finished)
    verified = apart(world, "models", "verify", "--tenant", "bakery")
    assert verified.out == f"{PRODUCTS} models of bakery are whole\n"
    forecasts = pd.read_parquet(world.home.table("bakery", "forecasts"))
    assert forecasts.groupby("product_id")["rung"].first().eq("champion").sum() >= PRODUCTS * 0.8
    with world.entered() as installation:
        second, first = installation.registry.jobs("bakery")
    assert (first.status.value, second.status.value) == ("failed", "completed")
    assert "interrupted" in (first.error or "")
    assert first.trained == len(finished)


def test_ctrl_c_ends_a_run_and_its_workers(world: World):
    """Ctrl-C ends the command within seconds, with nobody left behind, and the job is cancelled."""
    command = [sys.executable, "-m", "pipeline.cli", "run", "--tenant", "bakery"]
    with subprocess.Popen(
        ["/usr/bin/env", "--default-signal=INT,TERM", *command],
        env=world.alone(WORKERS="2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:
        try:
            wait_for("two products are trained", lambda: len(registered(world)) >= 2 or run.poll() is not None, 240)
            os.killpg(run.pid, signal.SIGINT)
            said, _ = run.communicate(timeout=60)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode not in (0, None), said.decode()
    assert "bakery: cancelled: it was asked to stop" in said.decode()
    assert ends(world) == ["CANCELED"]
    with world.entered() as installation:
        (job,) = installation.registry.jobs("bakery")
    assert job.status.value == "cancelled", job.error
    assert job.trained >= 2
    wait_for("its workers are gone", lambda: not processes(world), 30)
    assert apart(world, "models", "verify", "--tenant", "bakery").status == 0


def running(world: World) -> str | None:
    """The tenant's job, once it trains."""
    if not world.home.registry_file.exists():
        return None
    with world.entered() as installation:
        jobs = installation.registry.jobs("bakery", unfinished=True)
    return jobs[0].id if jobs and jobs[0].status.value == "running" else None


def test_a_run_can_be_cancelled_from_another_terminal(world: World):
    """`pipeline jobs cancel` stops a training that another terminal started; the job is cancelled, nobody left."""
    run = start(world, "run", "--tenant", "bakery")
    try:
        wait_for("it trains", lambda: running(world) or run.poll() is not None, 240)
        answer = apart(world, "jobs", "cancel", (running(world) or "")[:8])
        assert "was asked to stop" in answer.out, answer.err
        run.wait(60)
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
    (row,) = json.loads(apart(world, "jobs", "list", "--json").out)
    assert row["status"] == "cancelled"
    assert ends(world) == ["CANCELED"]
    wait_for("its workers are gone", lambda: not processes(world), 30)
