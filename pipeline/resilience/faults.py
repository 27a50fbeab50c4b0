"""Which faults pass by themselves, when a service wants to be asked again, and how a fault is told without secrets."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pipeline.places import redacted
from pipeline.resilience.database_faults import transient_in_database

BUSY = frozenset({429, 500, 502, 503, 504})
"""HTTP statuses with which a server says that it cannot answer now."""
UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
LONGEST = 300
"""Letters of a fault that are told."""


def transient(error: BaseException) -> bool:
    """Say whether a fault may be gone at the next attempt.

    Such are lost and refused connections, time-outs, truncated answers, HTTP 429, 500, 502, 503 and 504, and what a
    database says of itself in that way. A wrong password, a wrong certificate, a syntax error, any other status and
    bad data are not: they stay until a person does something.
    """
    if isinstance(error, OSError):
        return _in_network(error)
    if isinstance(error, http.client.IncompleteRead):
        return True
    libraries = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if "httpx" in libraries:
        return _in_http(error)
    return "sqlalchemy" in libraries and transient_in_database(error)


def retry_after(error: BaseException | None) -> float:
    """Return the seconds that a service asks to be left alone (its header `Retry-After`); 0 where it asks for none.

    A date is held against the answer's own `Date`, so that a clock that is wrong here or there changes nothing.
    """
    response = getattr(error, "response", None)
    wanted = "" if response is None else str(response.headers.get("Retry-After", "")).strip()
    if wanted.isascii() and wanted.isdigit():
        return float(wanted)
    until = moment_in(wanted)
    if response is None or until is None:
        return 0.0
    now = moment_in(str(response.headers.get("Date", ""))) or datetime.now(UTC)
    return max((until - now).total_seconds(), 0.0)


def moment_in(header: str) -> datetime | None:
    """Return the date of HTTP that a header tells; None where it is none, or no clock can show it."""
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def told(error: BaseException) -> str:
    """Return a fault in one line that may be logged, stored and shown: no login, no query, no statement."""
    response = getattr(error, "response", None)
    if response is not None:
        text = f"HTTP {response.status_code} from {shown(str(response.url))}"
    else:
        text = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"
    text = redacted(" ".join(text.split())).rstrip(": ")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def shown(url: str) -> str:
    """Return a URL fit to be shown: without its login, and without its whole query, which may be a key."""
    return redacted(url).partition("?")[0].partition("#")[0]


def _in_network(error: OSError) -> bool:
    if isinstance(error, socket.gaierror):
        return not _lasting(error)
    return isinstance(error, ConnectionError | TimeoutError) or error.errno in UNREACHABLE


def _lasting(cause: BaseException) -> bool:
    """A certificate that is not the server's, or a name that nobody knows."""
    if isinstance(cause, socket.gaierror):
        return cause.errno != socket.EAI_AGAIN
    return isinstance(cause, ssl.SSLCertVerificationError)


def _in_http(error: BaseException) -> bool:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in BUSY
    if any(_lasting(cause) or isinstance(cause, httpx.InvalidURL) for cause in _causes(error)):
        return False
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.RemoteProtocolError)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[Any] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__
