"""Events as lines of JSON, a file a UTC day: for installations without a broker."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import EventError
from pipeline.registry.outbox import OutboxRecord


class FileSink:
    """Appends to `FOLDER/events-YYYY-MM-DD.ndjson`, the day of writing.

    A line is written whole and flushed to the disk. Where an earlier one was torn, by a full disk or a cut of power,
    the next begins on a line of its own: who reads skips what is no JSON. The torn event waited on and comes again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, event: OutboxRecord) -> None:
        """Add a line.

        Raises:
            EventError: the file cannot be written.
        """
        path = self._folder / f"events-{datetime.now(UTC):%Y-%m-%d}.ndjson"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _append(path, event.body.encode() + b"\n")
        except OSError as error:
            raise EventError(f"events cannot be written to {path}: {error.strerror or error}") from error


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        length = os.fstat(descriptor).st_size
        if length and os.pread(descriptor, 1, length - 1) != b"\n":
            line = b"\n" + line
        if (written := os.write(descriptor, line)) < len(line):
            raise OSError(None, f"{written} of {len(line)} bytes were written; is the disk full?")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
