"""The connection to RabbitMQ, with time-outs, and what is declared there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError, EventError
from pipeline.places import redacted
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pika import BlockingConnection, URLParameters
    from pika.adapters.blocking_connection import BlockingChannel

EXCHANGE = "training"
QUEUES = {
    "pipeline.training.trigger": ("training.trigger", "training_trigger"),
    "pipeline.sales.imported": ("sales.imported", "sales_imported"),
}
"""The routing key that a queue is bound by, and the kind of its messages."""
DEAD = "pipeline.dead"
"""Queue of messages that cannot be read; their header `reason` says why."""


@dataclass
class Broker:
    """An open connection; `channel` confirms what is published on it."""

    connection: BlockingConnection
    channel: BlockingChannel
    prefix: str

    def reopen(self) -> None:
        """Open another channel, where the broker has closed the last one."""
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()


@contextmanager
def connected(settings: Settings, seconds: float) -> Iterator[Broker]:
    """Connect to RABBITMQ_URL, and declare exchange and queues where they are not there.

    A broker that falls silent is given up by heartbeats, after twice `seconds` and ten more at the latest.

    Args:
        settings: the address and the prefix.
        seconds: how long connecting and each answer may take.

    Raises:
        EventError: it cannot be reached, refuses us, or is lost within the block.
        ConfigurationError: the client is not installed, or the address cannot be used.
    """
    url = "" if settings.rabbitmq_url is None else settings.rabbitmq_url.get_secret_value()
    connection = _connection(url, seconds)
    from pika.exceptions import AMQPError

    try:
        broker = Broker(connection, connection.channel(), settings.rabbitmq_prefix)
        broker.channel.confirm_delivery()
        _declare(broker)
        yield broker
    except AMQPError as error:
        raise EventError(f"RabbitMQ at {redacted(url)} cannot be used: {said(error)}") from None
    finally:
        with suppress(AMQPError):  # It may be lost already.
            connection.close()


def _connection(url: str, seconds: float) -> BlockingConnection:
    try:
        from pika import BlockingConnection
    except ImportError as error:
        raise ConfigurationError(
            "RABBITMQ_URL is set and its client not installed: install the extra, demand-forecast-pipeline[rabbitmq]"
        ) from error
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # What goes wrong is raised; it would be told ten times over.
    parameters = _parameters(url, seconds)
    try:
        return BlockingConnection(parameters)
    except Exception as error:  # The client's errors of connecting have no base in common.
        raise EventError(f"RabbitMQ at {redacted(url)} cannot be reached: {said(error)}") from None


def said(error: BaseException) -> str:
    """Return what the client says of an error, and of those that it stands for; none holds a password."""
    texts = [f"{type(error).__name__}: {error}" if str(error) else type(error).__name__]
    texts += [str(getattr(one, "exception", one)) for one in error.args if isinstance(one, BaseException)]
    return redacted("; ".join(texts))


def _parameters(url: str, seconds: float) -> URLParameters:
    from pika import URLParameters

    try:
        parameters = URLParameters(url)
    except (ValueError, TypeError, AttributeError, KeyError):
        raise ConfigurationError(
            "RABBITMQ_URL is no address such as amqp://user:password@127.0.0.1:5672/; "
            "percent-encode what is special in the password"
        ) from None
    parameters.connection_attempts = 1
    parameters.retry_delay = 0
    parameters.socket_timeout = seconds
    parameters.stack_timeout = seconds
    parameters.blocked_connection_timeout = seconds
    parameters.heartbeat = max(1, round(seconds))
    return parameters


def _declare(broker: Broker) -> None:
    channel, prefix = broker.channel, broker.prefix
    channel.exchange_declare(prefix + EXCHANGE, "topic", durable=True)
    channel.queue_declare(prefix + DEAD, durable=True)
    for queue, (key, _) in QUEUES.items():
        channel.queue_declare(prefix + queue, durable=True)
        channel.queue_bind(prefix + queue, prefix + EXCHANGE, key)
