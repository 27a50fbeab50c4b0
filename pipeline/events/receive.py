"""Takes messages from RabbitMQ into the inbox: acknowledged once they are committed, unreadable ones put aside."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError, EventError, MessageError
from pipeline.events.messages import read_message
from pipeline.events.rabbitmq import DEAD, QUEUES, Broker, connected
from pipeline.installation import Installation

if TYPE_CHECKING:
    from pika import BasicProperties

logger = logging.getLogger(__name__)


@dataclass
class Received:
    """What was taken in: new messages, repeats of known ones, those put aside, and why it stopped short."""

    new: int = 0
    repeats: int = 0
    unreadable: list[str] = field(default_factory=list)
    fault: str | None = None

    def __str__(self) -> str:
        """A sentence."""
        told = f"{self.new} messages received, {self.repeats} repeats dropped, {len(self.unreadable)} put aside"
        return f"{told}: {self.fault}" if self.fault else told


def receive(installation: Installation, seconds: float) -> Received:
    """Take in what waits at the broker, for about this long; nothing, where there is no broker.

    A message is acknowledged once it is committed, so that it comes again where that failed. One that cannot be read
    goes to the queue `pipeline.dead` with its reason, and blocks nothing.

    Raises:
        RegistryError: the registry cannot be written; what was not committed comes again.
    """
    done = Received()
    if installation.settings.rabbitmq_url is None:
        return done
    end = time.monotonic() + seconds
    try:
        with connected(installation.settings, seconds) as broker:
            for queue, (_, event_type) in QUEUES.items():
                while time.monotonic() < end and _one(installation, broker, queue, event_type, done):
                    pass
    except (EventError, ConfigurationError) as error:
        done.fault = str(error)
    return done


def _one(installation: Installation, broker: Broker, queue: str, event_type: str, done: Received) -> bool:
    """Take in one message; False where there is none."""
    method, properties, body = broker.channel.basic_get(broker.prefix + queue)
    if method is None:
        return False
    try:
        message = read_message(body, event_type, properties.message_id)
    except MessageError as error:
        _put_aside(broker, broker.prefix + queue, properties, body, str(error))
        done.unreadable.append(str(error))
    else:
        if installation.registry.take_in(message):
            done.new += 1
        else:
            done.repeats += 1
    broker.channel.basic_ack(method.delivery_tag)
    return True


def _put_aside(broker: Broker, queue: str, properties: BasicProperties, body: bytes, reason: str) -> None:
    """Publish a message to the queue of the unreadable; it is confirmed before the original is acknowledged."""
    from pika import BasicProperties, DeliveryMode

    logger.warning("a message from %s cannot be read and is put aside: %s", queue, reason)
    kept = BasicProperties(
        message_id=properties.message_id,
        content_type=properties.content_type,
        delivery_mode=DeliveryMode.Persistent,
        headers={"reason": reason[:1000], "queue": queue},
    )
    broker.channel.basic_publish("", broker.prefix + DEAD, body, kept, mandatory=True)
