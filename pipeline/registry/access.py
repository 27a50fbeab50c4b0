"""The access log: who touched which artefact, when, and how it went. Lines are added, never changed."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from pipeline.who import user

OWNER_ONLY = 0o600
_MONTH = re.compile(r"(\d{4}-(?:0[1-9]|1[0-2]))\.jsonl")
logger = logging.getLogger(__name__)


class AccessLog(Protocol):
    """Takes note of what was done to an artefact."""

    def note(self, action: str, sha256: str, name: str, fault: str | None = None) -> None:
        """Add a line: `put`, `get`, `discard` or `quarantine`; `fault` where it went wrong."""


class NoLog:
    """Takes note of nothing."""

    def note(self, action: str, sha256: str, name: str, fault: str | None = None) -> None:
        """Forget it."""


class MonthlyLog:
    """A file of JSON lines a month, `FOLDER/2026-11.jsonl`, readable by its owner.

    A line is added by one write to a file that is open for appending alone, so that the lines of several processes
    never mix. Where it cannot be written, on a full disk say, that is a warning: a model can be read all the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._who = {"user": user(), "host": socket.gethostname(), "process": os.getpid()}

    def note(self, action: str, sha256: str, name: str, fault: str | None = None) -> None:
        """Add a line."""
        try:
            self._add(action, sha256, name, fault)
        except OSError as error:
            logger.warning("an access to an artefact could not be noted in %s: %s", self._folder, error)

    def _add(self, action: str, sha256: str, name: str, fault: str | None) -> None:
        at = datetime.now(UTC)
        line = {"at": at.isoformat(), "action": action, "sha256": sha256, "name": name, "fault": fault, **self._who}
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{at:%Y-%m}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, OWNER_ONLY)
        try:
            os.write(descriptor, f"{json.dumps(line)}\n".encode())
        finally:
            os.close(descriptor)


def old_months(folder: Path, before: datetime) -> tuple[Path, ...]:
    """Return the logs of a folder, the oldest first, whose whole month lies before a moment."""
    return tuple(
        path
        for path in sorted(folder.glob("*.jsonl"))
        if (found := _MONTH.fullmatch(path.name)) and _next_month(found[1]) <= before
    )


def _next_month(month: str) -> datetime:
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    return (first + timedelta(days=31)).replace(day=1)
