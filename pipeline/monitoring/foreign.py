"""The kinds of artefacts that adapters read: JSON documents, bundles, Parquet files, each within bounds."""

from __future__ import annotations

import os
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from pipeline.errors import MetadataError
from pipeline.monitoring.adapters import Place
from pipeline.monitoring.metadata import parsed, read_bytes, read_object, shown
from pipeline.tables import KEY

MAX_FOOTER = 16_000_000
"""Bytes of a Parquet file's footer, which names its columns."""


@dataclass(frozen=True)
class Artefact(ABC):
    """What can be asked what stands at a place. Nothing is read before it is asked."""

    path: Path

    @abstractmethod
    def at(self, place: Place) -> JsonValue:
        """Return what stands at a place of the artefact's own kind; None where nothing does.

        Raises:
            MetadataError: it cannot be read.
        """


@dataclass(frozen=True)
class Document(Artefact):
    """A file that holds a JSON object."""

    @cached_property
    def values(self) -> dict[str, JsonValue]:
        """The object."""
        return read_object(self.path)

    def at(self, place: Place) -> JsonValue:
        """Return what stands under a key."""
        return None if place.key is None else _within(self.values, place.key)


@dataclass(frozen=True)
class Bundle(Artefact):
    """A folder of small files."""

    _read: dict[str, bytes | None] = field(default_factory=dict)

    def at(self, place: Place) -> JsonValue:
        """Return what a file of the folder says, whole or under a key; None where it is absent or blank."""
        if place.file is None:
            return None
        if place.file not in self._read:
            path = self.path / place.file
            # What a link leads to lies elsewhere and is no part of the bundle: it might be anything of this machine.
            self._read[place.file] = read_bytes(path, follow=False) if os.path.lexists(path) else None
        content, where = self._read[place.file], shown(self.path / place.file)
        if content is None:
            return None
        if place.key is not None:
            return _within(parsed(content, where), place.key)
        try:
            return content.decode("utf-8").strip() or None
        except UnicodeDecodeError as error:
            raise MetadataError(f"{where} is no text in UTF-8: {error}") from error


@dataclass(frozen=True)
class ParquetFile(Artefact):
    """A Parquet file, of which the schema alone is read."""

    @cached_property
    def schema(self) -> Any:
        """Its schema."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        _refuse_footer(self.path)
        try:
            return pq.read_schema(self.path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise MetadataError(f"{shown(self.path)} is no Parquet file that can be read: {error}") from error

    @cached_property
    def texts(self) -> dict[bytes, bytes]:
        """What its schema says beside the columns."""
        return dict(self.schema.metadata or {})

    @property
    def own(self) -> dict[str, JsonValue] | None:
        """What our own tables say of themselves."""
        if KEY not in self.texts:
            return None
        values = parsed(self.texts[KEY], f"{shown(self.path)}: {KEY.decode()} in its schema")
        return values if isinstance(values, dict) else {}

    def at(self, place: Place) -> JsonValue:
        """Return what stands under a key of the schema, or the number of columns."""
        if place.columns_without is not None:
            return len([name for name in self.schema.names if name not in place.columns_without])
        text = None if place.schema_key is None else self.texts.get(place.schema_key.encode())
        try:
            return None if text is None else text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MetadataError(f"{shown(self.path)}: {place} is no text in UTF-8: {error}") from error


def _within(values: JsonValue, key: str) -> JsonValue:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _refuse_footer(path: Path) -> None:
    """A footer says in its last 8 bytes how long it is; one without end is not read."""
    try:
        if not path.is_file():
            raise MetadataError(f"{shown(path)} is {'no regular file' if path.exists() else 'not there'}")
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - 8, 0))
            end = file.read(8)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MetadataError(f"{shown(path)} cannot be read: {reason}") from error
    if len(end) < 8 or end[4:] != b"PAR1":
        raise MetadataError(f"{shown(path)} is no whole Parquet file: it has {size} bytes and does not end in PAR1")
    if (length := struct.unpack("<I", end[:4])[0]) > MAX_FOOTER:
        raise MetadataError(f"{shown(path)}: its footer has {length} bytes, more than {MAX_FOOTER}")
