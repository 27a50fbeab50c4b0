"""The process that a run works in, by tags that no later process of the same number fits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from socket import gethostname

HOST_TAG, PROCESS_TAG, STARTED_TAG = "pipeline/host", "pipeline/process", "pipeline/process-started"
_PROC = Path("/proc")
_STATE, _STARTED = 0, 19
"""Places in /proc/NUMBER/stat (fields 3 and 22) after the name in brackets, which may hold brackets itself."""


def tags_of_this_process() -> dict[str, str]:
    """Return the tags by which this process is found again; the moment of its start where /proc tells it."""
    fields = _fields(os.getpid())
    started = {STARTED_TAG: fields[_STARTED]} if fields else {}
    return {HOST_TAG: gethostname(), PROCESS_TAG: str(os.getpid()), **started}


def is_alive(tags: Mapping[str, str]) -> bool:
    """Say whether the process of a run on this machine still works.

    Numbers of processes are given out again: it is the same one that has the number and began in the same tick of the
    clock. Without /proc, and of a run whose tags do not say when it began, the number alone tells.
    """
    number = tags.get(PROCESS_TAG, "")
    if not number.isdecimal():
        return False
    if not _PROC.is_dir():
        return _answers(int(number))
    fields = _fields(int(number))
    if not fields or fields[_STATE] in {"Z", "X"}:  # Ended; its parent has only not asked for its end.
        return False
    return tags.get(STARTED_TAG, fields[_STARTED]) == fields[_STARTED]


def _fields(number: int) -> list[str]:
    """What the system says of a process; nothing where there is none, or no /proc."""
    try:
        return (_PROC / str(number) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _answers(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
