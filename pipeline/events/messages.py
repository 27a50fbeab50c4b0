"""Messages of other systems: read, checked, and given the name under which repeats are dropped."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ValidationError

from contracts import Priority, SalesImported, TrainingTrigger
from pipeline.errors import MessageError
from pipeline.queue import NUMBERS
from pipeline.registry.inbox import Incoming

KINDS: dict[str, type[TrainingTrigger | SalesImported]] = {
    "training_trigger": TrainingTrigger,
    "sales_imported": SalesImported,
}
LARGEST = 1_000_000
"""Bytes of a message."""
LONGEST_ID = 100
FAULTS = 3
"""Faults of a message that are named."""


class _Kind(BaseModel):
    """All that is looked at first of a message whose kind is not known by its queue."""

    event_type: str


def read_message(body: bytes, event_type: str | None = None, message_id: str | bytes | None = None) -> Incoming:
    """Return a message, checked.

    Its name is the sender's (`message_id`, else its `event_id`), else the hash of what it says; with the tenant and
    the kind before it, since names of different senders may be alike.

    Args:
        body: JSON.
        event_type: what it must be; where None it says so itself.
        message_id: the name that the broker knows it by; bytes where it is no text.

    Raises:
        MessageError: it is too large, no JSON, or not as its contract says; says where.
    """
    if len(body) > LARGEST:
        raise MessageError(f"it has {len(body)} bytes, {LARGEST} are allowed")
    found = understood(event_type or _event_type(body), body)
    if isinstance(message_id, bytes):
        message_id = message_id.decode("utf-8", "backslashreplace")
    name = message_id or found.event_id or f"sha256:{hashlib.sha256(found.model_dump_json().encode()).hexdigest()}"
    if len(name) > LONGEST_ID or not name.isprintable():
        name = f"sha256:{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}"
    text = found.model_dump_json()
    priority = found.priority if isinstance(found, TrainingTrigger) else Priority.NORMAL
    rank = -NUMBERS[priority]
    return Incoming(f"{found.tenant_id}/{found.event_type}/{name}", found.event_type, found.tenant_id, text, rank)


def read_messages(content: bytes) -> list[Incoming]:
    """Return the messages of a file: one JSON object, or one a line; each says what it is.

    Raises:
        MessageError: one cannot be read; says in which line. None is returned then.
    """
    lines = content.splitlines()
    if not lines or not _is_json(lines[0]):
        return [read_message(content)]
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found += [read_message(line)] if line.strip() else []
        except MessageError as error:
            raise MessageError(f"line {number}: {error}") from error
    return found


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def understood(event_type: str, body: bytes) -> TrainingTrigger | SalesImported:
    """Return what a message of a kind says.

    Raises:
        MessageError: there is no such kind, or it is not as the kind's contract says; says where.
    """
    if event_type not in KINDS:
        raise MessageError(f"event_type is {event_type[:60]!r}; it must be {' or '.join(KINDS)}")
    try:
        return KINDS[event_type].model_validate_json(body)
    except ValidationError as error:
        raise MessageError(_faults(error)) from error


def _event_type(body: bytes) -> str:
    try:
        return _Kind.model_validate_json(body).event_type
    except ValidationError as error:
        raise MessageError(_faults(error)) from error


def _faults(error: ValidationError) -> str:
    faults = error.errors(include_input=False, include_url=False)
    told = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ") for fault in faults[:FAULTS]]
    return "; ".join(told) + (f"; and {len(faults) - FAULTS} more" if len(faults) > FAULTS else "")
