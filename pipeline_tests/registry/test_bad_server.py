"""A store whose server answers slowly, wrongly or not at all: waiting is bounded, and nothing wrong is believed."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import s3fs
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem

from contracts import ArtefactRef
from pipeline.errors import IntegrityError, RegistryError
from pipeline.forecasting.ladder import Ladder
from pipeline.registry import ArtefactStore, blobs
from pipeline.registry.blobs import open_blobs
from pipeline_tests.registry.proxy import Proxy, proxy_before
from pipeline_tests.training.killing import TENANT, made_shop

CONTENT = b'{"intercept": 3.25}' * 400
TIMEOUT = 2.0


@pytest.fixture
def proxy(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy before the S3 server, which the store takes for the server."""
    with proxy_before(os.environ["AWS_ENDPOINT_URL"]) as made:
        s3fs.S3FileSystem.clear_instance_cache()  # It remembers where servers were.
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
        yield made
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def root(bucket: str) -> str:
    """A place in the bucket of its own."""
    return f"{bucket}/{uuid4().hex}"


def opened(root: str) -> tuple[ArtefactStore, ArtefactRef]:
    """A store that gives its server two seconds, and an object that a more patient one has put there."""
    ref = ArtefactStore(root, compress=False, timeout=60).put("model.json", CONTENT)
    return ArtefactStore(root, compress=False, timeout=TIMEOUT), ref


@pytest.mark.parametrize("fault", ["hang", pytest.param("cut", marks=pytest.mark.long)])
def test_a_server_that_does_not_answer_is_waited_for_no_longer(proxy: Proxy, root: str, fault: str) -> None:
    """Reading ends in time with an error that names object and address without secrets, and calls nothing lost."""
    store, ref = opened(root)
    proxy.misbehave(fault)
    begun = time.monotonic()
    with pytest.raises(RegistryError, match=rf"model\.json \({ref.sha256}\).*{root}/{ref.sha256[:2]}") as caught:
        store.get(ref)
    assert time.monotonic() - begun < 2 * TIMEOUT + 1
    assert not isinstance(caught.value, IntegrityError)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in str(store.verify(ref))


@pytest.mark.long
def test_whoever_needs_many_files_waits_once(proxy: Proxy, root: str) -> None:
    """A server that did not answer is left alone for a while, so a hundred files cost one wait; then it is asked."""
    store, ref = opened(root)
    proxy.misbehave("hang")
    with pytest.raises(RegistryError, match=f"no answer within {TIMEOUT:g} s"):
        store.get(ref)
    begun = time.monotonic()
    for _ in range(100):
        with pytest.raises(RegistryError, match="did not answer a moment ago"):
            store.get(ref)
    assert time.monotonic() - begun < 1
    proxy.misbehave(None)
    time.sleep(TIMEOUT - (time.monotonic() - begun) + 0.1)
    assert store.get(ref) == CONTENT


def test_a_busy_server_is_asked_again(proxy: Proxy, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answers that it cannot serve now costs what was asked then, and nothing that is asked afterwards."""
    monkeypatch.setattr(blobs, "SLOW", 0)  # Every failure took long, however the client spaced its tries.
    store = ArtefactStore(root, compress=False, timeout=60)
    ref = store.put("model.json", CONTENT)
    proxy.misbehave("503")
    with pytest.raises(RegistryError, match=r"model\.json"):
        store.get(ref)
    proxy.misbehave(None)
    assert store.get(ref) == CONTENT


class Faulty(MemoryFileSystem):
    """Takes its time, then fails as it is told."""

    protocol = "faulty"
    cachable = False
    error: Exception

    def info(self, path: str, **options: Any) -> Any:
        """Fail slowly."""
        time.sleep(0.1)
        raise self.error


@pytest.mark.parametrize(
    ("error", "silent"),
    [
        (PermissionError("not yours"), False),
        (OSError(errno.EBUSY, "slow down"), False),
        (ValueError("no such thing"), False),
        (TimeoutError(), True),
        (ConnectionResetError("gone"), True),
        (EndpointConnectionError(endpoint_url="http://x"), True),
        (ReadTimeoutError(endpoint_url="http://x"), True),
        (ConnectionClosedError(endpoint_url="http://x"), True),
    ],
    ids=repr,
)
def test_only_silence_is_silence(error: Exception, silent: bool) -> None:
    """A place is left alone after a time-out or a lost connection, never after a refusal, however slow it came."""
    register_implementation("faulty", Faulty, clobber=True)
    Faulty.error = error
    blobs = open_blobs("faulty://x", timeout=0.5)
    for told in (".*", "left alone" if silent else "^(?!.*left alone)"):
        with pytest.raises(OSError, match=told):
            blobs.exists("a")


@pytest.mark.long
def test_nothing_is_stored_where_the_server_is_silent(proxy: Proxy, root: str) -> None:
    """Writing, listing and marking end in time as well, with an error that says that nothing was stored."""
    store, _ = opened(root)
    proxy.misbehave("hang", "PUT")
    with pytest.raises(RegistryError, match=r"other\.json .*could not be written to .*no answer.*nothing was stored"):
        store.put("other.json", CONTENT[::-1])
    proxy.misbehave("drop")
    for act in (lambda: list(store.objects()), store.marks, lambda: store.mark("a" * 32)):
        with pytest.raises(RegistryError, match="the artefact store"):
            act()


@pytest.mark.long
def test_a_passing_fault_is_ridden_out(proxy: Proxy, root: str) -> None:
    """One request that fails, is cut short or answered late costs nothing but a repetition."""
    store, ref = opened(root)
    faults = ("slow", "HEAD"), ("drop", "PUT"), ("cut", "GET"), ("500", "GET"), ("503", "PUT")
    for fault, method in faults:
        proxy.misbehave(fault, method, left=1)
        assert store.get(ref) == CONTENT
        assert store.put("model.json", CONTENT) == ref
    assert store.get(store.put("empty", b"")) == b""


def test_other_bytes_are_never_believed(proxy: Proxy, root: str) -> None:
    """What the server gives instead is no content, whether plain or compressed: its hash is asked first."""
    store, ref = opened(root)
    packed = ArtefactStore(root, timeout=TIMEOUT)
    other = packed.put("other.json", CONTENT[::-1])
    proxy.misbehave("other", "GET")
    with pytest.raises(IntegrityError, match=f"is not what its name says: expected {ref.sha256}"):
        store.get(ref)
    with pytest.raises(IntegrityError, match=r"other\.json .*cannot be decompressed"):
        packed.get(other)


def test_a_spoilt_answer_spoils_nothing(proxy: Proxy, root: str) -> None:
    """Whole objects stay whole and where they are, whichever answer on the way of a put or a look was other bytes."""
    store = ArtefactStore(root, timeout=TIMEOUT)
    ref = store.put("model.json", CONTENT)
    proxy.misbehave("other", "GET", left=1)
    assert store.quarantine(ref) == ()
    for nth in (1, 2):
        _spoil_nth(proxy, nth)
        store.put("model.json", CONTENT)
        proxy.seen["GET"] = nth
        assert store.get(ref) == CONTENT


def _spoil_nth(proxy: Proxy, nth: int) -> None:
    proxy.seen.clear()
    plain = Proxy.fault_for

    def fault_for(method: str) -> str | None:
        plain(proxy, method)
        return "other" if method == "GET" and proxy.seen["GET"] == nth else None

    proxy.fault_for = fault_for  # type: ignore[method-assign]


def test_what_another_process_did_is_seen(bucket: str, root: str) -> None:
    """An object that was stored, or removed, by another after a listing is found, or missed, at once."""
    store, ref = opened(root)
    blobs = open_blobs(root)
    (known,) = store.objects()
    _elsewhere(root, "put_object", f"{ref.sha256[:2]}/{'0' * 62}.raw", Body=b"new")
    assert blobs.exists(f"{ref.sha256[:2]}/{'0' * 62}.raw")
    list(store.objects())
    _elsewhere(root, "delete_object", known.key)
    assert not store.has(ref)
    assert blobs.modified(known.key) is None


def _elsewhere(root: str, call: str, key: str, **options: object) -> None:
    import boto3

    name, _, folder = root.removeprefix("s3://").partition("/")
    getattr(boto3.client("s3"), call)(Bucket=name, Key=f"{folder}/{key}", **options)


@pytest.mark.long
def test_listing_asks_for_no_object_on_its_own(proxy: Proxy, root: str) -> None:
    """A hundred objects are listed, with their times, in as many requests as one: each page costs one."""
    store, _ = opened(root)
    proxy.seen.clear()
    assert len(list(store.objects())) == 1
    asked = sum(proxy.seen.values())
    for number in range(100):
        store._blobs.write(f"{number:02x}/{number:062x}.raw", b"x")
    proxy.seen.clear()
    assert len({one.modified for one in store.objects()}) > 1
    assert sum(proxy.seen.values()) == asked == 1


def test_forecasts_go_on_without_their_store(proxy: Proxy, root: str, tmp_path: Path) -> None:
    """With a silent store every product is forecast all the same, from a lower rung whose reason says why."""
    shop = made_shop(tmp_path / "shop")
    shop.train()
    opened = shop.installation
    for product, model in opened.registry.latest(TENANT).items():
        opened.registry.promote(TENANT, product, model.version, reason="", actor="tests", figures={})
    proxy.misbehave("hang")
    store, begun = ArtefactStore(root, timeout=TIMEOUT), time.monotonic()
    made = Ladder(opened.data(TENANT), opened.registry, store, opened.settings, 0).climb()
    assert time.monotonic() - begun < 3 * TIMEOUT
    assert set(made["product_id"]) == {"baguette", "rye"}
    assert set(made["rung"]) == {"seasonal_naive"}
    assert all("did not answer" in reason or "no answer" in reason for reason in made["reason"])
    shop.close()
