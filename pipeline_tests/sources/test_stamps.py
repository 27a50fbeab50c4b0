"""Two changes within one second are two changes: what a web server says of its content is believed no further."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from email.utils import format_datetime
from typing import Any

import pytest

from contracts import Tenant
from pipeline.home import Home
from pipeline.resilience import Guard, Kind, Patience, Services
from pipeline.resilience import Service as Sells
from pipeline.sources.extract import source_fingerprint
from pipeline.sources.pages import Service
from pipeline.sources.stamps import is_settled, stamp_in
from pipeline_tests.services.server import Answer, Request, Server, server
from pipeline_tests.sources.builders import SETTINGS, extract, make_tenant, quantities

SECOND = dt.datetime(2024, 6, 30, 9, 0, tzinfo=dt.UTC)


class Shop:
    """A web server of one file and of one sales service; both tell seconds apart, and a tag where there is one."""

    def __init__(self, served: Server) -> None:
        self.served, self.units, self.tag = served, 1, ""
        self.modified, self.now = SECOND, SECOND
        served.routes.update({"/a.csv": self._file, "/sales": self._sales})

    def source(self, kind: str) -> Tenant:
        """A tenant of the file or of the service."""
        if kind == "file":
            return make_tenant(f"{self.served.url}/a.csv")
        made = {"id": "shop", "name": "S", "country": "ES", "timezone": "Europe/Madrid"}
        return Tenant.model_validate({**made, "source": {"kind": "http", "url": f"{self.served.url}/sales"}})

    @property
    def _headers(self) -> dict[str, str]:
        told = {"Last-Modified": format_datetime(self.modified, usegmt=True)}
        return {**told, "Date": format_datetime(self.now, usegmt=True), **({"ETag": self.tag} if self.tag else {})}

    def _file(self, request: Request) -> Answer:
        content = f"date,product_id,quantity\n2024-06-01,bread,{self.units}\n".encode()
        length = {"Content-Length": str(len(content))}
        return Answer(content=b"" if request.method == "HEAD" else content, headers={**self._headers, **length})

    def _sales(self, request: Request) -> Answer:
        headers = self._headers
        if headers["Last-Modified"] == request.headers.get("if-modified-since"):
            return Answer(304)
        rows: list[dict[str, Any]] = [{"date": "2024-06-01", "product_id": "bread", "quantity": self.units}]
        return Answer(content=json.dumps({"rows": rows, "next_page": None}).encode(), headers=headers)


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop that serves."""
    with server({}) as served:
        yield Shop(served)


def test_a_second_change_of_a_service_in_the_same_second_is_seen(shop: Shop, home: Home) -> None:
    """A service that was read in the second of its change is looked at as changed until it has been read later."""
    tenant = shop.source("service")
    first = extract(tenant, home)
    shop.units, shop.now = 2, SECOND + dt.timedelta(seconds=60)
    assert source_fingerprint(tenant, home, SETTINGS) != first.fingerprint
    second = extract(tenant, home)
    assert list(quantities(second).values()) == [2]
    assert source_fingerprint(tenant, home, SETTINGS) == second.fingerprint


def test_a_second_change_of_a_file_in_the_same_second_is_seen(shop: Shop, home: Home) -> None:
    """So is a file behind a web server; its age is told by our clock, since listings hold no other."""
    tenant = shop.source("file")
    shop.modified = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(seconds=5)  # However slow we are.
    first = extract(tenant, home)
    shop.units = 2
    while not is_settled(format_datetime(shop.modified)):
        time.sleep(0.1)
    assert source_fingerprint(tenant, home, SETTINGS) != first.fingerprint
    second = extract(tenant, home)
    assert list(quantities(second).values()) == [2]
    assert source_fingerprint(tenant, home, SETTINGS) == second.fingerprint


def test_a_file_behind_a_web_server_is_looked_at_by_its_time(shop: Shop, home: Home) -> None:
    """A file of the same length that is younger than the one that was read is a change; the same one is none."""
    tenant = shop.source("file")
    first = extract(tenant, home)
    assert source_fingerprint(tenant, home, SETTINGS) == first.fingerprint
    shop.units, shop.modified = 2, SECOND + dt.timedelta(seconds=1)
    assert source_fingerprint(tenant, home, SETTINGS) != first.fingerprint


def test_a_tag_tells_files_of_one_length_and_second_apart(shop: Shop, home: Home) -> None:
    """Where a store gives an ETag, another one is another file whatever else is the same."""
    tenant = shop.source("file")
    shop.tag = '"a"'
    first = extract(tenant, home)
    assert source_fingerprint(tenant, home, SETTINGS) == first.fingerprint
    shop.tag, shop.units = '"b"', 2
    assert source_fingerprint(tenant, home, SETTINGS) != first.fingerprint


def test_a_service_whose_stamp_was_young_rests_in_the_end(shop: Shop, home: Home) -> None:
    """One more reading confirms what was read in the second of its change; after it nothing is new."""
    tenant = shop.source("service")
    extract(tenant, home)
    shop.now += dt.timedelta(seconds=60)
    again = extract(tenant, home)
    assert not again.changed
    assert source_fingerprint(tenant, home, SETTINGS) == again.fingerprint


@pytest.mark.parametrize(
    ("modified", "now", "settled"),
    [
        ("Sun, 30 Jun 2024 09:00:00 GMT", "Sun, 30 Jun 2024 09:00:02 GMT", True),
        ("Sun, 30 Jun 2024 09:00:00 GMT", "Sun, 30 Jun 2024 09:00:01 GMT", False),
        ("Sun, 30 Jun 2024 09:00:00 GMT", "Sun, 30 Jun 2024 08:00:00 GMT", False),
        ("Sun, 30 Jun 2024 09:00:00 GMT", None, True),
        ("Tue, 30 Jun 2099 09:00:00 GMT", None, False),
        ("Sun, 30 Jun 2024 09:00:00 -0000", "Sun, 30 Jun 2024 11:00:02 +0200", True),
        ("yesterday", "Sun, 30 Jun 2024 09:00:01 GMT", False),
        ("Sun, 30 Jun 2024 09:00:00 GMT", "soon", False),
        ("Sun, 30 Jun 99999999999999999999 09:00:00 GMT", None, False),
        ("Sun, 30 Jun 2024 09:00:00 GMT", "Sun, 30 Jun 2024 09:00:00 +99999999999999", False),
        ("  , ", None, False),
    ],
)
def test_when_a_time_of_change_is_proof(modified: str, now: str | None, settled: bool) -> None:
    """Two seconds after it, by the clock of who says it; what is no time at all is none."""
    assert is_settled(modified, now) is settled
    headers = {"Last-Modified": modified, **({"Date": now} if now else {})}
    assert stamp_in(headers) == (f"modified {modified}" if settled else None)
    assert stamp_in({**headers, "ETag": '"x"'}) == 'etag "x"'


@pytest.mark.parametrize("tag", ['"caf\xe9"', '"\x01"', '"a\tb"'])
def test_a_stamp_that_cannot_be_sent_back_is_none(tag: str) -> None:
    """A header of ours holds printable ASCII alone: another tag is left for the time of change, where that may."""
    modified = "Sun, 30 Jun 2024 09:00:00 GMT"
    assert stamp_in({"ETag": tag, "Last-Modified": modified}) == f"modified {modified}"
    assert stamp_in({"ETag": tag, "Last-Modified": f"{modified} {tag}"}) is None


def test_a_service_with_an_odd_tag_is_looked_at_again(home: Home) -> None:
    """A service whose tag is no ASCII is told by its rows, and a tag of old that was kept is not sent."""
    rows = [{"date": "2024-06-01", "product_id": "bread", "quantity": 1}]
    made = Answer(content=json.dumps({"rows": rows, "next_page": None}).encode(), headers={"ETag": '"caf\xe9"'})
    with server({"/sales": lambda _: made}) as served:
        tenant = Shop(served).source("service")
        served.routes["/sales"] = lambda _: made
        first = extract(tenant, home)
        assert source_fingerprint(tenant, home, SETTINGS) == first.fingerprint
        service = Service(f"{served.url}/sales", None, 60, guard(), SETTINGS, Patience())
        assert not service.ask({}, 'etag "caf\xe9"').unchanged


def guard() -> Guard:
    """What stands before a service that answers."""
    return Services(SETTINGS).guard(Kind.HTTP, Sells.SALES, "http://till.example", "shop")
