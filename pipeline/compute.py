"""Bounded maps over worker processes, which no task can spoil for another.

Each worker is a pool of one process of its own, so that a process that dies, at whatever moment, takes
nothing with it but its task.

A task and its result travel through a pipe: keep them small, and give each task only the arrays that it needs.
Functions, tasks and results must be importable by name: no lambdas, no closures, and nothing that is
defined in a script, since workers do not import the main module.
"""

from __future__ import annotations

import copy
import os
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from multiprocessing import reduction
from pathlib import Path
from queue import Empty, SimpleQueue
from traceback import format_exc
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar

from pebble import ProcessFuture

from pipeline import logs
from pipeline.errors import ComputeError, TaskMemoryError, TaskTimeoutError, WorkerDiedError
from pipeline.worker import Worker

if TYPE_CHECKING:
    from pipeline.settings import Settings

T = TypeVar("T")
R = TypeVar("R")

START_SECONDS = 120
"""Workers that are not ready by then, imports included, never will be."""

FALSE_STARTS = 3
"""Workers in a row that may fail to start before the map gives up."""

MEGABYTE = 2**20
LEAST_MEMORY = 512 * MEGABYTE
"""What a worker may have however small its share is: with less it could not load its libraries."""
_CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""Where a container's limit stands, in bytes; `max` where there is none."""

_Report: TypeAlias = tuple[R | None, Exception | None, float]
_LOST = (OSError, RuntimeError, CancelledError)
"""What a pool raises for a task whose worker is gone; anything else means that the task was never sent."""


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


def worker_memory(settings: Settings, workers: int) -> int:
    """Return the bytes that each of so many workers may have: WORKER_MEMORY_MB, else its share of all there is.

    A share is a core's, so that the jobs that may run at once do not take more together than the machine has.
    """
    if settings.worker_memory_mb is not None:
        return settings.worker_memory_mb * MEGABYTE
    return max(LEAST_MEMORY, _memory() // max(workers, len(os.sched_getaffinity(0))))


def _memory() -> int:
    """Bytes of memory of this machine, or of the container that it is."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(_CONTAINER.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return machine


def map_unordered(
    function: Callable[[T], R], tasks: Iterable[T], *, workers: int, timeout: float, memory: int | None = None
) -> Iterator[Outcome[T, R]]:
    """Map once, with a crew of its own: see `Crew` and `Crew.map_unordered`."""
    with Crew(workers, memory) as crew:
        yield from crew.map_unordered(function, tasks, timeout=timeout)


class Crew:
    """Worker processes for one map after the other; they start with the first tasks and end with the `with` block.

    A worker costs seconds of imports, so maps that follow each other share one crew.

    Workers take their next task in the pools' own threads, so that they are busy while the caller is;
    lost workers are replaced in the caller's thread, since a pool cannot be ended from within.

    Args:
        workers: processes at most; 0 runs everything here, without any limit, for tests and debugging.
        memory: bytes that each may have; None: no limit.
    """

    def __init__(self, workers: int, memory: int | None = None) -> None:
        self._limit, self._memory = workers, memory
        self._open = 0  # Tasks that were added and whose outcome was not fetched.
        self._ready: deque[_Job] = deque()
        self._idle: list[Worker] = []
        self._crew: set[Worker] = set()
        self._news: SimpleQueue[Outcome[Any, Any] | Worker] = SimpleQueue()
        self._false_starts = 0
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """End every worker, whatever it does."""
        self._stop()

    def map_unordered(
        self, function: Callable[[T], R], tasks: Iterable[T], *, timeout: float
    ) -> Iterator[Outcome[T, R]]:
        """Yield each task's outcome as it finishes; a task is tried once, and spoils no other.

        At most twice as many tasks as workers are taken from `tasks` ahead of the outcomes yielded.
        Leaving the iterator early, by an error or `close()`, stops every worker; the next map starts others.

        Args:
            function: called with one task, in a worker.
            tasks: taken lazily, in the caller's thread; the first ones start first.
            timeout: seconds that one task may run before its worker is ended.

        Yields:
            An outcome whose error is what the task raised, TaskTimeoutError, TaskMemoryError, WorkerDiedError (its
            process ended under it), or ComputeError (the task, its value or its error could not be sent).

        Raises:
            ComputeError: no worker could start: a module cannot be imported, or memory is short; or the crew is
                still at work on another map.
        """
        if self._open:
            raise ComputeError("a crew does one map at a time, and its last one has not come to its end")
        if self._limit == 0:
            yield from _inline(function, tasks)
            return
        jobs = (_Job(partial(_timed, function, logs.context()), task, timeout) for task in tasks)
        try:
            self._add(islice(jobs, 2 * self._limit))
            while self._open:
                yield self._next()
                self._add(islice(jobs, 1))
        finally:
            if self._open:
                self._stop()

    def _stop(self) -> None:
        """End every worker, and forget what they were at."""
        with self._lock:
            self._ready.clear()
            self._idle.clear()
            crew, self._crew = self._crew, set()  # What they still report is nobody's.
        if crew:
            with ThreadPoolExecutor(len(crew)) as threads:
                list(threads.map(Worker.end, crew))
        self._news, self._open, self._false_starts = SimpleQueue(), 0, 0

    def _add(self, jobs: Iterable[_Job]) -> None:
        """Accept tasks, and start workers for them as far as the limit allows."""
        for job in jobs:
            self._open += 1
            with self._lock:
                self._ready.append(job)
        while len(self._crew) < min(self._limit, self._open):
            self._hire()
        self._feed()

    def _next(self) -> Outcome[Any, Any]:
        """Wait for an outcome; replace the workers that were lost on the way."""
        while True:
            news = self._news_in_time()
            if isinstance(news, Outcome):
                self._open -= 1
                return news
            self._replace(news)

    def _news_in_time(self) -> Outcome[Any, Any] | Worker:
        while True:
            try:
                return self._news.get(timeout=START_SECONDS)
            except Empty:
                if not any(worker.ready.done() for worker in self._crew):
                    raise ComputeError(f"no worker was ready within {START_SECONDS} s of its start") from None

    def _replace(self, worker: Worker) -> None:
        if worker not in self._crew:
            return
        if self._false_starts >= FALSE_STARTS:
            raise ComputeError(
                f"{FALSE_STARTS} workers in a row could not start; their own messages above say why "
                f"(a module that cannot be imported, too little memory?); the last ended with {worker.end_text}"
            )
        self._crew.discard(worker)
        worker.end()
        if len(self._crew) < min(self._limit, self._open):
            self._hire()

    def _hire(self) -> None:
        worker = Worker(self._memory)
        self._crew.add(worker)
        worker.ready.add_done_callback(partial(self._joined, worker))

    def _joined(self, worker: Worker, ready: ProcessFuture[None]) -> None:
        if ready.exception():
            self._false_starts += 1
            self._news.put(worker)
        else:
            self._false_starts = 0
            self._free(worker)

    def _free(self, worker: Worker) -> None:
        with self._lock:
            if worker in self._crew:
                self._idle.append(worker)
        self._feed()

    def _feed(self) -> None:
        with self._lock:
            while self._idle and self._ready:
                self._give(self._idle.pop(), self._ready.popleft())

    def _give(self, worker: Worker, job: _Job) -> None:
        begun = time.perf_counter()
        future = worker.take(job.work, job.task, job.timeout)
        if future is None:  # The worker died idle: the task has not begun, and another takes it.
            self._ready.appendleft(job)
            self._news.put(worker)
            return
        future.add_done_callback(partial(self._finished, worker, job, begun, self._news))

    def _finished(
        self, worker: Worker, job: _Job, begun: float, news: SimpleQueue[Any], future: ProcessFuture[_Report[Any]]
    ) -> None:
        fault = future.exception()
        if fault is None:
            news.put(Outcome(job.task, *future.result()))
        else:
            error = _explained(fault, job.timeout, worker)
            news.put(Outcome(job.task, None, error, time.perf_counter() - begun))
        if fault is None or not isinstance(fault, _LOST):
            self._free(worker)
        else:
            news.put(worker)


def _inline(function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[Outcome[T, R]]:
    for task in tasks:
        begun = time.perf_counter()
        try:
            value, error = function(task), None
        except Exception as raised:  # Whatever the task raises is its outcome.
            value, error = None, raised
        yield Outcome(task, value, error, time.perf_counter() - begun)


@dataclass(frozen=True)
class _Job:
    """A task, what is done with it in a worker, and the seconds that it may take."""

    work: Callable[[Any], _Report[Any]]
    task: Any
    timeout: float


def _timed(function: Callable[[T], R], context: Mapping[str, str], task: T) -> _Report[R]:
    """Run a task in its worker, whose log lines say what it is for; whatever it raises becomes part of the report."""
    begun = time.perf_counter()
    value: R | None = None
    error: BaseException | None = None
    try:
        with logs.bound(**context):
            value = function(task)
    except MemoryError as raised:
        error = _explained_memory(raised)
    except BaseException as raised:
        raised.add_note(f"In the worker:\n{format_exc()}")
        error = raised
    return (*_sendable(value, error), time.perf_counter() - begun)


def _explained_memory(raised: MemoryError) -> TaskMemoryError:
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    allowed = "there is" if limit == resource.RLIM_INFINITY else f"a worker may have, {limit // MEGABYTE} MB"
    said = f" ({raised})" if str(raised) else ""
    return TaskMemoryError(f"the task needed more memory than {allowed}{said}; raise WORKER_MEMORY_MB or lower WORKERS")


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


def _explained(fault: BaseException, timeout: float, worker: Worker) -> ComputeError:
    if isinstance(fault, TimeoutError):
        return TaskTimeoutError(f"the task ran longer than {timeout:g} s and was ended")
    if isinstance(fault, _LOST):
        return WorkerDiedError(f"the task's process ended under it with {worker.end_text}")
    return ComputeError(f"the task cannot be sent between processes: {fault}")
