"""The bounded map: nothing that happens to one task reaches another, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pipeline import compute, worker
from pipeline.compute import Crew, Outcome, default_workers, map_unordered
from pipeline.errors import ComputeError, TaskMemoryError, TaskTimeoutError, WorkerDiedError
from pipeline.settings import Settings
from pipeline.worker import THREAD_VARIABLES
from pipeline_tests import compute_tasks as tasks

EXPECTED = {
    "raise": ValueError,
    "memory": TaskMemoryError,
    "exit": WorkerDiedError,
    "local": ComputeError,
    "twopart": ComputeError,
    "function": ComputeError,
    "quiet": WorkerDiedError,
    "loud": WorkerDiedError,
    "killed": WorkerDiedError,
    "hang": TaskTimeoutError,
}


def _gone(process: int, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not _runs(process):
            return True
        time.sleep(0.02)
    return False


def _runs(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def _processes(path: Path, lines: int) -> list[int]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if path.exists() and len(text := path.read_text().split()) >= 2 * lines:
            return [int(word) for word in text]
        time.sleep(0.02)
    raise AssertionError("the tasks did not begin")


def test_every_task_comes_back_with_its_value() -> None:
    """Each task has exactly one outcome, with its own value and its time."""
    outcomes = list(map_unordered(tasks.square, range(200), workers=2, timeout=20))
    assert sorted(outcome.task for outcome in outcomes) == list(range(200))
    assert all(outcome.value == outcome.task**2 and outcome.error is None for outcome in outcomes)
    assert all(0 <= outcome.seconds < 5 for outcome in outcomes)


def test_no_tasks_give_no_outcomes() -> None:
    """An empty map ends at once and starts nothing."""
    assert list(map_unordered(tasks.square, [], workers=2, timeout=5)) == []


def test_a_task_that_goes_wrong_spoils_no_other(tmp_path: Path) -> None:
    """Raising, dying, hanging or returning the unsendable is that task's outcome alone, and is tried once."""
    notes = tmp_path / "notes"
    kinds = [kind for bad in EXPECTED for kind in (f"{bad}-1", f"fine-{bad}")]
    given = [(str(notes), kind) for kind in kinds]
    outcomes = {o.task[1]: o for o in map_unordered(tasks.note_down, given, workers=2, timeout=1)}
    assert sorted(outcomes) == sorted(kinds)
    for bad, error in EXPECTED.items():
        assert outcomes[f"fine-{bad}"].error is None
        if bad != "function":
            assert type(outcomes[f"{bad}-1"].error) is error, bad
    assert sorted(notes.read_text().split()) == sorted(kinds)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("quiet-1", "exit code 0"),
        ("loud-1", "exit code 3"),
        ("killed-1", "SIGKILL"),
        ("exit-1", "SystemExit"),
        ("function-1", "type function cannot be sent"),
        ("twopart-1", "twoparts"),
    ],
)
def test_the_error_says_what_happened(kind: str, words: str) -> None:
    """The text names the signal, the exit code, or what could not be sent."""
    [outcome] = map_unordered(tasks.behave, [kind], workers=1, timeout=20)
    assert type(outcome.error) is EXPECTED[kind.partition("-")[0]]
    assert words in str(outcome.error)


def test_an_error_carries_the_workers_traceback() -> None:
    """What a task raised keeps its type, its text, and a note with the traceback of the worker."""
    [outcome] = map_unordered(tasks.behave, ["raise-1"], workers=1, timeout=20)
    assert isinstance(outcome.error, ValueError)
    assert str(outcome.error) == "raise-1"
    assert "compute_tasks.py" in outcome.error.__notes__[0]


def test_a_task_that_cannot_be_sent_is_its_own_fault() -> None:
    """A task that cannot be sent has a ComputeError; the next one is computed."""
    given: list[Any] = [lambda: 1, 3]
    first, second = sorted(map_unordered(tasks.square, given, workers=1, timeout=20), key=lambda o: o.task == 3)
    assert type(first.error) is ComputeError
    assert "cannot be sent" in str(first.error)
    assert second.value == 9


def test_a_worker_killed_while_it_sends_spoils_nothing() -> None:
    """A result torn off in the middle of the pipe is lost; every other one arrives whole, and soon."""
    begun = time.monotonic()
    outcomes = list(map_unordered(tasks.die_while_sending, range(9), workers=2, timeout=20))
    assert time.monotonic() - begun < 15
    assert len(outcomes) == 9
    for outcome in outcomes:
        if outcome.task % 3:
            assert outcome.value is not None
            assert len(outcome.value) == 20_000_000
        else:
            assert outcome.value is not None or isinstance(outcome.error, WorkerDiedError)


def test_a_worker_killed_while_idle_is_replaced() -> None:
    """A worker that something else kills between two tasks costs no task."""

    def source() -> Iterator[int]:
        yield 0
        yield 1
        time.sleep(0.3)  # Both tasks end, then their worker does, and the pool notices.
        os.kill(found[0], signal.SIGKILL)
        time.sleep(0.5)
        yield 2

    found: list[int] = []
    for outcome in map_unordered(tasks.process, source(), workers=1, timeout=20):
        assert outcome.error is None
        assert outcome.value is not None
        found.append(outcome.value)
    assert len(found) == 3
    assert found[2] != found[0]


def test_workers_compute_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread variables are 1 before a worker's first import; the parent's own stay as they were."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    [outcome] = map_unordered(tasks.variables, [1], workers=1, timeout=20)
    assert outcome.value == ["1"] * len(THREAD_VARIABLES)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_tasks_are_taken_lazily(workers: int) -> None:
    """Never more than twice the workers' number of tasks are taken ahead of the outcomes."""
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for number in range(40):
            taken += 1
            yield number

    ahead = []
    for seen, _outcome in enumerate(map_unordered(tasks.square, source(), workers=workers, timeout=20)):
        ahead.append(taken - seen)
    assert len(ahead) == 40
    assert max(ahead) <= max(1, 2 * workers)


def test_workers_stay_busy_while_the_caller_is() -> None:
    """A task that waits its turn is begun and finished while the caller does something else."""
    outcomes = map_unordered(tasks.finished_at, range(3), workers=1, timeout=20)
    next(outcomes)
    time.sleep(0.5)
    resumed = time.time()
    second = next(outcomes)
    assert second.value is not None
    assert second.value < resumed - 0.2
    assert len(list(outcomes)) == 1


def test_leaving_early_stops_everything(tmp_path: Path) -> None:
    """Closing the iterator ends the running tasks, their workers and what these have started."""
    notes = tmp_path / "pids"
    given = [str(notes), str(notes), "nowhere/at/all"]
    outcomes = map_unordered(tasks.child_and_sleep, islice(given, 3), workers=3, timeout=60)
    first = next(outcomes)
    assert isinstance(first.error, FileNotFoundError)
    running = _processes(notes, 2)
    begun = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 3
    assert all(_gone(process) for process in running)


def test_a_timeout_ends_the_tasks_children_too(tmp_path: Path) -> None:
    """A task that is ended leaves no process that it started."""
    notes = tmp_path / "pids"
    [outcome] = map_unordered(tasks.child_and_sleep, [str(notes)], workers=1, timeout=1)
    assert isinstance(outcome.error, TaskTimeoutError)
    assert "longer than 1 s" in str(outcome.error)
    assert all(_gone(process) for process in _processes(notes, 1))


def _script(tmp_path: Path, body: str) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(
        "from pipeline.compute import map_unordered\nfrom pipeline_tests import compute_tasks as tasks\n"
        f"if __name__ == '__main__':\n{textwrap.indent(textwrap.dedent(body), '    ')}"
    )
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    # A shell's background jobs ignore Ctrl-C, and so would what the tests start from one.
    return subprocess.Popen(
        ["/usr/bin/env", "--default-signal=INT", sys.executable, str(script)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, how: signal.Signals) -> None:
    """A parent that is killed, or interrupted from the terminal, leaves no process and no workers' tracebacks."""
    notes = tmp_path / "pids"
    body = f"list(map_unordered(tasks.child_and_sleep, [{str(notes)!r}] * 2, workers=2, timeout=600))\n"
    with _script(tmp_path, body) as parent:
        try:
            running = _processes(notes, 2)
            os.kill(parent.pid, how)
            _out, errors = parent.communicate(timeout=20)
        finally:
            parent.kill()
    assert parent.returncode == -how
    assert all(_gone(process) for process in running)
    assert errors.count("Traceback") == (how == signal.SIGINT)


def test_a_parent_that_ends_with_the_map_open_ends_it(tmp_path: Path) -> None:
    """A program may end while tasks run; it does not wait for them, and nothing is left."""
    notes = tmp_path / "pids"
    body = f"""
    import time
    outcomes = map_unordered(tasks.child_and_sleep, ["/nowhere/at/all", {str(notes)!r}], workers=2, timeout=600)
    next(outcomes)
    while not __import__("pathlib").Path({str(notes)!r}).exists(): time.sleep(0.02)
    """
    with _script(tmp_path, body) as parent:
        parent.communicate(timeout=20)
    assert parent.returncode == 0
    assert all(_gone(process) for process in _processes(notes, 1))


@pytest.mark.filterwarnings("default")
def test_workers_that_cannot_start_end_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no worker can start, the map says so and does not try for ever."""
    monkeypatch.setattr(worker, "_start", tasks.fail_to_start)
    with pytest.raises(ComputeError, match=r"3 workers in a row could not start.*exit code 1"):
        list(map_unordered(tasks.square, range(5), workers=2, timeout=20))


def test_a_worker_that_dies_at_its_start_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One start that fails, for want of memory perhaps, costs no task."""
    monkeypatch.setattr(worker, "_start", partial(tasks.die_at_first, str(tmp_path / "first")))
    outcomes = map_unordered(tasks.square, range(6), workers=2, timeout=20)
    assert sorted(outcome.value or 0 for outcome in outcomes) == [0, 1, 4, 9, 16, 25]


def test_workers_do_not_import_the_main_script(tmp_path: Path) -> None:
    """A script, such as the orchestrator's, is not imported again in each worker, and is itself unharmed."""
    body = (
        "print([outcome.value for outcome in map_unordered(tasks.script_name, [1], workers=1, timeout=20)], __spec__)"
    )
    with _script(tmp_path, body) as parent:
        out, _errors = parent.communicate(timeout=20)
    assert out == "[None] None\n"


def test_workers_that_never_get_ready_end_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that hangs is an error after a while, not a map that waits for ever."""
    monkeypatch.setattr(worker, "_start", tasks.hang)
    monkeypatch.setattr(compute, "START_SECONDS", 0.5)
    with pytest.raises(ComputeError, match=r"no worker was ready within 0\.5 s"):
        list(map_unordered(tasks.square, [1], workers=1, timeout=20))


def test_a_fault_of_the_source_reaches_the_caller() -> None:
    """What the iterable of tasks raises ends the map, with its workers."""

    def source() -> Iterator[int]:
        yield 1
        raise LookupError("no more products")

    with pytest.raises(LookupError, match="no more products"):
        list(map_unordered(tasks.square, source(), workers=1, timeout=20))


def test_no_workers_means_here() -> None:
    """With 0 workers everything runs in this process, with the same outcomes."""
    outcomes = list(map_unordered(tasks.process, range(3), workers=0, timeout=1))
    assert [outcome.value for outcome in outcomes] == [os.getpid()] * 3
    [outcome] = map_unordered(tasks.behave, ["raise-1"], workers=0, timeout=1)
    assert isinstance(outcome, Outcome)
    assert isinstance(outcome.error, ValueError)


def test_workers_share_the_cores_between_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job takes its share of the cores that this process may use, one at least, unless WORKERS says otherwise."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))
    assert default_workers(Settings(max_concurrent_jobs=3)) == 2
    assert default_workers(Settings(max_concurrent_jobs=9)) == 1
    assert default_workers(Settings(max_concurrent_jobs=3, workers=5)) == 5


def test_maps_of_one_crew_share_its_workers() -> None:
    """A second map is done by the processes that did the first: none is started anew."""
    with Crew(1) as crew:
        [first] = crew.map_unordered(tasks.process, [1], timeout=20)
        [second] = crew.map_unordered(tasks.process, [2], timeout=20)
        assert first.value == second.value != os.getpid()
        assert _runs(second.value)
    assert _gone(second.value)


def test_a_worker_that_dies_between_maps_is_replaced() -> None:
    """A process that is killed while its crew rests costs the next map nothing but its replacement."""
    with Crew(1) as crew:
        [first] = crew.map_unordered(tasks.process, [1], timeout=20)
        os.kill(first.value, signal.SIGKILL)
        assert _gone(first.value)
        time.sleep(0.05)  # Its last threads end after its first one.
        [second] = crew.map_unordered(tasks.process, [2], timeout=20)
    assert second.error is None
    assert second.value != first.value


def test_what_ends_while_a_crew_is_stopped_is_no_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers whose tasks end while their map is being left are not taken for idle ones by the next map."""
    end = worker.Worker.end

    def slowly(one: worker.Worker) -> None:
        time.sleep(0.8)
        end(one)

    monkeypatch.setattr(worker.Worker, "end", slowly)
    with Crew(2) as crew:
        left = crew.map_unordered(tasks.process, range(9), timeout=20)
        before = {next(left).value}
        left.close()
        outcomes = list(crew.map_unordered(tasks.process, range(6), timeout=20))
        assert all(outcome.error is None for outcome in outcomes)
        assert before.isdisjoint({outcome.value for outcome in outcomes})
        assert len(crew._crew) == 2


def test_a_map_that_was_left_early_does_not_reach_into_the_next() -> None:
    """What is left of one map ends with it; the crew's next map has its own outcomes alone."""
    with Crew(2) as crew:
        left = crew.map_unordered(tasks.square, range(9), timeout=20)
        next(left)
        with pytest.raises(ComputeError, match="one map at a time"):
            next(crew.map_unordered(tasks.square, [100], timeout=20))
        left.close()
        outcomes = list(crew.map_unordered(tasks.square, [100, 200], timeout=20))
    assert sorted(outcome.value for outcome in outcomes) == [10_000, 40_000]
