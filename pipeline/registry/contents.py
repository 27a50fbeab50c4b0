"""What lies in a store, told by its name: objects, what is in quarantine, and the remains of killed writers."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from pipeline.registry.blobs import Blob

QUARANTINE = "quarantine"
"""Folder of what was not what its name says."""
ASIDE = "%Y%m%d_%H%M%S_%f"
"""Form of the moment in the name of what was moved there."""
_OBJECT = re.compile(r"([0-9a-f]{2})/([0-9a-f]{62})\.(?:zst|raw)")
_QUARANTINED = re.compile(rf"{QUARANTINE}/([0-9a-f]{{64}})\.([0-9]{{8}}_[0-9]{{6}}_[0-9]{{6}})\.(?:zst|raw)")
_REMAINS = re.compile(r"(?:[0-9a-f]{2}/\.[0-9a-f]{40}|registries/\.[0-9a-f]{32})\.[a-z0-9_]{8}\.tmp")
"""As `home.write_atomically` names what becomes an object or a mark; other programs have other names."""


class Kind(StrEnum):
    """What a file in the store is: an object, a broken one that was moved away, or what a killed writer left."""

    OBJECT = "object"
    QUARANTINED = "quarantined"
    REMAINS = "remains"


class StoredObject(NamedTuple):
    """One file as it lies in the store: its bytes on disk, and when it was stored last, or moved away, UTC.

    `sha256` is that of the content which an object has, or should have had; remains have none.
    """

    sha256: str
    key: str
    bytes: int
    modified: datetime
    kind: Kind = Kind.OBJECT


def known(blob: Blob) -> StoredObject | None:
    """Say what a file is; None where it is a mark, or nothing of ours."""
    if found := _OBJECT.fullmatch(blob.key):
        return StoredObject(found[1] + found[2], blob.key, blob.bytes, blob.modified)
    if found := _QUARANTINED.fullmatch(blob.key):
        with suppress(ValueError):  # On a disk it is as old as the object was: the name says when it was moved.
            moved = datetime.strptime(found[2], ASIDE).replace(tzinfo=UTC)
            return StoredObject(found[1], blob.key, blob.bytes, moved, Kind.QUARANTINED)
    if _REMAINS.fullmatch(blob.key):
        return StoredObject("", blob.key, blob.bytes, blob.modified, Kind.REMAINS)
    return None
