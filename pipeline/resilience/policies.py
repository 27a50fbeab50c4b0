"""How often, and how long apart, each kind of service is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import ConfigurationError
from pipeline.settings import Settings


class Kind(StrEnum):
    """What is asked: an HTTP server, a database, or anything else outside."""

    HTTP = "http"
    DATABASE = "database"
    EXTERNAL = "external"


@dataclass(frozen=True)
class Policy:
    """How a call that meets a transient fault is repeated.

    Before the nth repetition the wait is drawn evenly between `least_seconds` and a bound that doubles each time: twice
    `least_seconds`, four times, and so on up to `most_seconds`. No attempt begins, and no wait ends, later than
    `total_seconds` after the first attempt began.
    """

    attempts: int
    least_seconds: float
    most_seconds: float
    total_seconds: float


def policy(kind: Kind, settings: Settings) -> Policy:
    """Return the policy of a kind from the settings RETRY_KIND_ATTEMPTS, _MIN_SECONDS, _MAX_SECONDS, _TOTAL_SECONDS.

    Raises:
        ConfigurationError: the least wait is longer than the longest.
    """
    made = {Kind.HTTP: _http, Kind.DATABASE: _database, Kind.EXTERNAL: _external}[kind](settings)
    if made.least_seconds > made.most_seconds:
        name = f"RETRY_{kind.upper()}"
        raise ConfigurationError(
            f"{name}_MIN_SECONDS={made.least_seconds:g} is longer than {name}_MAX_SECONDS={made.most_seconds:g}"
        )
    return made


def _http(settings: Settings) -> Policy:
    return Policy(
        settings.retry_http_attempts,
        settings.retry_http_min_seconds,
        settings.retry_http_max_seconds,
        settings.retry_http_total_seconds,
    )


def _database(settings: Settings) -> Policy:
    return Policy(
        settings.retry_database_attempts,
        settings.retry_database_min_seconds,
        settings.retry_database_max_seconds,
        settings.retry_database_total_seconds,
    )


def _external(settings: Settings) -> Policy:
    return Policy(
        settings.retry_external_attempts,
        settings.retry_external_min_seconds,
        settings.retry_external_max_seconds,
        settings.retry_external_total_seconds,
    )
