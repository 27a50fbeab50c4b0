"""The relay: sends what waits in the outbox, a tenant's events in their order."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from pipeline.errors import ConfigurationError, EventError, LockedError, RefusedEventError
from pipeline.events.refused import note_refusal, refused, subject_of
from pipeline.events.sinks import Sink, opened_sink
from pipeline.installation import Installation
from pipeline.registry.locks import Held, hold
from pipeline.registry.outbox import OutboxRecord
from pipeline.registry.repository import now

logger = logging.getLogger(__name__)

LOCK = "relay of events"
AT_ONCE = 50
"""Events that are marked as published together: so many at the most come again after a kill."""
ANOTHER = "another process is sending events at this moment"


@dataclass(frozen=True)
class Relayed:
    """What a relay did: events sent, events that still wait, and why; None where nothing went wrong."""

    sent: int
    waiting: int
    fault: str | None = None

    def __str__(self) -> str:
        """A sentence."""
        told = f"{self.sent} events sent, {self.waiting} waiting"
        return f"{told}: {self.fault}" if self.fault else told


def relay(installation: Installation, seconds: float) -> Relayed:
    """Send what waits, for about this long; one relay of a registry works at a time.

    An event is marked as published once it is safe where it was sent. Whoever is killed in between leaves it to be sent
    again, under the same id. An event that is refused holds up its tenant's later ones, and no other tenant's;
    an alert says so until it is sent or dropped.

    Raises:
        RegistryError: the registry cannot be read or written.
    """
    work = _Work(installation, time.monotonic() + seconds)
    fault = None
    try:
        if installation.registry.unpublished(1):
            with (
                hold(installation.settings, LOCK, 0, lambda: None) as held,
                opened_sink(installation.settings, seconds) as sink,
            ):
                work.send_all(sink, held)
    except LockedError:
        fault = ANOTHER
    except (EventError, ConfigurationError) as error:
        fault = str(error)
    return Relayed(work.sent, installation.registry.waiting_events(), fault or work.fault)


def relay_after_training(installation: Installation) -> None:
    """Send what waits once a training has ended, for at most about EVENTS_SECONDS.

    Nothing is raised: what was trained is registered, and what could not be sent waits for the next relay.
    """
    try:
        done = relay(installation, installation.settings.events_seconds)
    except Exception as error:  # A training is worth more than the news of it.
        logger.warning("events could not be sent: %s; they wait for the next relay", error)
        return
    if done.fault not in {None, ANOTHER}:
        logger.warning("%s; they wait for the next relay", done)


class _Work:
    """One relay's work, in portions."""

    def __init__(self, installation: Installation, end: float) -> None:
        self._registry, self._end = installation.registry, end
        self._stuck: set[str] = set()
        self._refused: set[str] = set()
        self.sent = 0
        self.fault: str | None = None

    def send_all(self, sink: Sink, held: Held) -> None:
        """Send portion after portion until nothing is left that can be sent, or the time is over."""
        self._refused = refused(self._registry)
        while time.monotonic() < self._end and (some := self._registry.unpublished(AT_ONCE, self._stuck)):
            held.check()
            self._send(sink, some)

    def _send(self, sink: Sink, events: list[OutboxRecord]) -> None:
        done: list[int] = []
        try:
            for event in events:
                if time.monotonic() >= self._end:
                    break
                if event.tenant_id in self._stuck:
                    continue
                try:
                    sink.send(event)
                except RefusedEventError as error:
                    self._stuck.add(event.tenant_id)
                    self.fault = str(error)
                    note_refusal(self._registry, event, self.fault)
                    continue
                done.append(event.id)
                if (subject := subject_of(event)).name in self._refused:
                    self._registry.note_well(subject, "it was sent", now())
        finally:
            if done:
                self._registry.mark_published(done)
                self.sent += len(done)
