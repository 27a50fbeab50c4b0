"""A server's answer as it comes to the bytes that were meant, in small pieces: a packed one may be a thousandfold."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pipeline.errors import BadAnswerError
from pipeline.resilience.faults import shown

if TYPE_CHECKING:
    import httpx

ACCEPTED = "gzip"
"""The one coding that is asked for: what is packed twice, or in another way, cannot be unpacked in small pieces."""
PIECE = 1 << 20
"""Bytes that are unpacked at a time."""
_LONGEST = 60
_OF_GZIP = 16 + zlib.MAX_WBITS


def unpacked(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body of an answer whose bytes have not been read yet, piece by piece.

    Raises:
        BadAnswerError: it is packed in another way than was asked for, or no gzip that can be read.
        httpx.RemoteProtocolError: its gzip ends early, as an answer does whose connection was lost.
    """
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding in {"", "identity"}:
        return response.iter_raw()
    if coding == ACCEPTED:
        return _of_gzip(response)
    raise BadAnswerError(
        f"{shown(str(response.url))} answered packed as {coding[:_LONGEST]!r}; it was asked for {ACCEPTED!r} or nothing"
    )


def _of_gzip(response: httpx.Response) -> Iterator[bytes]:
    import httpx

    try:
        yield from _pieces(response.iter_raw())
    except zlib.error as error:
        raise BadAnswerError(f"{shown(str(response.url))} answered what is no gzip: {error}") from error
    except EOFError as error:
        raise httpx.RemoteProtocolError(str(error), request=response.request) from error


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack one gzip, or several one after the other, which are one to whoever reads; nothing at all is nothing."""
    member = None
    for part in parts:
        left = part
        while left:
            member = member or zlib.decompressobj(_OF_GZIP)
            yield member.decompress(left, PIECE)
            left = member.unconsumed_tail or member.unused_data
            member = None if member.eof else member
    if member is not None:
        raise EOFError("the answer's gzip ends early")
