"""Sends what was noted to an OpenLineage receiver, or into a file for one, by OpenLineage's own client.

The log is the outbox: how far it was sent is remembered, and what could not be sent is sent the next time, in its
order. Whoever is killed in between sends some events again, as the same runs.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from contracts import LineageEvent
from pipeline.errors import StorageError
from pipeline.home import Home, write_atomically
from pipeline.monitoring.lineage.log import LONGEST, day_files, day_of
from pipeline.monitoring.lineage.openlineage import run_event
from pipeline.places import redacted
from pipeline.settings import Settings

if TYPE_CHECKING:
    from openlineage.client.transport import Transport

REQUEST_SECONDS = 5.0
SAVED_EVERY = 100
"""Events after which it is remembered how far they were sent: so many may come again after a kill."""
LATER = {408, 425, 429}
"""Answers that refuse an event for now; others of 400 to 499 refuse it for ever."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sent:
    """What was sent, how many lines wait, and why; None where nothing went wrong."""

    sent: int
    waiting: int
    fault: str | None = None

    def __str__(self) -> str:
        """A sentence."""
        told = f"{self.sent} lineage events sent, {self.waiting} waiting"
        return f"{told}: {self.fault}" if self.fault else told


def send_waiting(home: Home, settings: Settings) -> Sent | None:
    """Send what waits, for at most OPENLINEAGE_SECONDS to each place; None where no place is named.

    Nothing is raised: what is not sent waits, and that is logged.
    """
    url, file = settings.openlineage_url, settings.openlineage_file
    done = []
    if url is not None:
        done.append(_send(home, settings, "url", url.get_secret_value()))
    if file is not None:
        done.append(_send(home, settings, "file", str(file.expanduser().absolute())))
    faults = [one.fault for one in done if one.fault]
    for fault in faults:
        _LOG.warning("lineage events wait to be sent as OpenLineage: %s", fault)
    total = Sent(sum(one.sent for one in done), sum(one.waiting for one in done), "; ".join(faults) or None)
    return total if done else None


def _send(home: Home, settings: Settings, kind: str, place: str) -> Sent:
    position = _Position(home.lineage / f"openlineage-{kind}.json", place)
    try:
        home.lineage.mkdir(parents=True, exist_ok=True)
        transport = _transport(settings, kind, place)
        with FileLock(home.lineage / f".openlineage-{kind}.lock", timeout=0):
            position.read()
            work = _Work(home.lineage, position, settings.openlineage_namespace, transport)
            # A server that answers drop by drop is left in a thread that ends with it: no wait is longer than this.
            thread = threading.Thread(target=work.run, daemon=True)
            thread.start()
            thread.join(settings.openlineage_seconds)
            work.stopped.set()
            position.write()
            waiting = position.waiting(home.lineage)
            late = f"no more could be sent in OPENLINEAGE_SECONDS = {settings.openlineage_seconds:g}"
            fault = work.fault or (late if waiting and thread.is_alive() else None)
            return Sent(work.sent, waiting, None if fault is None else redacted(fault.replace(place, redacted(place))))
    except Timeout:
        return Sent(0, 0)  # Another process is sending at this moment.
    except ImportError:
        return Sent(0, 0, "its client is not installed: install the extra, demand-forecast-pipeline[openlineage]")
    except (OSError, StorageError) as error:
        return Sent(0, 0, f"{home.lineage} cannot be written: {error}")


def _transport(settings: Settings, kind: str, place: str) -> Transport:
    if kind == "file":
        from openlineage.client.transport.file import FileConfig, FileTransport

        return FileTransport(FileConfig(log_file_path=place, append=True))
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider

    key = settings.openlineage_api_key
    auth = TokenProvider({}) if key is None else ApiKeyTokenProvider({"api_key": key.get_secret_value()})
    timeout = min(REQUEST_SECONDS, settings.openlineage_seconds)
    return HttpTransport(HttpConfig(url=place, auth=auth, timeout=timeout, retry={"total": 0}))


class _Position:
    """How far the log was sent to a place: a day's file, and the bytes of it that are done with.

    A place that is new begins with the events of today.
    """

    def __init__(self, path: Path, place: str) -> None:
        self._path, self._place = path, redacted(place)
        self.day, self.offset = datetime.now(UTC).date(), 0

    def read(self) -> None:
        try:
            kept = json.loads(self._path.read_bytes())
            if kept["place"] == self._place:
                self.day, self.offset = date.fromisoformat(kept["day"]), int(kept["offset"])
        except (OSError, ValueError, KeyError, TypeError):
            return

    def write(self) -> None:
        kept = {"place": self._place, "day": str(self.day), "offset": self.offset}
        write_atomically(self._path, json.dumps(kept).encode())

    def waiting(self, folder: Path) -> int:
        """Count the lines beyond."""
        count = 0
        for path in day_files(folder, self.day):
            with path.open("rb") as file:
                file.seek(self.offset if day_of(path) == self.day else 0)
                count += sum(1 for _ in file)
        return count


class _Work:
    """Sends line after line from a position on, which moves with it."""

    def __init__(self, folder: Path, position: _Position, namespace: str, transport: Transport) -> None:
        self._folder, self._position, self._namespace, self._transport = folder, position, namespace, transport
        self.sent = 0
        self.fault: str | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        """Send until all is sent, it is stopped, or the place does not take it."""
        try:
            for path in day_files(self._folder, self._position.day):
                self._send_file(path)
        except Exception as error:  # Whatever a client may raise: what was made is worth more than the news of it.
            self.fault = f"{type(error).__name__}: {error}"

    def _send_file(self, path: Path) -> None:
        position = self._position
        if self.stopped.is_set():
            return
        if (day := day_of(path)) is not None and day > position.day:
            position.day, position.offset = day, 0
        with path.open("rb") as file:
            file.seek(position.offset)
            while not self.stopped.is_set() and (line := file.readline(LONGEST + 1)):
                if len(line) <= LONGEST and not line.endswith(b"\n"):
                    return  # Its writer is at it, or was cut off: then the next line that is noted ends it.
                self._send_line(line)
                position.offset = file.tell()
                if self.sent and self.sent % SAVED_EVERY == 0:
                    position.write()

    def _send_line(self, line: bytes) -> None:
        """Send an event; what is none is named by the check of the lineage, and left out here."""
        try:
            event = LineageEvent.model_validate_json(line)
            told = run_event(event, self._namespace)
        except ValueError:  # What pydantic raises, and what a value that no event of ours has may lead to.
            return
        try:
            self._transport.emit(told)
        except Exception as error:
            if not _refused(error):
                raise
            _LOG.warning("a lineage event was refused, and is left out: %s: %s", event.event_type, redacted(str(error)))
            return
        self.sent += 1


def _refused(error: Exception) -> bool:
    """Whether the place will never take this event, and may take others."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in LATER
