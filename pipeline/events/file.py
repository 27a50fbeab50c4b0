"""Events as lines of JSON, a file a UTC day: for installations without a broker."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pipeline.appending import append_lines
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
            append_lines(path, event.body.encode() + b"\n")
        except OSError as error:
            raise EventError(f"events cannot be written to {path}: {error.strerror or error}") from error
