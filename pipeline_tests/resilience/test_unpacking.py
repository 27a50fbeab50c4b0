"""Packed answers: unpacked in small pieces, and refused where they could not be."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from pipeline.errors import BadAnswerError
from pipeline.settings import Settings
from pipeline_tests.resilience.clock import Clock
from pipeline_tests.resilience.test_http import client
from pipeline_tests.services.server import Answer, server

PACKED = gzip.compress(b"[1]")


@pytest.mark.parametrize("coding", ["gzip, gzip", "deflate", "br", "gzip, identity", "x" * 5000])
def test_no_other_coding_than_gzip_is_unpacked(coding: str):
    """An answer packed twice, which a few bytes can make endless, or in an unknown way is refused unread, in words."""
    made = Answer(200, gzip.compress(PACKED), {"Content-Encoding": coding})
    said = f"answered packed as '{coding[:60]}'; it was asked for 'gzip' or nothing"
    with server({"/": lambda _: made}) as place, client(Clock()) as asking, pytest.raises(BadAnswerError, match=said):
        asking.get(place.url)
    assert [one.headers["accept-encoding"] for one in place.requests] == ["gzip"]


@pytest.mark.parametrize("content", [PACKED, gzip.compress(b"[") + gzip.compress(b"1]")], ids=["one", "two"])
def test_gzip_is_unpacked_whole(content: bytes):
    """Several gzips one after the other are one answer, and the name of the coding may be in capitals."""
    made = Answer(200, content, {"Content-Encoding": "GZIP"})
    with server({"/": lambda _: made}) as place, client(Clock()) as asking:
        assert asking.get_json(place.url) == [1]


def test_little_is_held_of_what_is_too_large():
    """A packed answer of 200 MB is given up at its largest size, with little more in memory than that."""
    made = Answer(200, gzip.compress(bytes(200_000_000), 1), {"Content-Encoding": "gzip"})
    with server({"/": lambda _: made}) as place, client(Clock(), settings=Settings(http_max_bytes=1_000_000)) as asking:
        tracemalloc.start()
        try:
            with pytest.raises(BadAnswerError, match="more than HTTP_MAX_BYTES"):
                asking.get(place.url)
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()


def test_a_gzip_that_ends_early_is_asked_for_again():
    """It passes by itself, as an answer that is cut does."""
    answers = iter([PACKED[:-9], PACKED])
    made = {"/": lambda _: Answer(200, next(answers), {"Content-Encoding": "gzip"})}
    with server(made) as place, client(clock := Clock()) as asking:
        assert asking.get_json(place.url) == [1]
    assert len(clock.slept) == 1


def test_a_broken_gzip_is_refused():
    """What is no gzip, whatever its header says, is an error at once."""
    made = Answer(200, b"xxxx", {"Content-Encoding": "gzip"})
    with (
        server({"/": lambda _: made}) as place,
        client(clock := Clock()) as asking,
        pytest.raises(BadAnswerError, match="no gzip"),
    ):
        asking.get(place.url)
    assert clock.slept == []


@pytest.mark.parametrize("status", [200, 304])
def test_nothing_may_be_called_gzip(status: int):
    """An answer without a body is empty, also where a server calls it packed."""
    made = Answer(status, headers={"Content-Encoding": "gzip"})
    with server({"/": lambda _: made}) as place, client(Clock()) as asking:
        assert asking.get(place.url).body == b""
