"""The artefact store: content-addressed, checked whenever it is read, and never seen half written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from contracts import ArtefactRef
from pipeline.errors import IntegrityError, RegistryError, StorageError
from pipeline.places import redacted
from pipeline.registry.access import AccessLog, NoLog
from pipeline.registry.blobs import TIMEOUT, Blobs, open_blobs
from pipeline.registry.contents import ASIDE, QUARANTINE, Kind, StoredObject, known
from pipeline.registry.forms import FORMS
from pipeline.registry.layout import location

NO_LOG = NoLog()


def _nobody(kind: str) -> None:
    """Who is told of broken objects where nobody wants to know."""


MARKS = "registries"
"""Folder of the marks of those who store here."""
LONGEST_MARK = 100
_MARK = re.compile(rf"{MARKS}/([0-9a-f]{{32}})")


class ArtefactStore:
    """Objects named by the SHA-256 of their content, under `root/ab/cdef...`, compressed or not.

    Args:
        root: a folder or any fsspec URL. On local disks objects are written to a temporary name,
            flushed and renamed, readable by their owner only.
        compress: store new objects with Zstandard. Reading goes by the suffix, so both kinds mix.
        log: takes note of every access.
        timeout: seconds that a request to a remote place may take.
        found_broken: called with `artefact` whenever an object that is wanted is missing, torn or not what it says.
    """

    def __init__(
        self,
        root: str | Path,
        compress: bool = True,
        log: AccessLog = NO_LOG,
        timeout: float = TIMEOUT,
        found_broken: Callable[[str], None] = _nobody,
    ) -> None:
        self._blobs: Blobs = open_blobs(root, timeout)
        self._suffix = ".zst" if compress else ".raw"
        self._log, self._found_broken = log, found_broken

    def put(self, name: str, content: bytes) -> ArtefactRef:
        """Store `content` and return its reference; what is there already, and whole, is only made young again.

        Raises:
            RegistryError: it could not be written (a full disk, say); nothing is visible then.
        """
        ref = ArtefactRef(name=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        if self.verify(ref) is None and self._touched(ref, content):
            return ref
        self.quarantine(ref)
        self._write(ref, FORMS[self._suffix].encode(content))
        self._log.note("put", ref.sha256, name)
        return ref

    def get(self, ref: ArtefactRef) -> bytes:
        """Return the content of `ref`, its size and SHA-256 verified.

        Raises:
            IntegrityError: it is missing, torn, or not what its name says.
            RegistryError: the place that holds it cannot be read.
        """
        try:
            content = self._content(ref)
        except RegistryError as error:
            self._log.note("get", ref.sha256, ref.name, str(error))
            if isinstance(error, IntegrityError):
                self._found_broken("artefact")
            raise
        self._log.note("get", ref.sha256, ref.name)
        return content

    def verify(self, ref: ArtefactRef) -> str | None:
        """Return what is wrong with `ref`, or None when it can be read and is what its name says.

        For whoever stores it again in that case: nobody is told of it.
        """
        try:
            self._content(ref)
        except RegistryError as error:
            return str(error)
        return None

    def broken(self, ref: ArtefactRef) -> str | None:
        """Return what is wrong with what lies under `ref`, or None where it is whole.

        Raises:
            RegistryError: the place does not answer, so that nobody knows.
        """
        try:
            self._content(ref)
        except IntegrityError as error:
            self._found_broken("artefact")
            return str(error)
        return None

    def quarantine(self, ref: ArtefactRef) -> tuple[str, ...]:
        """Move what lies under a reference and is not what it says out of the way; return where it lies now.

        What is whole stays. The bytes are kept, since they may tell what happened.

        Raises:
            RegistryError: they cannot be moved.
        """
        moved = []
        for suffix in FORMS:
            key = _key(ref, suffix)
            # Read twice: an answer that was spoilt on its way says nothing about what is stored.
            fault = self._fault(ref, suffix) and self._fault(ref, suffix) if self._there(ref, suffix) else None
            if fault is None:
                continue
            aside = f"{QUARANTINE}/{ref.sha256}.{datetime.now(UTC).strftime(ASIDE)}{suffix}"
            try:
                self._blobs.move(key, aside)
            except OSError as error:
                raise RegistryError(f"artefact {_named(ref)} cannot be quarantined: {redacted(str(error))}") from error
            self._log.note("quarantine", ref.sha256, ref.name, fault)
            moved.append(self._blobs.place(aside))
        return tuple(moved)

    def has(self, ref: ArtefactRef) -> bool:
        """Whether an object of this name is there; says nothing about its content."""
        return any(self._there(ref, suffix) for suffix in FORMS)

    def objects(self) -> Iterator[StoredObject]:
        """Yield every stored object, whether anything refers to it or not.

        Raises:
            RegistryError: the place cannot be listed.
        """
        return (one for one in self.contents() if one.kind is Kind.OBJECT)

    def contents(self) -> Iterator[StoredObject]:
        """Yield every file but the marks: objects, what is in quarantine, and the remains of writers that were killed.

        Raises:
            RegistryError: the place cannot be listed.
        """
        try:
            for blob in self._blobs.listing():
                if (one := known(blob)) is not None:
                    yield one
        except OSError as error:
            raise RegistryError(f"the artefact store cannot be listed: {redacted(str(error))}") from error

    def mark(self, registry: str) -> None:
        """Leave the mark of a registry that stores here, once.

        Raises:
            RegistryError: it cannot be written.
        """
        key = f"{MARKS}/{registry}"
        try:
            if not self._blobs.exists(key):
                self._blobs.write(key, datetime.now(UTC).isoformat().encode())
        except (OSError, StorageError) as error:
            raise RegistryError(f"the artefact store cannot be marked: {redacted(str(error))}") from error

    def marks(self) -> dict[str, datetime]:
        """Return the registries that store here, and since when, as their marks say.

        Raises:
            RegistryError: the place cannot be listed or read, or a mark holds no moment.
        """
        try:
            found = [mark for blob in self._blobs.listing(MARKS) if (mark := _MARK.fullmatch(blob.key))]
            return {mark[1]: datetime.fromisoformat(self._blobs.read(mark[0], LONGEST_MARK).decode()) for mark in found}
        except (OSError, ValueError) as error:
            raise RegistryError(f"the artefact store's marks cannot be read: {redacted(str(error))}") from error

    def discard(self, stored: StoredObject, before: datetime) -> bool:
        """Remove a file unless it was stored again since; return whether it is gone.

        Raises:
            RegistryError: it cannot be removed.
        """
        try:
            modified = self._blobs.modified(stored.key)
            if modified is None or modified >= before:
                return False
            self._blobs.remove(stored.key)
            self._log.note("discard", stored.sha256, stored.key)
        except OSError as error:
            raise RegistryError(f"artefact {stored.key} cannot be removed: {redacted(str(error))}") from error
        return True

    def _touched(self, ref: ArtefactRef, content: bytes) -> bool:
        """Make an object young again; False where it has just been swept."""
        try:
            suffix = self._find(ref)
            self._blobs.touch(_key(ref, suffix), lambda: FORMS[suffix].encode(content))
        except (FileNotFoundError, IntegrityError):
            return False
        except OSError as error:
            raise RegistryError(f"artefact {_named(ref)} cannot be kept: {redacted(str(error))}") from error
        return True

    def _content(self, ref: ArtefactRef) -> bytes:
        return self._decoded(ref, self._find(ref))

    def _decoded(self, ref: ArtefactRef, suffix: str) -> bytes:
        stored = self._read(ref, suffix)
        try:
            content = FORMS[suffix].decode(stored, ref.bytes)
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"artefact {_named(ref)} cannot be decompressed: expected {ref.bytes} bytes, "
                f"found {len(stored)} stored bytes that are torn or of another size: {error}"
            ) from error
        _check(ref, content)
        return content

    def _fault(self, ref: ArtefactRef, suffix: str) -> str | None:
        """What is wrong with one copy; a place that does not answer is no fault of the copy."""
        try:
            self._decoded(ref, suffix)
        except IntegrityError as error:
            return str(error)
        return None

    def _there(self, ref: ArtefactRef, suffix: str) -> bool:
        key = _key(ref, suffix)
        try:
            return self._blobs.exists(key)
        except OSError as error:
            raise RegistryError(
                f"artefact {_named(ref)} cannot be looked for at {self._blobs.place(key)}: {redacted(str(error))}"
            ) from error

    def _find(self, ref: ArtefactRef) -> str:
        for suffix in FORMS:
            if self._there(ref, suffix):
                return suffix
        raise IntegrityError(
            f"artefact {_named(ref)} is missing: expected {self._blobs.place(_key(ref, self._suffix))}, found nothing"
        )

    def _read(self, ref: ArtefactRef, suffix: str) -> bytes:
        limit = ref.bytes + ref.bytes // 128 + 1024  # More than Zstandard adds to what it cannot compress.
        try:
            return self._blobs.read(_key(ref, suffix), limit)
        except OSError as error:
            place = self._blobs.place(_key(ref, suffix))
            raise RegistryError(f"artefact {_named(ref)} cannot be read at {place}: {redacted(str(error))}") from error

    def _write(self, ref: ArtefactRef, stored: bytes) -> None:
        key = _key(ref, self._suffix)
        try:
            self._blobs.write(key, stored)
        except (OSError, StorageError) as error:
            raise RegistryError(
                f"artefact {_named(ref)} could not be written to {self._blobs.place(key)}: {redacted(str(error))}; "
                "nothing was stored"
            ) from error


def _key(ref: ArtefactRef, suffix: str) -> str:
    return location(ref.sha256) + suffix


def _named(ref: ArtefactRef) -> str:
    return f"{ref.name} ({ref.sha256})"


def _check(ref: ArtefactRef, content: bytes) -> None:
    if len(content) != ref.bytes:
        raise IntegrityError(f"artefact {_named(ref)} has the wrong size: expected {ref.bytes}, found {len(content)}")
    found = hashlib.sha256(content).hexdigest()
    if found != ref.sha256:
        raise IntegrityError(f"artefact {_named(ref)} is not what its name says: expected {ref.sha256}, found {found}")
