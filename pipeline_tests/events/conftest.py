"""An installation with events in its outbox, on SQLite and on PostgreSQL, and a broker for them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr

from pipeline.installation import Installation
from pipeline.settings import Settings
from pipeline_tests.events.broker import Corner, Way, broker_url, corner
from pipeline_tests.registry.conftest import empty_postgres, migrated, migrated_postgres, prepared
from pipeline_tests.training.conftest import fresh, fresh_template

__all__ = ["empty_postgres", "fresh", "fresh_template", "migrated", "migrated_postgres", "prepared"]


@pytest.fixture
def rabbit() -> Iterator[Corner]:
    """A corner of a real RabbitMQ, with someone who listens to events."""
    with corner(broker_url(), f"test-{uuid4().hex[:12]}.") as made:
        made.listen()
        yield made


@pytest.fixture
def way() -> Iterator[Way]:
    """A way to the broker that can be cut."""
    place = urlsplit(broker_url())
    made = Way((place.hostname or "", place.port or 5672))
    yield made
    made.end()


@pytest.fixture
def to_files(prepared: Settings) -> Iterator[Installation]:
    """An installation without a broker."""
    yield from _opened(prepared)


@pytest.fixture
def to_rabbit(prepared: Settings, rabbit: Corner) -> Iterator[Installation]:
    """An installation with a broker."""
    url = SecretStr(rabbit.url)
    yield from _opened(prepared.model_copy(update={"rabbitmq_url": url, "rabbitmq_prefix": rabbit.prefix}))


def _opened(settings: Settings) -> Iterator[Installation]:
    installation = Installation(settings)
    yield installation
    installation.registry.close()


def reached(installation: Installation, url: str) -> Installation:
    """The same installation, its broker reached by another address."""
    settings = installation.settings.model_copy(update={"rabbitmq_url": SecretStr(url)})
    made = Installation(settings)
    made.__dict__["registry"] = installation.registry
    return made
