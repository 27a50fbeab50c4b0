"""A real RabbitMQ, a corner of it for each test, and a way to it that can be cut."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest

from pipeline.events.rabbitmq import DEAD, EXCHANGE, QUEUES

BROKER = "PIPELINE_TEST_RABBITMQ_URL"
USUAL = "amqp://guest:guest@127.0.0.1:5672/%2F"


def broker_url() -> str:
    """The broker of the tests; where none answers, a skip, or a failure where CI is set."""
    url = os.environ.get(BROKER, USUAL)
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname or "", place.port or 5672), 2).close()
    except OSError as error:
        lacking = f"no RabbitMQ answers at {place.hostname}:{place.port} ({error}); name another by {BROKER}"
        (pytest.fail if "CI" in os.environ else pytest.skip)(lacking)
    return url


@dataclass
class Corner:
    """One test's exchange and queues, with a queue `heard` that gets every event."""

    url: str
    prefix: str
    channel: Any

    @property
    def heard(self) -> str:
        """The queue that gets every event."""
        return f"{self.prefix}heard"

    def listen(self) -> None:
        """Make exchange and queue, as a consumer of events does."""
        self.channel.exchange_declare(self.prefix + EXCHANGE, "topic", durable=True)
        self.channel.queue_declare(self.heard, durable=True)
        for key in ("training.completed", "training.failed"):
            self.channel.queue_bind(self.heard, self.prefix + EXCHANGE, key)

    def take(self, queue: str) -> list[tuple[Any, Any, bytes]]:
        """Take all messages of a queue: method, properties, body."""
        taken = []
        while (got := self.channel.basic_get(queue, auto_ack=True))[0] is not None:
            taken.append(got)
        return taken

    def tell(self, key: str, body: bytes, **properties: Any) -> None:
        """Publish as another system does, confirmed."""
        self.channel.basic_publish(self.prefix + EXCHANGE, key, body, pika.BasicProperties(**properties), True)

    def waiting(self, queue: str) -> int:
        """How many messages lie in a queue."""
        count: int = self.channel.queue_declare(self.prefix + queue, passive=True).method.message_count
        return count


@contextlib.contextmanager
def corner(url: str, prefix: str) -> Iterator[Corner]:
    """A corner for the block, with everything in it deleted afterwards."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 0  # A test that waits for a daemon answers none for minutes.
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()
    made = Corner(url, prefix, channel)
    try:
        yield made
    finally:
        clean = pika.BlockingConnection(pika.URLParameters(url))
        last = clean.channel()
        for queue in (made.heard, *(prefix + name for name in (*QUEUES, DEAD))):
            last.queue_delete(queue)
        last.exchange_delete(prefix + EXCHANGE)
        clean.close()
        with contextlib.suppress(pika.exceptions.AMQPError):
            connection.close()


class Way:
    """A TCP proxy before the broker: open, closed (it cuts connections), or silent (it swallows bytes)."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.state = "open"
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def set(self, state: str) -> None:
        """Be `open`, `closed` or `silent` from now on."""
        self.state = state
        if state == "closed":
            for pair in self._pairs:
                for side in pair:
                    with contextlib.suppress(OSError):
                        side.shutdown(socket.SHUT_RDWR)

    def url(self, login: str = "guest:guest") -> str:
        """An address that leads through here."""
        return f"amqp://{login}@127.0.0.1:{self.port}/%2F"

    def end(self) -> None:
        """Close everything."""
        self.set("closed")
        self._ended.set()
        self._thread.join()
        self._listening.close()
        for pair in self._pairs:
            for side in pair:
                side.close()

    def _serve(self) -> None:
        other: dict[socket.socket, socket.socket] = {}
        while not self._ended.is_set():
            ready, _, _ = select.select([self._listening, *other], [], [], 0.02)
            for one in ready:
                if one is self._listening:
                    client, _ = one.accept()
                    if self.state == "closed":
                        client.close()
                        continue
                    server = socket.create_connection(self._target)
                    self._pairs.append((client, server))
                    other |= {client: server, server: client}
                    continue
                with contextlib.suppress(OSError):
                    content = one.recv(65536)
                    if content:
                        if self.state == "open":
                            other[one].sendall(content)
                        continue
                if (peer := other.pop(one, None)) is None:
                    continue  # its other side ended in this very round
                other.pop(peer, None)
                for side in (one, peer):
                    with contextlib.suppress(OSError):
                        side.shutdown(socket.SHUT_RDWR)
