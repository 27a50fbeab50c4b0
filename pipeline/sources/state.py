"""What earlier extractions took from each file, so that only what is new is read."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts import FileSource, Tenant
from contracts.base import UtcDatetime
from pipeline.sources.base import Part

_LOG = logging.getLogger(__name__)

RULES = 2
"""Raised when the meaning that is given to files changes: every file is then read again."""

UNSETTLED = ""
_SETTLED_SECONDS = 2.0


class FileState(BaseModel):
    """What is known about one file that was read.

    `modified` is None where it proves nothing: the store tells no time, or the file was so young that
    another change could carry the same stamp. `since` orders files by age of their content.
    `version` is that of an answer which is asked for anew each time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int | None
    modified: float | None
    since: float | None
    sha256: str
    taken_at: UtcDatetime
    first_date: dt.date | None = None
    last_date: dt.date | None = None
    future_from: dt.date | None = None
    closing_times: dict[dt.date, dt.time] = {}
    owner: str | None = None
    version: str | None = None

    def is_current(self, part: Part) -> bool:
        """Say whether the listing proves that the file has not changed since."""
        return self.modified is not None and (self.size, self.modified) == (part.size, part.modified)

    def is_awaited(self, today: dt.date) -> bool:
        """Say whether rows that lay in the future have come of age."""
        return self.future_from is not None and self.future_from <= today


class State(BaseModel):
    """All files that a tenant's daily table was made from, those that have vanished included.

    `source` is the place that they were read from. No rules (`UNSETTLED`) means that not every file could be
    read anew when the rules last changed: all are read again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: str
    source: str | None = None
    files: dict[str, FileState] = {}


def rules_of(tenant: Tenant, max_quantity: float) -> str:
    """Return a hash of all that gives meaning to a file's content."""
    source = tenant.source.model_dump(mode="json", exclude={"path", "url", "token"})
    if not isinstance(tenant.source, FileSource):
        source["asked"] = tenant.source.url.partition("?")[2]  # It may say whose sales; the path of a file is a place.
    text = json.dumps([RULES, source, tenant.id, tenant.timezone, max_quantity], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def parse_state(content: bytes | None, rules: str) -> State:
    """Return a stored state; an absent or unreadable one is as if nothing had been read, which is harmless."""
    if content is None:
        return State(rules=rules)
    try:
        return State.model_validate_json(content)
    except ValidationError as error:
        _LOG.warning("the extraction state cannot be read (%d faults); every file is read again", error.error_count())
        return State(rules=rules)


def settled(part: Part, read_at: float) -> float | None:
    """Return the time stamp of a file if it can be trusted to change with the next change of the file."""
    young = part.modified is None or part.modified > read_at - _SETTLED_SECONDS
    return None if young else part.modified


def ranks(files: dict[str, float | None]) -> dict[str, int]:
    """Return each file's place in time: the later rank replaces the earlier.

    Files of the same minute stand in order of name: copying a folder gives its files times in no order.
    """
    order = sorted(files, key=lambda name: (int((files[name] or 0.0) // 60), name))
    return {name: rank for rank, name in enumerate(order)}
