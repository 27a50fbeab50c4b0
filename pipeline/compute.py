"""One bounded map over worker processes, which no task can spoil for another.

Each worker is a pool of one process of its own, so that a process that dies, at whatever moment, takes
nothing with it but its task. Workers are spawned, never forked (the parent has threads), compute with
one thread each, leave Ctrl-C to the parent, and end themselves and what they have started when the
parent is gone.

A task and its result travel through a pipe: keep them small, and give each task only the arrays that it needs.
Functions, tasks and results must be importable by name: no lambdas, no closures, and nothing that is
defined in a script, since workers do not import the main module.
"""

from __future__ import annotations

import copy
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec
from io import BytesIO
from itertools import islice
from multiprocessing import parent_process, reduction
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from queue import Empty, SimpleQueue
from traceback import format_exc
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from pebble import ProcessFuture, ProcessPool

from pipeline.errors import ComputeError, TaskTimeoutError, WorkerDiedError

if TYPE_CHECKING:
    from pipeline.settings import Settings

T = TypeVar("T")
R = TypeVar("R")

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
START_SECONDS = 120
"""Workers that are not ready by then, imports included, never will be."""

SILENT_EXIT = 1_000
"""Stands for exit code 0, which Pebble takes for a worker that was asked to end."""

FALSE_STARTS = 3
"""Workers in a row that may fail to start before the map gives up."""

_Report: TypeAlias = tuple[R | None, Exception | None, float]
_LOST = (OSError, RuntimeError, CancelledError)
"""What a pool raises for a task whose worker is gone; anything else means that the task was never sent."""
_spawning = threading.Lock()


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of one task: its value, or the error; `seconds` is the time that it ran."""

    task: T
    value: R | None
    error: Exception | None
    seconds: float


def default_workers(settings: Settings) -> int:
    """Return the worker processes of one job: WORKERS, else its share of this process's cores, at least 1."""
    return settings.workers or max(1, len(os.sched_getaffinity(0)) // settings.max_concurrent_jobs)


def map_unordered(
    function: Callable[[T], R],
    tasks: Iterable[T],
    *,
    workers: int,
    timeout: float,
) -> Iterator[Outcome[T, R]]:
    """Yield each task's outcome as it finishes; a task is tried once, and spoils no other.

    At most twice as many tasks as workers are taken from `tasks` ahead of the outcomes yielded.
    Leaving the iterator early, by an error or `close()`, stops every worker.

    Args:
        function: called with one task, in a worker.
        tasks: taken lazily, in the caller's thread; the first ones start first.
        workers: processes; 0 runs everything here, without a time limit, for tests and debugging.
        timeout: seconds that one task may run before its worker is ended.

    Yields:
        An outcome whose error is what the task raised, TaskTimeoutError, WorkerDiedError (its process
        ended under it), or ComputeError (the task, its value or its error could not be sent).

    Raises:
        ComputeError: no worker could start: a module cannot be imported, or memory is short.
    """
    if workers == 0:
        yield from _inline(function, tasks)
        return
    source = iter(tasks)
    crew: _Crew[T, R] = _Crew(workers, partial(_timed, function), timeout)
    try:
        crew.add(islice(source, 2 * workers))
        while crew.open:
            yield crew.next()
            crew.add(islice(source, 1))
    finally:
        crew.stop()


def _inline(function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[Outcome[T, R]]:
    for task in tasks:
        begun = time.perf_counter()
        try:
            value, error = function(task), None
        except Exception as raised:  # Whatever the task raises is its outcome.
            value, error = None, raised
        yield Outcome(task, value, error, time.perf_counter() - begun)


class _Crew(Generic[T, R]):
    """The workers of one map, the tasks that wait for one, and the outcomes that wait to be fetched.

    Workers take their next task in the pools' own threads, so that they are busy while the caller is;
    lost workers are replaced in the caller's thread, since a pool cannot be ended from within.
    """

    def __init__(self, limit: int, work: Callable[[T], _Report[R]], timeout: float) -> None:
        self.open = 0
        """Tasks that were added and whose outcome was not fetched."""
        self._limit, self._work, self._timeout = limit, work, timeout
        self._ready: deque[T] = deque()
        self._idle: list[_Worker] = []
        self._crew: set[_Worker] = set()
        self._news: SimpleQueue[Outcome[T, R] | _Worker] = SimpleQueue()
        self._false_starts = 0
        self._lock = threading.RLock()

    def add(self, tasks: Iterable[T]) -> None:
        """Accept tasks, and start workers for them as far as the limit allows."""
        for task in tasks:
            self.open += 1
            with self._lock:
                self._ready.append(task)
        while len(self._crew) < min(self._limit, self.open):
            self._hire()
        self._feed()

    def next(self) -> Outcome[T, R]:
        """Wait for an outcome; replace the workers that were lost on the way."""
        while True:
            news = self._news_in_time()
            if isinstance(news, Outcome):
                self.open -= 1
                return news
            self._replace(news)

    def _news_in_time(self) -> Outcome[T, R] | _Worker:
        while True:
            try:
                return self._news.get(timeout=START_SECONDS)
            except Empty:
                if not any(worker.ready.done() for worker in self._crew):
                    raise ComputeError(f"no worker was ready within {START_SECONDS} s of its start") from None

    def stop(self) -> None:
        """End every worker, whatever it does."""
        with self._lock:
            self._ready.clear()
            self._idle.clear()
        if self._crew:
            with ThreadPoolExecutor(len(self._crew)) as threads:
                list(threads.map(_Worker.end, self._crew))

    def _replace(self, worker: _Worker) -> None:
        if self._false_starts >= FALSE_STARTS:
            raise ComputeError(
                f"{FALSE_STARTS} workers in a row could not start; their own messages above say why "
                f"(a module that cannot be imported, too little memory?); the last ended with {worker.end_text}"
            )
        self._crew.discard(worker)
        worker.end()
        if self.open > len(self._crew):
            self._hire()

    def _hire(self) -> None:
        worker = _Worker()
        self._crew.add(worker)
        worker.ready.add_done_callback(partial(self._joined, worker))

    def _joined(self, worker: _Worker, ready: ProcessFuture[None]) -> None:
        if ready.exception():
            self._false_starts += 1
            self._news.put(worker)
        else:
            self._false_starts = 0
            self._free(worker)

    def _free(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)
        self._feed()

    def _feed(self) -> None:
        with self._lock:
            while self._idle and self._ready:
                self._give(self._idle.pop(), self._ready.popleft())

    def _give(self, worker: _Worker, task: T) -> None:
        begun = time.perf_counter()
        try:
            future = worker.pool.schedule(self._work, (task,), timeout=self._timeout)
        except RuntimeError:  # The worker died idle: the task has not begun, and another takes it.
            self._ready.appendleft(task)
            self._news.put(worker)
            return
        future.add_done_callback(partial(self._finished, worker, task, begun))

    def _finished(self, worker: _Worker, task: T, begun: float, future: ProcessFuture[_Report[R]]) -> None:
        fault = future.exception()
        if fault is None:
            self._news.put(Outcome(task, *future.result()))
        else:
            error = _explained(fault, self._timeout, worker)
            self._news.put(Outcome(task, None, error, time.perf_counter() - begun))
        if fault is None or not isinstance(fault, _LOST):
            self._free(worker)
        else:
            self._news.put(worker)


class _Worker:
    """A pool of one process. `ready` is done when that has made itself a worker, or has ended."""

    def __init__(self) -> None:
        self._context = _Context()
        self.pool = ProcessPool(max_workers=1, initializer=_start, context=self._context)
        self.ready: ProcessFuture[None] = self.pool.schedule(_report_in)

    @property
    def end_text(self) -> str:
        """How its process ended, for messages."""
        codes = [code for process in self._context.made if (code := process.exitcode) is not None]
        return _exit_text(codes[0]) if codes else "an unknown exit code"

    def end(self) -> None:
        """End the process and all that it started, at once."""
        for group in [process.pid for process in self._context.made if process.pid]:  # Group 0 would be our own.
            with suppress(ProcessLookupError):  # It has ended, or is not yet the head of its group.
                os.killpg(group, signal.SIGKILL)
        self.pool.stop()  # type: ignore[no-untyped-call]
        self.pool.join()


class _Process(SpawnProcess):
    """A process that finds the thread variables in its environment when its first import happens."""

    def start(self) -> None:
        """Start with the variables set, and without the parent's main module."""
        with _spawning, _one_thread(), _nameless_main():
            super().start()

    @property
    def exitcode(self) -> int | None:
        """Never 0: a worker that ends by itself has lost its task, also when it says that all is well."""
        code = super().exitcode
        return SILENT_EXIT if code == 0 else code


class _Context(SpawnContext):
    """Spawns such processes, and remembers them: the pool may make a second one before it is ended."""

    def __init__(self) -> None:
        self.made: list[_Process] = []

    def Process(self, **options: Any) -> _Process:  # type: ignore[override]
        """Make a process, as the class of this name does in other contexts."""
        self.made.append(_Process(**options))
        return self.made[-1]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Set the thread variables: a child takes over the environment that its parent has at its start."""
    before = {name: os.environ.pop(name, None) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


@contextmanager
def _nameless_main() -> Iterator[None]:
    """Keep the child from importing the parent's main script, which may pull in a whole orchestrator.

    A main module whose specification bears its own name is left alone, as `python -c` and `-m` show.
    """
    main = sys.modules["__main__"]
    spec = main.__spec__
    main.__spec__ = ModuleSpec("__main__", None)
    try:
        yield
    finally:
        main.__spec__ = spec


def _report_in() -> None:
    """The first task of every worker: it is done when the worker is ready."""


def _start() -> None:
    """Make a new process a worker: the head of its own group, which ends when the parent does."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _end_group)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _end_group()


def _end_group(*_signal: object) -> None:
    os.killpg(0, signal.SIGKILL)


def _timed(function: Callable[[T], R], task: T) -> _Report[R]:
    """Run a task in its worker; whatever it raises becomes part of the report."""
    begun = time.perf_counter()
    try:
        value, error = function(task), None
    except BaseException as raised:
        raised.add_note(f"In the worker:\n{format_exc()}")
        value, error = None, raised
    return (*_sendable(value, error), time.perf_counter() - begun)


def _sendable(value: R | None, error: BaseException | None) -> tuple[R | None, Exception | None]:
    """Return what can cross the pipe and be put together on the other side."""
    if error is not None and not isinstance(error, Exception):
        return None, WorkerDiedError(f"the task asked to end its process: {error!r}")
    try:
        reduction.dump((value, error), BytesIO())
        copy.deepcopy(error)
    except Exception as fault:
        what = f"the task's value of type {type(value).__name__}" if error is None else f"the task's error {error!r}"
        return None, ComputeError(f"{what} cannot be sent between processes: {fault}")
    return value, error


def _explained(fault: BaseException, timeout: float, worker: _Worker) -> ComputeError:
    if isinstance(fault, TimeoutError):
        return TaskTimeoutError(f"the task ran longer than {timeout:g} s and was ended")
    if isinstance(fault, _LOST):
        return WorkerDiedError(f"the task's process ended under it with {worker.end_text}")
    return ComputeError(f"the task cannot be sent between processes: {fault}")


def _exit_text(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name} (out of memory?)" if code == -9 else f"signal {-code}"
    return f"exit code {0 if code == SILENT_EXIT else code}"
