"""Where events go: one protocol, and which sink the settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pipeline.events.file import FileSink
from pipeline.home import Home
from pipeline.registry.outbox import OutboxRecord
from pipeline.settings import Settings


class Sink(Protocol):
    """Takes events, one after the other."""

    def send(self, event: OutboxRecord) -> None:
        """Hand an event over, and return once it is safe there.

        Raises:
            RefusedEventError: this event is not taken; others may be.
            EventError: nothing can be sent at present.
        """


@contextmanager
def opened_sink(settings: Settings, seconds: float) -> Iterator[Sink]:
    """Open RabbitMQ where RABBITMQ_URL is set, else the files of PIPELINE_HOME/events.

    Args:
        settings: say where.
        seconds: how long the broker may take to answer.

    Raises:
        EventError: the broker cannot be reached.
        ConfigurationError: its client is not installed, or the address cannot be used.
    """
    if settings.rabbitmq_url is None:
        yield FileSink(Home(settings.home).events)
        return
    from pipeline.events.rabbitmq import connected
    from pipeline.events.rabbitmq_sink import RabbitSink

    with connected(settings, seconds) as broker:
        yield RabbitSink(broker)


def place(settings: Settings) -> str:
    """Return where events go, fit to be shown."""
    if settings.rabbitmq_url is None:
        return str(Home(settings.home).events)
    from pipeline.places import redacted

    return redacted(settings.rabbitmq_url.get_secret_value())
