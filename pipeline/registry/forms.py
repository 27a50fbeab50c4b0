"""The forms in which content is kept: compressed or plain; the suffix of a stored file says which."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Form(NamedTuple):
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


FORMS = {
    ".zst": Form(_to_zstd, _from_zstd),
    ".raw": Form(lambda content: content, lambda stored, _size: stored),
}
