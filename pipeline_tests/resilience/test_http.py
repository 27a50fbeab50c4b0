"""Asking a real HTTP server that misbehaves: bounded, repeated, guarded, and without saying secrets to others."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadAnswerError, ServiceUnavailableError
from pipeline.resilience import Breaker, Guard, Limits, Policy, reported
from pipeline.resilience.http import HttpClient
from pipeline.resilience.memory import Memory
from pipeline.settings import Settings
from pipeline_tests.resilience.clock import Clock
from pipeline_tests.services.server import Answer, Request, Route, Server, server

RULE = Policy(3, 1, 10, 60)
ROWS = [{"date": "2026-11-01", "product": f"croissant {number}", "quantity": number} for number in range(30)]


@pytest.fixture
def clock() -> Clock:
    """A clock that nobody waits for."""
    return Clock()


@pytest.fixture
def shop() -> Iterator[Server]:
    """A till's server."""
    with server({"/sales": lambda _: ROWS, "/": lambda asked: asked.query}) as made:
        yield made


def client(
    clock: Clock | None = None, rule: Policy = RULE, failures: int = 100, settings: Settings | None = None, **own: Any
) -> HttpClient:
    """A client of a service that is left alone after so many failures."""
    guard = Guard(rule, Breaker("sales:bakery", Limits(failures, 60), Memory()))
    if clock is not None:
        guard = Guard(rule, guard.breaker, time=clock.time)
    return HttpClient(guard, settings or Settings(), **own)


def test_rows_are_fetched(shop: Server):
    """A query arrives, the JSON comes back, and one attempt is reported."""
    with client() as asking, reported() as report:
        assert asking.get_json(f"{shop.url}/sales", {"from": "2026-11-01"}) == ROWS
        assert asking.get_json(f"{shop.url}/?a=1", {"b": "x y&z"}) == {"a": "1", "b": "x y&z"}
    assert shop.requests[0].query == {"from": "2026-11-01"}
    assert report.metadata() == {"calls": 2, "attempts": 2, "seconds_waited": 0.0}


@pytest.mark.parametrize("fault", ["429", "500", "502", "503", "504", "cut", "drop", "noise"])
def test_passing_faults_are_ridden_out(shop: Server, clock: Clock, fault: str):
    """Two answers that are busy, cut short, missing or no HTTP cost two waits, no row, and are reported."""
    shop.misbehave(fault, left=2)
    with client(clock) as asking, reported() as report:
        assert asking.get_json(f"{shop.url}/sales?key=s3cret") == ROWS
    assert (report.attempts, len(clock.slept), len(shop.requests)) == (3, 2, 3)
    assert report.last_fault is not None
    assert "s3cret" not in report.last_fault


def test_slow_answers_are_bounded(shop: Server, clock: Clock):
    """A server that hangs costs its time-out each time; one that is slow, but not too slow, nothing."""
    quick = Settings(http_read_seconds=0.5)
    with client(clock, settings=quick) as asking:
        shop.misbehave("hang", left=1)
        assert asking.get_json(f"{shop.url}/sales") == ROWS
        assert len(clock.slept) == 1
        shop.misbehave("slow", left=1, seconds=0.05)
        assert asking.get_json(f"{shop.url}/sales") == ROWS
    assert len(clock.slept) == 1


def test_an_answer_that_trickles_is_ended(shop: Server):
    """Bytes that keep coming, each in time, do not keep a call beyond its overall time-out."""
    shop.misbehave("trickle", seconds=0.05)
    begun = time.monotonic()
    with (
        client(rule=Policy(3, 0.01, 0.02, 0.5)) as asking,
        pytest.raises(ServiceUnavailableError, match="not whole in time"),
    ):
        asking.get_json(f"{shop.url}/sales")
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 501])
def test_refusals_are_raised_at_once(shop: Server, clock: Clock, status: int):
    """What asking again would not change is one request and one error with the status and no secret."""
    shop.misbehave(str(status))
    with client(clock, auth=("ana", "s3cret")) as asking, pytest.raises(BadAnswerError) as caught:
        asking.get(f"{shop.url}/sales", {"key": "s3cret"})
    assert str(caught.value) == f"the service sales:bakery cannot be used: HTTP {status} from {shop.url}/sales"
    assert (len(shop.requests), clock.slept) == (1, [])


def test_what_stays_broken_is_said(shop: Server, clock: Clock):
    """After the last attempt the error says which service, how often, what and where, without the query."""
    shop.misbehave("503")
    with client(clock) as asking, pytest.raises(ServiceUnavailableError) as caught:
        asking.get(f"{shop.url}/sales?key=s3cret")
    said = f"the service sales:bakery was asked 3 times and failed: HTTP 503 from {shop.url}/sales"
    assert str(caught.value) == said


def later(seconds: float) -> str:
    """A date of HTTP."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("25", 25, 25), (40, 38, 41), ("0", 1, 2), ("-3", 1, 2), ("soon", 1, 2), (-100, 1, 2)],
)
def test_a_server_is_left_alone_as_long_as_it_asks(
    shop: Server, clock: Clock, asked: str | int, least: float, most: float
):
    """Seconds and dates of `Retry-After` are kept; what is past, short or no time leaves the usual wait."""
    shop.misbehave("429", left=1, retry_after=asked if isinstance(asked, str) else later(asked))
    with client(clock) as asking:
        assert asking.get_json(f"{shop.url}/sales") == ROWS
    (wait,) = clock.slept
    assert least <= wait <= most


@pytest.mark.parametrize("asked", ["61", 600, "9" * 400], ids=["seconds", "date", "absurd"])
def test_no_wait_goes_past_the_overall_time_out(shop: Server, clock: Clock, asked: str | int):
    """A server that asks for more time than there is is not asked again, and nobody waits."""
    shop.misbehave("503", retry_after=asked if isinstance(asked, str) else later(asked))
    with client(clock) as asking, pytest.raises(ServiceUnavailableError):
        asking.get(f"{shop.url}/sales")
    assert (clock.slept, len(shop.requests)) == ([], 1)


def test_a_wrong_clock_changes_no_wait(clock: Clock):
    """A date is held against the server's own clock."""
    wrong = datetime.now(UTC) - timedelta(days=400)
    busy = Answer(
        503,
        headers={
            "Date": format_datetime(wrong, usegmt=True),
            "Retry-After": format_datetime(wrong + timedelta(seconds=33), usegmt=True),
        },
    )
    answers = iter([busy, {"ok": 1}])
    with server({"/": lambda _: next(answers)}) as made, client(clock) as asking:
        assert asking.get_json(made.url) == {"ok": 1}
    assert clock.slept == [33]


def test_nobody_there_is_said(clock: Clock):
    """A refused connection is tried again, then named; no other host is asked."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"http://ana:s3cret@127.0.0.1:{taken.getsockname()[1]}/sales"
        with client(clock) as asking, pytest.raises(ServiceUnavailableError, match="asked 3 times") as caught:
            asking.get(place)
    assert "127.0.0.1" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "no address", "ftp://127.0.0.1/x", "http://", "http://[::1", "file:///etc/passwd"])
def test_what_is_no_address_is_said(url: str, clock: Clock):
    """An address that is none, or of another protocol, is an error at once."""
    with client(clock) as asking, pytest.raises(BadAnswerError, match="sales:bakery cannot be used"):
        asking.get(url)
    assert clock.slept == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<html>", "text/html"),
        (b"", "text/plain"),
        (b"[1, 2", "application/json"),
        (b"\xff\xfe[", "application/json"),
        (b"[NaN]", "application/json"),
        (b"[" * 100_000, "application/json"),
    ],
    ids=["page", "empty", "torn", "no-text", "no-number", "deep"],
)
def test_garbage_is_no_json(content: bytes, kind: str, clock: Clock):
    """What is no JSON is an error that names kind and size, and is neither asked for again nor held against anybody."""
    made = Answer(200, content, {"Content-Type": kind})
    with server({"/": lambda _: made}) as place, client(clock, failures=1) as asking:
        for _ in range(2):
            with pytest.raises(BadAnswerError, match=rf"no JSON \({kind}, {len(content):,} bytes\)"):
                asking.get_json(place.url)
        assert len(place.requests) == 2


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_has_a_largest_size(packed: bool, clock: Clock):
    """More bytes than allowed are not taken in, plain or packed; as many as allowed are."""
    most = 1_000_000
    sizes = iter([most, 50 * most])

    def answer(_: Request) -> Answer:
        content = b" " * next(sizes)
        return Answer(200, gzip.compress(content), {"Content-Encoding": "gzip"}) if packed else Answer(200, content)

    with server({"/": answer}) as made, client(clock, settings=Settings(http_max_bytes=most)) as asking:
        assert len(asking.get(made.url).body) == most
        with pytest.raises(BadAnswerError, match="more than HTTP_MAX_BYTES=1,000,000 bytes"):
            asking.get(made.url)


@contextmanager
def two(**first: Any) -> Iterator[tuple[Server, Server]]:
    """Two servers; the first one's routes may lead to the second."""
    with server({"/there": lambda asked: asked.headers}) as other, server({}) as made:
        for name, location in first.items():
            target = location.format(other=other.url, own=made.url)
            made.routes[f"/{name}"] = lambda _, to=target: Answer(302, headers={"Location": to, "Set-Cookie": "id=1"})
        made.routes["/there"] = lambda asked: asked.headers
        yield made, other


def test_another_host_hears_no_secret(clock: Clock):
    """A redirection on the same host keeps login and key; to another host, another port too, neither goes along."""
    own = {"headers": {"X-Api-Key": "s3cret"}, "auth": ("ana", "s3cret")}
    with two(near="/there", far="{other}/there", back="{own}/far") as (made, _), client(clock, **own) as asking:
        near, far = (asking.get_json(f"{made.url}/{way}") for way in ("near", "back"))
    assert near["x-api-key"] == "s3cret"
    assert near["authorization"].startswith("Basic ")
    assert "s3cret" not in str(far)
    assert not {"authorization", "x-api-key", "cookie"} & set(far)


def test_a_login_in_the_address_stays_there(clock: Clock):
    """User and password of the URL serve its host alone."""
    with two(near="/there", far="{other}/there") as (made, other), client(clock) as asking:
        place = made.url.replace("//", "//ana:s3cret@")
        assert "authorization" in asking.get_json(f"{place}/near")
        assert "authorization" not in asking.get_json(f"{place}/far")
        assert [one.login for one in made.requests] == ["ana:s3cret"] * 3
        assert [one.login for one in other.requests] == [""]


@pytest.mark.parametrize(
    ("to", "said"), [("/round", "leads on more than 5"), ("ftp://x/y", "ftp"), ("http://x:y/", "Invalid port")]
)
def test_redirections_end(to: str, said: str, clock: Clock):
    """A circle, another protocol and an address that is none are errors, not endless requests."""
    with two(round=to) as (made, _), client(clock) as asking, pytest.raises(BadAnswerError, match=said):
        asking.get(f"{made.url}/round")
    assert len(made.requests) <= 6


def test_an_open_breaker_spares_the_server(shop: Server, clock: Clock):
    """The failure that opens it ends the repetitions; further calls ask nobody, and say why and what to do."""
    shop.misbehave("503")
    with client(clock, failures=2) as asking, reported() as report:
        for _ in range(3):
            with pytest.raises(ServiceUnavailableError, match=r"after 2 failures in a row \(last: HTTP 503 from"):
                asking.get(f"{shop.url}/sales?key=s3cret")
    assert (len(shop.requests), len(clock.slept), report.attempts) == (2, 1, 2)


def test_a_tenth_of_faults_costs_nothing_but_time(shop: Server, clock: Clock):
    """With one call in ten failing by chance, two hundred are answered in full and no breaker opens."""
    shop.misbehave("500", share=0.1, seed=7)
    with client(clock, failures=5) as asking, reported() as report:
        assert all(asking.get_json(f"{shop.url}/sales") == ROWS for _ in range(200))
    assert report.calls == 200
    assert 210 < report.attempts == len(shop.requests) < 240


def test_a_client_is_shared_by_threads():
    """Calls of several threads are under way at the same time: none is answered before the last one has come."""
    answers, meeting = list[Any](), threading.Barrier(8)
    with server({"/": lambda _: meeting.wait(20) >= 0}) as made, client() as asking:
        threads = [threading.Thread(target=lambda: answers.append(asking.get_json(made.url))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [True] * 8


@contextmanager
def encrypted(folder: Path, route: Route) -> Iterator[str]:
    """Address of an encrypted server, whose certificate nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(folder))
    with server({"/": route}) as made:
        made.socket = context.wrap_socket(made.socket, server_side=True)
        yield made.url.replace("http", "https")


def test_a_certificate_that_is_wrong_is_said_at_once(tmp_path: Path, clock: Clock):
    """An encrypted server that cannot show who it is is not asked again."""
    with (
        encrypted(tmp_path, lambda _: 1) as place,
        client(clock) as asking,
        pytest.raises(BadAnswerError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        asking.get(place)
    assert clock.slept == []


def test_nothing_leads_out_of_encryption(shop: Server, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    """A redirection from https to http is an error; the place that it leads to is not asked."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    to = Answer(302, headers={"Location": f"{shop.url}/sales?key=s3cret"})
    with (
        encrypted(tmp_path, lambda _: to) as place,
        client(clock) as asking,
        pytest.raises(BadAnswerError, match=f"leads to {shop.url}/sales, which is not encrypted"),
    ):
        asking.get(place)
    assert shop.requests == []


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = made.add_extension(x509.SubjectAlternativeName([here]), critical=False)
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"
