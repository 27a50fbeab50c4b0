"""Events to RabbitMQ: persistent, and confirmed by the broker before they count as sent."""

from __future__ import annotations

from pika import BasicProperties, DeliveryMode
from pika.exceptions import ChannelClosedByBroker, NackError

from pipeline.errors import RefusedEventError
from pipeline.events.rabbitmq import EXCHANGE, Broker, said
from pipeline.registry.outbox import OutboxRecord

ROUTING_KEYS = {
    "training_completed": "training.completed",
    "training_failed": "training.failed",
    "alert_raised": "alert.raised",
    "alert_ended": "alert.ended",
}
APPLICATION = "demand-forecast-pipeline"
PRECONDITION_FAILED = 406
"""The broker's answer to a message that is larger than it takes, among others."""


class RabbitSink:
    """Publishes to the exchange `training`; an event without a queue that wants it is no fault."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def send(self, event: OutboxRecord) -> None:
        """Publish an event, and wait for the broker's confirmation.

        Raises:
            RefusedEventError: the broker refuses this event.
            AMQPError: the connection is lost; `connected` says it in our words.
        """
        properties = BasicProperties(
            message_id=event.event_id,
            type=event.type,
            timestamp=int(event.created_at.timestamp()),
            content_type="application/json",
            delivery_mode=DeliveryMode.Persistent,
            app_id=APPLICATION,
            headers={"tenant_id": event.tenant_id},
        )
        exchange, key = self._broker.prefix + EXCHANGE, ROUTING_KEYS[event.type]
        try:
            self._broker.channel.basic_publish(exchange, key, event.body.encode(), properties, mandatory=False)
        except NackError as error:
            raise RefusedEventError(_refused(event, "it was not taken by a queue")) from error
        except ChannelClosedByBroker as error:
            if error.reply_code != PRECONDITION_FAILED:
                raise
            self._broker.reopen()
            raise RefusedEventError(_refused(event, said(error))) from error


def _refused(event: OutboxRecord, why: str) -> str:
    return f"RabbitMQ refuses event {event.event_id} of tenant {event.tenant_id!r} ({len(event.body)} letters): {why}"
