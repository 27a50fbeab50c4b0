"""Sales places that fail now and then, or for good: asked again, whole or not at all, and left alone in time."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import make_url

from contracts import Tenant
from pipeline.errors import ServiceUnavailableError
from pipeline.home import Home
from pipeline.resilience import Guard, Kind, Patience, Service, Services, reported
from pipeline.sources.extract import extract_sales, load_sales, source_fingerprint
from pipeline_tests.registry.conftest import database
from pipeline_tests.resilience.clock import Clock
from pipeline_tests.services.server import Answer, Request, Server, server
from pipeline_tests.sources.builders import NOW, SETTINGS, days
from pipeline_tests.sources.places import InPostgres

UNITS = [float(n) for n in range(1, 121)]
ROWS = days("2024-02-01", UNITS).to_dict("records")
PAGE = 2


def pages(request: Request) -> object:
    """ROWS from the asked day on, in pages, without stamps."""
    rows = [row for row in ROWS if row["date"] >= request.query["since"]]
    start = int(request.query.get("page", "0"))
    end = start + PAGE
    return {"rows": rows[start:end], "next_page": end if end < len(rows) else None, "total": len(rows)}


@pytest.fixture
def till() -> Iterator[Server]:
    """A real server of sales in sixty pages."""
    with server({"/sales": pages}) as made:
        yield made


def tenant(place: Server) -> Tenant:
    """A tenant whose sales it serves."""
    source = {"kind": "http", "url": f"{place.url}/sales"}
    return Tenant.model_validate(
        {"id": "shop", "name": "S", "country": "ES", "timezone": "Europe/Madrid", "source": source}
    )


@pytest.mark.parametrize(("fault", "seed"), [("500", 5), ("500", 2), ("cut", 3), ("drop", 4)])
def test_one_call_in_ten_fails_and_nothing_is_lost_or_doubled(till: Server, home: Home, fault: str, seed: int) -> None:
    """Of a hundred pages and more some fail; all come in the end, each row once, and the repetitions are counted."""
    till.misbehave(fault, share=0.1, seed=seed)
    with reported() as report:
        found = extract_sales(tenant(till), home, SETTINGS, NOW)
    assert list(found.daily["quantity"]) == UNITS
    assert list(found.daily["date"].dt.strftime("%Y-%m-%d")) == [row["date"] for row in ROWS]
    assert found.report.rows_read == found.report.rows_used == len(ROWS)
    failed = len(till.requests) - report.calls
    assert failed >= 5
    assert (report.attempts, report.seconds_waited > 0) == (len(till.requests), True)


def test_a_service_that_stays_down_is_left_alone(till: Server, home: Home) -> None:
    """After five failures nobody asks any more: reading and looking say so, by the breaker's name; the table stays."""
    services = Services(SETTINGS)
    before = extract_sales(tenant(till), home, SETTINGS, NOW, services)
    till.requests.clear()
    till.misbehave("503")
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError, match="sales:shop"):
            extract_sales(tenant(till), home, SETTINGS, NOW, services)
    assert len(till.requests) == 5
    with pytest.raises(ServiceUnavailableError, match=r"sales:shop is left alone since .* after 5 failures in a row"):
        source_fingerprint(tenant(till), home, SETTINGS, services)
    assert len(till.requests) == 5
    assert load_sales(home, "shop").equals(before.daily)


class Patient(Services):
    """Services whose waits pass at once, and are written down."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(SETTINGS)
        self._clock = clock

    def guard(self, kind: Kind, service: Service, address: str, tenant_id: str | None = None) -> Guard:
        """The same guard by another clock."""
        return replace(super().guard(kind, service, address, tenant_id), time=self._clock.time)


def test_a_service_is_left_alone_as_long_as_it_asks(till: Server, home: Home) -> None:
    """`Retry-After` is kept in an extraction, and is more than a look has."""
    clock = Clock()
    till.misbehave("429", left=1, retry_after="25")
    found = extract_sales(tenant(till), home, SETTINGS, NOW, Patient(clock))
    assert list(found.daily["quantity"]) == UNITS
    assert clock.slept == [25]
    till.misbehave("429", left=1, retry_after="25")
    with pytest.raises(ServiceUnavailableError, match="was asked once and failed: HTTP 429"):
        source_fingerprint(tenant(till), home, SETTINGS, Patient(clock))
    assert clock.slept == [25]


SOON = SETTINGS.model_copy(update={"breaker_sales_seconds": 0.3})
"""A service is left alone for a moment only."""


def test_an_outage_within_a_reading_is_outlasted(till: Server, home: Home) -> None:
    """Down for a second after twenty pages: all rows come, and no page that was answered is asked for again."""
    answered: Counter[str] = Counter()

    def counted(request: Request) -> object:
        answered[request.query.get("page", "first")] += 1
        if sum(answered.values()) == 20:
            till.misbehave("503")
            threading.Timer(1, till.misbehave, (None,)).start()
        return pages(request)

    till.routes["/sales"] = counted
    with reported() as report:
        found = extract_sales(tenant(till), home, SOON, NOW, patience=Patience(30))
    assert list(found.daily["quantity"]) == UNITS
    # Without stamps pages are read twice, to be of one moment, and the first of a third reading is asked for.
    assert answered.pop("first") == 3
    assert set(answered.values()) == {2}
    assert 0.6 <= report.seconds_left_alone <= report.seconds_waited < 3


def test_a_chance_that_all_attempts_fail_ends_nothing(till: Server, home: Home) -> None:
    """With half of all calls failing some pages fail three times in a row; all rows come all the same."""
    till.misbehave("500", share=0.5, seed=1)
    said: list[str] = []
    found = extract_sales(tenant(till), home, SOON, NOW, patience=Patience(60, said.append))
    assert list(found.daily["quantity"]) == UNITS
    assert any("failed: HTTP 500" in text for text in said)


def test_a_refusal_is_no_failure_of_the_service(till: Server, home: Home) -> None:
    """Errors that stay are raised at once and open no breaker."""
    services = Services(SETTINGS)
    till.routes["/sales"] = lambda _: Answer(403)
    for _ in range(6):
        with pytest.raises(Exception, match="HTTP 403"):
            extract_sales(tenant(till), home, SETTINGS, NOW, services, Patience(300))
    assert len(till.requests) == 6


class Front(socketserver.ThreadingTCPServer):
    """Stands before a database: hangs up on the next `left` connections, and passes all others on."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.target, self.left = (host, port), 0


class _Passing(socketserver.BaseRequestHandler):
    server: Front

    def handle(self) -> None:
        if self.server.left > 0:
            self.server.left -= 1
            return
        with socket.create_connection(self.server.target) as behind:
            back = threading.Thread(target=_copied, args=(behind, self.request), daemon=True)
            back.start()
            _copied(self.request, behind)
            back.join()


def _copied(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)


@pytest.fixture
def base() -> Iterator[tuple[Tenant, Front]]:
    """A tenant whose sales lie in a PostgreSQL, and what stands before it."""
    with database() as url:
        InPostgres(url).put(days("2024-06-01", [1.0, 2.0, 3.0]))
        place = make_url(url)
        with Front(place.host or "127.0.0.1", place.port or 5432) as front:
            threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            before = place.set(host="127.0.0.1", port=front.server_address[1], query={"sslmode": "disable"})
            yield InPostgres(before.render_as_string(hide_password=False)).tenant(), front
            front.shutdown()


def test_a_lost_connection_is_made_again(base: tuple[Tenant, Front], home: Home) -> None:
    """A database that hangs up twice is asked a third time; the rows are whole, and the repetitions counted."""
    made, front = base
    front.left = 2
    with reported() as report:
        found = extract_sales(made, home, SETTINGS, NOW)
    assert list(found.daily["quantity"]) == [1, 2, 3]
    assert report.attempts == report.calls + 2
    assert report.last_fault is not None
    assert "closed the connection" in report.last_fault


def test_a_database_that_stays_away_is_left_alone(base: tuple[Tenant, Front], home: Home) -> None:
    """After five failures neither a look nor a run connects any more; both name the breaker."""
    made, front = base
    services = Services(SETTINGS)
    extract_sales(made, home, SETTINGS, NOW, services)
    front.left = 100
    with pytest.raises(ServiceUnavailableError, match="could not be read: the service sales:shop is left alone"):
        extract_sales(made, home, SETTINGS, NOW, services)
    with pytest.raises(ServiceUnavailableError, match=r"left alone since .* after 5 failures in a row"):
        source_fingerprint(made, home, SETTINGS, services)
    assert front.left == 95


def test_a_database_that_comes_back_is_waited_for(base: tuple[Tenant, Front], home: Home) -> None:
    """It hangs up until its breaker has opened twice; the rows are whole, and the time it was left alone is told."""
    made, front = base
    front.left = 6
    with reported() as report:
        found = extract_sales(made, home, SOON, NOW, patience=Patience(30))
    assert list(found.daily["quantity"]) == [1, 2, 3]
    assert report.seconds_left_alone == pytest.approx(0.6, abs=0.3)
