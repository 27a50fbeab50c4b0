"""The access log: who touched which artefact, when, and how it went. Lines are added, never changed."""

from __future__ import annotations

import json
import logging
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pipeline.who import user

OWNER_ONLY = 0o600
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
