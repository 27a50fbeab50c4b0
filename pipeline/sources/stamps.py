"""What a web server says of a state of its content: an ETag, or the second of the last change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pipeline.resilience.faults import moment_in

SETTLED = dt.timedelta(seconds=2)
"""A time of change that is told in whole seconds can be that of another change for about so long."""


def stamp_in(headers: Mapping[str, str]) -> str | None:
    """Return `etag ...` or `modified ...`; None where neither proves that nothing changes under it.

    What cannot be sent back in a request is no stamp. A Last-Modified is no proof while it is young by the server's own
    clock, its Date, or ours where it tells none.
    """
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if can_be_sent(etag):
        return f"etag {etag}"
    return f"modified {modified}" if can_be_sent(modified) and is_settled(modified, headers.get("Date")) else None


def can_be_sent(stamp: str) -> bool:
    """Whether a stamp may stand in a request's header; what a server says may hold any letters."""
    return bool(stamp) and stamp.isascii() and stamp.isprintable()


def is_settled(modified: str, now: str | None = None) -> bool:
    """Whether a Last-Modified lies so far before `now`, a Date, that no further change can carry it."""
    changed, moment = moment_in(modified), moment_in(now) if now else dt.datetime.now(dt.UTC)
    return changed is not None and moment is not None and moment - changed >= SETTLED
