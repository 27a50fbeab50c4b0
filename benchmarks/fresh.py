"""Work in a process of its own, so that its CPU seconds and its memory are its own, one thread a process."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.settings import Settings

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
LOOK_SECONDS = 0.25
LAST_WORDS = 3000
"""Letters of a failed process's messages that are passed on."""


class FailedError(Exception):
    """The process ended with an error; the message holds its last words."""


@dataclass(frozen=True)
class Fresh:
    """What a process told (`found`), and the largest memory in MB: of itself, and of its largest child (0: none)."""

    found: dict[str, Any]
    peak: float
    child_peak: float


def in_fresh_process(module: str, *arguments: str, home: Path) -> Fresh:
    """Run `python -m module arguments`; the last line that it prints must be a JSON object.

    It runs with this project's defaults: no database, store or setting of the caller's, but WORKERS, which is the
    number of cores where it is not set.

    Args:
        module: of ours.
        arguments: words for it.
        home: folder for all that it keeps.

    Raises:
        FailedError: it ended with an error, or without a JSON object.
    """
    command = [sys.executable, "-m", module, *arguments]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as warned:
        process = subprocess.Popen(command, env=_environment(home), stdout=said, stderr=warned)
        memory = _Memory(process.pid)
        try:
            process.wait()
        finally:
            process.kill()
            memory.stop()
        said.seek(0)
        warned.seek(0)
        last_words = warned.read().strip()[-LAST_WORDS:]
        if process.returncode:
            raise FailedError(last_words or f"{' '.join(command)} ended with {process.returncode}")
        return Fresh(_found(said.read(), command, last_words), memory.own, memory.child)


def _found(said: str, command: Sequence[str], last_words: str) -> dict[str, Any]:
    last = next(reversed(said.strip().splitlines()), "")
    with suppress(ValueError):
        found = json.loads(last)
        if isinstance(found, dict):
            return found
    raise FailedError(f"{last_words}\n{' '.join(command)} must print a JSON object last, not {last!r}".strip())


def _environment(home: Path) -> dict[str, str]:
    theirs = {name.upper() for name in Settings.model_fields} - {"WORKERS"}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in theirs}
    workers = {"WORKERS": str(len(os.sched_getaffinity(0)))}
    return workers | kept | dict.fromkeys(THREADS, "1") | {"PIPELINE_HOME": str(home), "DAGSTER_HOME": ""}


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class _Memory:
    """Looks at a process and its descendants four times a second, from outside.

    The kernel's own highest mark is read, which ends with the process; what `getrusage` tells of a child starts from
    the size of the process that started it, and so says nothing of a small one.
    """

    def __init__(self, pid: int) -> None:
        self.own = self.child = 0.0
        self._pid, self._ended = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            found = _peaks()
            family = {self._pid}
            for pid in sorted(found):  # a child's number may be smaller than its parent's only after a wrap
                parent, peak = found[pid]
                if parent in family:
                    family.add(pid)
                    if parent in found and peak != found[parent][1]:  # else still its parent's image, just forked
                        self.child = max(self.child, peak)
            self.own = max(self.own, found.get(self._pid, (0, 0.0))[1])


def _peaks() -> dict[int, tuple[int, float]]:
    """Return the parent and the highest memory mark in MB of every process."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it has ended
            lines = dict(line.split(":", 1) for line in place.read_text(encoding="utf-8").splitlines() if ":" in line)
            if "VmHWM" in lines:
                found[int(lines["Pid"])] = (int(lines["PPid"]), int(lines["VmHWM"].split()[0]) / 1024)
    return found
