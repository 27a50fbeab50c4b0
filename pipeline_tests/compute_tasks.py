"""Tasks for the tests of `pipeline.compute`: light to import, since every worker does."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.worker import THREAD_VARIABLES

VARIABLES_AT_IMPORT = [os.environ.get(name) for name in THREAD_VARIABLES]


class TwoPartError(Exception):
    """Cannot be put together again from its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}{second}")


def square(number: int) -> int:
    """Return the square."""
    return number * number


def variables(_task: int) -> list[str | None]:
    """Return the thread variables as they were when this module was imported."""
    return VARIABLES_AT_IMPORT


def note_down(task: tuple[str, str]) -> None:
    """Append a line to a file, then behave as the task's kind says."""
    path, kind = task
    with Path(path).open("a") as file:
        file.write(f"{kind}\n")
    behave(kind)


def behave(kind: str) -> object:
    """Do what the part of `kind` before the dash names; return it when nothing went wrong."""
    return _KINDS[kind.partition("-")[0]](kind)


def die_at_first(path: str, _memory: int | None) -> None:
    """A worker's start that is killed in the first process that runs it."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def script_name(_task: int) -> str | None:
    """Return the name under which the parent's script was imported here, if it was."""
    return getattr(sys.modules.get("__mp_main__"), "__file__", None)


def hang(_memory: int | None) -> None:
    """A worker's start that never ends."""
    time.sleep(600)


def take(count: int) -> int:
    """Take so many bytes of memory, and return how many there were."""
    return len(bytearray(count))


def fail_to_start(_memory: int | None) -> None:
    """A worker's start that fails."""
    raise OSError("no such scratch folder")


def process(_task: int) -> int:
    """Return the worker's process id."""
    return os.getpid()


def finished_at(_task: int) -> float:
    """Return the moment at which the task ended."""
    time.sleep(0.05)
    return time.time()


def child_and_sleep(path: str) -> None:
    """Start a child, write down both process ids, and hang."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()} {child.pid}\n")
    time.sleep(600)


def die_while_sending(number: int) -> bytes:
    """Return far more than a pipe holds; every third task is killed while it does."""
    if number % 3 == 0:
        threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        time.sleep(0.015)
    return b"x" * 20_000_000


def _raise(error: BaseException) -> object:
    raise error


def _raise_local(kind: str) -> object:
    class LocalError(Exception):
        pass

    raise LocalError(kind)


_KINDS: dict[str, Callable[[str], object]] = {
    "fine": lambda kind: kind,
    "raise": lambda kind: _raise(ValueError(kind)),
    "memory": lambda kind: _raise(MemoryError(kind)),
    "exit": lambda kind: _raise(SystemExit(kind)),
    "local": _raise_local,
    "twopart": lambda kind: _raise(TwoPartError("two", "parts")),
    "function": lambda kind: lambda: kind,
    "quiet": lambda _kind: os._exit(0),
    "loud": lambda _kind: os._exit(3),
    "killed": lambda _kind: os.kill(os.getpid(), signal.SIGKILL),
    "hang": lambda _kind: time.sleep(600),
}


def log(word: str) -> None:
    """Log a line."""
    logging.getLogger("pipeline.compute_tasks").debug("at work on %s", word)
