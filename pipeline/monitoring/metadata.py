"""Metadata files as their contracts: read within bounds, and refused in words that name file, field, value and rule."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pydantic_core
from pydantic import JsonValue, ValidationError

from contracts import Contract
from pipeline.errors import MetadataError
from pipeline.places import redacted

T = TypeVar("T", bound=Contract)
MAX_BYTES = 1_000_000
"""Bytes of a JSON file and of most lines; metadata has a few hundred, and a gigabyte must not fill the memory."""
LONGEST = 80
"""Letters that are shown of a value."""
TOLD = 5
"""Faults that a message names."""
NONE: Mapping[str, str] = {}


def shown(path: Path) -> str:
    """Return a path fit to be printed and stored: what is no text in it is spelt out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_bytes(path: Path, most: int = MAX_BYTES, *, follow: bool = True) -> bytes:
    """Return a file's content; `follow` says whether it may be a symbolic link.

    Raises:
        MetadataError: it is not there, no regular file, larger than `most`, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
        with os.fdopen(descriptor, "rb") as file:  # A folder is refused here.
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise MetadataError(f"{shown(path)} is no regular file")
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # A path that holds a null byte is a ValueError.
        reason = getattr(error, "strerror", None) or error
        raise MetadataError(f"{shown(path)} cannot be read: {reason}") from error
    if len(content) > most:
        raise MetadataError(f"{shown(path)} has more than {most} bytes, too many for metadata")
    return content


def parsed(content: bytes, where: str) -> JsonValue:
    """Return what a JSON text says; NaN and infinity pass, for the contract to refuse with their field.

    Raises:
        MetadataError: it is no JSON in UTF-8.
    """
    try:
        found: JsonValue = pydantic_core.from_json(content)
    except ValueError as error:
        raise MetadataError(f"{where} is no JSON in UTF-8: {error}") from error
    return found


def read_object(path: Path) -> dict[str, JsonValue]:
    """Return the JSON object that a file holds.

    Raises:
        MetadataError: it cannot be read, or holds something else.
    """
    found = parsed(read_bytes(path), shown(path))
    if not isinstance(found, dict):
        raise MetadataError(f"{shown(path)} holds {_short(found)}; it must be a JSON object")
    return found


def to_contract(values: Mapping[str, JsonValue], contract: type[T], where: str, sources: Mapping[str, str] = NONE) -> T:
    """Return plain values as their contract; `sources` says by field where its value was looked for.

    Raises:
        MetadataError: they are not as the contract says; names field, value and rule.
    """
    try:
        return contract.model_validate_json(pydantic_core.to_json(values, inf_nan_mode="constants"))
    except (ValidationError, ValueError) as error:
        raise MetadataError(f"{where}: {told(error, sources)}") from error


def read_contract(path: Path, contract: type[T]) -> T:
    """Return a JSON file as its contract.

    Raises:
        MetadataError: it cannot be read, or is not as the contract says; names file, field, value and rule.
    """
    return to_contract(read_object(path), contract, shown(path))


def told(error: ValueError, sources: Mapping[str, str] = NONE) -> str:
    """Return the faults of a validation in words: field, value and rule of each."""
    if not isinstance(error, ValidationError):
        return str(error)
    faults = error.errors(include_url=False)
    words = []
    for fault in faults[:TOLD]:
        field = ".".join(str(part) for part in fault["loc"])
        value = "" if fault["type"] == "missing" or not field else f" = {_short(fault['input'])}"
        source = f" (from {sources[field]})" if field in sources else ""
        words.append(f"{field}{value}: {fault['msg']}{source}" if field else fault["msg"])
    more = len(faults) - TOLD
    return "; ".join(words) + (f"; and {more} more" if more > 0 else "")


def _short(value: object) -> str:
    if isinstance(value, dict | list):
        return "{...}" if isinstance(value, dict) else "[...]"
    text = redacted(repr(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
