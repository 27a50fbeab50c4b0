"""`pipeline jobs`: what trains and what waits, how far it is, stopping it, and trying again what failed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from socket import gethostname

import dagster as dg
import pytest

from contracts import Cause, JobProgress, Outcome, Priority
from pipeline.commands.dagster_runs import cancel_run
from pipeline.commands.processes import HOST_TAG, PROCESS_TAG, STARTED_TAG
from pipeline.queue import priority_tags
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs.world import TWIN, World, definitions


def queued(world: World, tenant_id: str, priority: Priority) -> str:
    """Put a run into the world's queue, where no daemon takes it, and return its id."""
    tags = {**priority_tags(priority), "dagster/partition": tenant_id, "cause": "a test"}
    place = ["-m", "pipeline.definitions", "-j", "train_and_forecast", "--tags", json.dumps(tags)]
    program = Path(sys.executable).parent / "dagster"
    environment = world.alone(DAGSTER_HOME=str(world.home.dagster))
    subprocess.run([program, "job", "launch", *place], env=environment, capture_output=True, check=True)
    with world.instance() as instance:
        return instance.get_runs(limit=1)[0].run_id


def test_ended_trainings_are_listed_and_shown(terminal: Terminal) -> None:
    """The table fits the terminal; one job tells its outcome in words, and how far it is as other systems read it."""
    table = terminal("jobs", "list")
    assert table.status == 0, table.err
    assert max(map(len, table.lines)) <= 80
    (one,) = json.loads(terminal("jobs", "list", "--tenant", TWIN, "--json").out)
    assert (one["tenant"], one["status"], one["%"]) == (TWIN, "completed", 100)
    assert one["job"][:8] in table.out
    shown = terminal("jobs", "show", one["job"][:8])
    assert one["job"] in shown.out
    assert "trained" in shown.out
    progress = JobProgress.model_validate_json(terminal("jobs", "show", one["job"], "--json").out)
    assert (progress.percentage, progress.estimated_time_remaining) == (100, 0)
    assert progress.products_completed == progress.products_total


@pytest.mark.long
def test_the_queue_is_listed_in_its_order_and_can_be_left(copied: Terminal) -> None:
    """What waits stands first, as the daemon will take it; a run that is cancelled waits no longer."""
    late = queued(copied.world, TWIN, Priority.LOW)
    first = queued(copied.world, TWIN, Priority.NORMAL)
    rows = json.loads(copied("jobs", "list", "--json").out)
    assert [row["job"] for row in rows[:2]] == [first, late]
    assert [row["status"] for row in rows[:2]] == ["queued, 1.", "queued, 2."]
    assert [row["priority"] for row in rows[:2]] == ["normal", "low"]
    answer = copied("jobs", "cancel", first[:13])
    assert answer.out == f"Run {first} is out of the queue.\n"
    assert json.loads(copied("jobs", "list", "--json").out)[0]["job"] == late
    with copied.world.instance() as instance:
        run = instance.get_run_by_id(first)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.CANCELED


def test_only_what_failed_is_tried_again(copied: Terminal) -> None:
    """`retry` trains the products that failed in a job, and no other; without any it says so."""
    (one,) = json.loads(copied("jobs", "list", "--tenant", TWIN, "--json").out)
    nothing = copied("jobs", "retry", one["job"])
    assert nothing.status == 0
    assert "nothing to do" in nothing.out
    with copied.world.entered() as installation:
        row = next(row for row in installation.registry.ledger(TWIN, one["job"]) if row.outcome is Outcome.TRAINED)
        failed = {"outcome": Outcome.FAILED, "version": None, "error_type": "FamilyError", "reason": "a test"}
        installation.registry.record(row.model_copy(update=failed))
    answer = copied("jobs", "retry", one["job"], "--json")
    assert answer.status == 0, answer.err
    with copied.world.entered() as installation:
        last = installation.registry.jobs(TWIN)[0]
        trained = [row for row in installation.registry.ledger(TWIN, last.id) if row.outcome is Outcome.TRAINED]
    assert [(row.product_id, row.cause) for row in trained] == [(row.product_id, Cause.REQUEST)]
    assert last.tags == {"retry_of": one["job"]}


@pytest.mark.parametrize("command", ["show", "retry", "cancel"])
@pytest.mark.parametrize("start", ["", "zz"])
def test_a_job_that_is_not_there(terminal: Terminal, command: str, start: str) -> None:
    """An id that names no job, or all of them, ends the command with a message, and changes nothing."""
    answer = terminal("jobs", command, start)
    assert answer.status == 1
    assert f"no training job begins with {start!r}" in answer.err


def test_what_has_ended_cannot_be_cancelled(terminal: Terminal) -> None:
    """It is said that it has ended."""
    (one,) = json.loads(terminal("jobs", "list", "--tenant", TWIN, "--json").out)
    answer = terminal("jobs", "cancel", one["job"])
    assert (answer.status, "it is completed" in answer.err) == (1, True)


def begin(instance: dg.DagsterInstance, process: subprocess.Popen[bytes], job: str = "train_and_forecast") -> str:
    """Note a run of the twin that works in a process, and return its id."""
    fields = (Path("/proc") / str(process.pid) / "stat").read_text().rpartition(")")[2].split()
    tags = {HOST_TAG: gethostname(), PROCESS_TAG: str(process.pid), STARTED_TAG: fields[19]}
    definition = definitions().resolve_job_def(job)
    run = instance.create_run_for_job(
        definition,
        tags={**definition.run_tags, **tags, "dagster/partition": TWIN, "cause": "a test"},
        status=dg.DagsterRunStatus.STARTED,
    )
    return run.run_id


def test_a_run_of_another_terminal_is_being_cancelled(copied: Terminal) -> None:
    """Its process is asked to stop, and Dagster knows that it was asked, so that its end is no failure."""
    with subprocess.Popen(["sleep", "60"]) as process, copied.world.instance() as instance:
        run_id = begin(instance, process)
        assert "was asked to stop" in cancel_run(instance, run_id)
        assert process.wait(20) == -signal.SIGINT
        known = instance.get_run_by_id(run_id)
    assert known is not None
    assert known.status is dg.DagsterRunStatus.CANCELING


def test_a_run_without_a_job_yet_is_seen_and_can_be_stopped(copied: Terminal) -> None:
    """While a training reads its sales, or waits for them, it is listed, shown, and cancelled by its run's id."""
    with subprocess.Popen(["sleep", "60"]) as process:
        with copied.world.instance() as instance:
            begin(instance, process, "daily_forecast")
            run_id = begin(instance, process)
        first, *others = json.loads(copied("jobs", "list", "--json").out)
        assert (first["job"], first["tenant"], first["status"], first["cause"]) == (run_id, TWIN, "starting", "a test")
        assert {row["status"] for row in others} == {"completed"}
        shown = copied("jobs", "show", run_id[:8])
        assert (shown.status, "starting" in shown.out, run_id in shown.out) == (0, True, True)
        assert JobProgress.model_validate_json(copied("jobs", "show", run_id, "--json").out).percentage == 0
        answer = copied("jobs", "cancel", run_id[:8])
        assert "was asked to stop" in answer.out, answer.err
        assert process.wait(20) == -signal.SIGINT
    assert {row["status"] for row in json.loads(copied("jobs", "list", "--json").out)} == {"completed"}
