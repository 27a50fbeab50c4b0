"""A run's process is told apart from a later one that was given the same number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline.commands import processes
from pipeline.commands.dagster_runs import cancel_run, close_dead_runs
from pipeline.commands.processes import PROCESS_TAG, STARTED_TAG, is_alive, tags_of_this_process
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs.world import TWIN, definitions

Other = tuple[subprocess.Popen[str], dict[str, str]]
WAITS = (
    "import json; from pipeline.commands.processes import tags_of_this_process; "
    "print(json.dumps(tags_of_this_process()), flush=True); input()"
)


@pytest.fixture
def other() -> Iterator[Other]:
    """Another process that waits, and the tags that it gives its runs."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", WAITS], text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def started(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.DagsterRun:
    """A run of the twin that such a process began."""
    job = definitions().resolve_job_def("train_and_forecast")
    return instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={"tenant": TWIN, **tags})


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """What has become of a run."""
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_process_is_alive_until_it_ends(other: Other) -> None:
    """It is while it works; it is not once it was killed, whether or not its parent has asked for its end."""
    process, tags = other
    assert is_alive(tags)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # It has ended, and nobody took notice.
    assert not is_alive(tags)
    process.wait()
    assert not is_alive(tags)


def test_a_number_that_was_given_out_again_is_another_process() -> None:
    """The moment of the start decides; a run that does not tell it is known by the number, as before."""
    mine = tags_of_this_process()
    assert is_alive(mine)
    assert not is_alive({**mine, STARTED_TAG: "1"})
    assert is_alive({PROCESS_TAG: mine[PROCESS_TAG]})
    assert not is_alive({})


def test_without_proc_the_number_alone_tells(other: Other, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems without /proc are asked for the number: what works is not taken for dead."""
    process, tags = other
    monkeypatch.setattr(processes, "_PROC", tmp_path / "nothing")
    assert STARTED_TAG not in tags_of_this_process()
    assert is_alive(tags)
    process.kill()
    process.wait()
    assert not is_alive(tags)


def test_runs_of_processes_that_are_gone_are_closed(fresh: Terminal) -> None:
    """A run whose number another process has now is marked as failed; that of a process that works goes on."""
    mine = tags_of_this_process()
    with fresh.world.entered(), fresh.world.instance() as instance:
        dead, alive = started(instance, {**mine, STARTED_TAG: "1"}), started(instance, mine)
        close_dead_runs(instance, TWIN)
        assert (status(instance, dead), status(instance, alive)) == (
            dg.DagsterRunStatus.FAILURE,
            dg.DagsterRunStatus.STARTED,
        )


def test_no_other_process_is_asked_to_stop(fresh: Terminal, other: Other) -> None:
    """Cancelling a run whose process is gone closes it, and the process that has its number now is left alone."""
    process, tags = other
    with fresh.world.entered(), fresh.world.instance() as instance:
        dead = started(instance, {**tags, STARTED_TAG: "1"})
        assert "had no process any more" in cancel_run(instance, dead.run_id)
        assert status(instance, dead) is dg.DagsterRunStatus.FAILURE
        assert process.poll() is None
        alive = started(instance, tags)
        assert "was asked to stop" in cancel_run(instance, alive.run_id)
        assert process.wait(30) in {-signal.SIGINT, 1}
