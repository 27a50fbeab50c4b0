"""The artefact store: content-addressed, checked whenever it is read, and never seen half written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from contracts import ArtefactRef
from pipeline.errors import IntegrityError, RegistryError, StorageError
from pipeline.places import redacted
from pipeline.registry.blobs import Blobs, open_blobs


class _Form(NamedTuple):
    """One way to keep content; the file's suffix says which."""

    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes, int], bytes]


def _to_zstd(content: bytes) -> bytes:
    import pyarrow as pa

    return bytes(pa.Codec("zstd").compress(content, asbytes=True)) if content else b""


def _from_zstd(stored: bytes, size: int) -> bytes:
    """Decompress into exactly `size` bytes at most, so that no object can fill the memory."""
    import pyarrow as pa

    if not size or not stored:
        return b""
    return bytes(pa.Codec("zstd").decompress(stored, decompressed_size=size, asbytes=True))


_FORMS = {
    ".zst": _Form(_to_zstd, _from_zstd),
    ".raw": _Form(lambda content: content, lambda stored, _size: stored),
}


class ArtefactStore:
    """Objects named by the SHA-256 of their content, under `root/ab/cdef...`, compressed or not.

    Args:
        root: a folder or any fsspec URL. On local disks objects are written to a temporary name,
            flushed and renamed, readable by their owner only.
        compress: store new objects with Zstandard. Reading goes by the suffix, so both kinds mix.
    """

    def __init__(self, root: str | Path, compress: bool = True) -> None:
        self._blobs: Blobs = open_blobs(root)
        self._suffix = ".zst" if compress else ".raw"

    def put(self, name: str, content: bytes) -> ArtefactRef:
        """Store `content` and return its reference; what is there already, and whole, is left alone.

        Raises:
            RegistryError: it could not be written (a full disk, say); nothing is visible then.
        """
        ref = ArtefactRef(name=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        if self.verify(ref) is None:
            return ref
        for suffix in _FORMS:  # A damaged copy in the other form would be found first when reading.
            if suffix != self._suffix:
                self._blobs.remove(_key(ref, suffix))
        self._write(ref, _FORMS[self._suffix].encode(content))
        return ref

    def get(self, ref: ArtefactRef) -> bytes:
        """Return the content of `ref`, its size and SHA-256 verified.

        Raises:
            IntegrityError: it is missing, torn, or not what its name says.
            RegistryError: the place that holds it cannot be read.
        """
        suffix = self._find(ref)
        stored = self._read(ref, suffix)
        try:
            content = _FORMS[suffix].decode(stored, ref.bytes)
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"artefact {_named(ref)} cannot be decompressed: expected {ref.bytes} bytes, "
                f"found {len(stored)} stored bytes that are torn or of another size: {error}"
            ) from error
        _check(ref, content)
        return content

    def verify(self, ref: ArtefactRef) -> str | None:
        """Return what is wrong with `ref`, or None when it can be read and is what its name says."""
        try:
            self.get(ref)
        except RegistryError as error:
            return str(error)
        return None

    def has(self, ref: ArtefactRef) -> bool:
        """Whether an object of this name is there; says nothing about its content."""
        return any(self._blobs.exists(_key(ref, suffix)) for suffix in _FORMS)

    def _find(self, ref: ArtefactRef) -> str:
        for suffix in _FORMS:
            if self._blobs.exists(_key(ref, suffix)):
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
    return f"{ref.sha256[:2]}/{ref.sha256[2:]}{suffix}"


def _named(ref: ArtefactRef) -> str:
    return f"{ref.name} ({ref.sha256})"


def _check(ref: ArtefactRef, content: bytes) -> None:
    if len(content) != ref.bytes:
        raise IntegrityError(f"artefact {_named(ref)} has the wrong size: expected {ref.bytes}, found {len(content)}")
    found = hashlib.sha256(content).hexdigest()
    if found != ref.sha256:
        raise IntegrityError(f"artefact {_named(ref)} is not what its name says: expected {ref.sha256}, found {found}")
