"""A worker: a pool of one process of its own, which computes with one thread and outlives no parent.

Processes are spawned, never forked (the parent has threads), leave Ctrl-C to the parent, and end themselves and
what they have started when the parent is gone.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from multiprocessing import parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from pebble import ProcessFuture, ProcessPool

from pipeline import logs

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX")
"""Set to 1 in a worker. The last is glibc's: what one thread has freed, no other thread's arena uses again."""
SILENT_EXIT = 1_000
"""Stands for exit code 0, which Pebble takes for a worker that was asked to end."""

_spawning = threading.Lock()


class Worker:
    """A pool of one process. `ready` is done when that has made itself a worker, or has ended.

    Args:
        memory: bytes that the process may have, and each process that it starts; None: no limit.
    """

    def __init__(self, memory: int | None = None) -> None:
        self._context = _Context()
        self.pool = ProcessPool(max_workers=1, initializer=_start, initargs=(memory,), context=self._context)
        self.ready: ProcessFuture[None] = self.pool.schedule(_report_in, (logs.current(),))

    @property
    def end_text(self) -> str:
        """How its process ended, for messages."""
        codes = [code for process in self._context.made if (code := process.exitcode) is not None]
        return _exit_text(codes[0]) if codes else "an unknown exit code"

    def take(self, work: Callable[[Any], Any], task: Any, timeout: float) -> ProcessFuture[Any] | None:
        """Begin a task; None where the process has ended, which is seen here before the pool has noticed."""
        if any(_ended(process.pid) for process in self._context.made if process.pid):
            return None
        try:
            return self.pool.schedule(work, (task,), timeout=timeout)
        except RuntimeError:
            return None

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


def _report_in(setup: logs.Setup | None) -> None:
    """The first task of every worker, which logs as its parent does; it is done when the worker is ready."""
    if setup is not None:
        logs.install(setup)


def _start(memory: int | None) -> None:
    """Make a new process a worker: the head of its own group, which ends when the parent does.

    What is limited are the pages that it may write to, and not what it maps: libraries map far more than they use.
    """
    os.setpgid(0, 0)
    if memory is not None:
        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = memory if most == resource.RLIM_INFINITY else min(memory, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    signal.signal(signal.SIGTERM, _end_group)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _end_group()


def _end_group(*_signal: object) -> None:
    os.killpg(0, signal.SIGKILL)


def _ended(process: int) -> bool:
    """Whether a child has ended; its exit code is left for whoever waits for it."""
    try:
        return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _exit_text(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name} (out of memory?)" if code == -9 else f"signal {-code}"
    return f"exit code {0 if code == SILENT_EXIT else code}"
