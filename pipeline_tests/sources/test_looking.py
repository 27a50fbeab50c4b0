"""Looks at many tenants' sales: what ends late is not lost, a tick has one end, and nobody is left over twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from contracts import Tenant
from pipeline.home import Home
from pipeline.resilience import Services
from pipeline.sources import looking
from pipeline.sources.extract import remember_plan, source_fingerprint
from pipeline.sources.looking import Found, looks
from pipeline_tests.services.server import Answer, Request, Server, server
from pipeline_tests.sources.builders import SETTINGS, make_tenant

LIMIT = 0.5
ROWS = b"date,product_id,quantity\n2024-01-01,bread,1\n"


class Till:
    """A server of files whose answers wait as long as a test says; `waits` are by path, in seconds."""

    def __init__(self, served: Server) -> None:
        self.served, self.waits, self.released = served, dict[str, float](), threading.Event()

    def tenant(self, name: str, wait: float = 0.0) -> Tenant:
        """A tenant whose file answers after so many seconds, or once the test has ended."""
        path = f"/{name}.csv"
        self.waits[path] = wait
        self.served.routes[path] = self._answer
        return make_tenant(f"{self.served.url}{path}").model_copy(update={"id": name})

    def asked(self, tenant: Tenant) -> int:
        """How often a tenant's file was asked for."""
        return self.served.count(f"/{tenant.id}.csv")

    def _answer(self, request: Request) -> Answer:
        self.released.wait(self.waits[request.path])
        content = b"" if request.method == "HEAD" else ROWS
        return Answer(content=content, headers={"Content-Length": str(len(ROWS))})


@pytest.fixture
def till() -> Iterator[Till]:
    """A server that stops waiting when the test ends."""
    with ExitStack() as stack:
        made = Till(stack.enter_context(server({})))
        stack.callback(made.released.set)
        yield made


def tick(tenants: Sequence[Tenant], home: Home, limit: float = LIMIT) -> dict[str, Found]:
    """What one tick finds, by tenant."""
    services = Services(SETTINGS)
    return {
        tenant.id: found
        for tenant, found in looks(tenants, home, SETTINGS.model_copy(update={"source_look_seconds": limit}), services)
    }


def found_later(tenant: Tenant, home: Home) -> None:
    """Wait until a look that was left to itself has ended."""
    look = looking._LOOKS[str(home.root), tenant.id]
    look.join(30)
    assert not look.is_alive()


def test_what_a_late_look_finds_is_handed_out_at_the_next_tick(till: Till, home: Home) -> None:
    """A place that needs longer than the limit is named, then seen by the same look, then looked at anew."""
    slow = till.tenant("slow")
    expected = source_fingerprint(slow, home, SETTINGS)
    till.waits["/slow.csv"] = LIMIT * 1.4 / till.asked(slow)
    first = tick([slow], home)["slow"]
    assert isinstance(first, Exception)
    assert "no answer within 0.5" in str(first)
    found_later(slow, home)
    asked = till.asked(slow)
    assert tick([slow], home)["slow"] == expected
    assert till.asked(slow) == asked
    tick([slow], home)
    assert till.asked(slow) > asked


@pytest.mark.parametrize("what", ["a plan has seen the sales", "it is old", "the tenant was changed"])
def test_a_late_find_that_is_no_news_is_looked_for_again(
    till: Till, home: Home, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What was found before a plan, hours ago, or by other settings would ask for a run that is not needed."""
    slow = till.tenant("slow", LIMIT * 1.2)
    assert isinstance(tick([slow], home, limit=0.1)["slow"], Exception)
    found_later(slow, home)
    till.waits["/slow.csv"] = 0.0
    asked = till.asked(slow)
    if what == "a plan has seen the sales":
        remember_plan(home, "slow", "hash")
    elif what == "it is old":
        monkeypatch.setattr(looking, "FRESH_SECONDS", -SETTINGS.watch_interval_seconds)
    else:
        slow = slow.model_copy(update={"timezone": "Europe/Paris"})
    assert isinstance(tick([slow], home, limit=10)["slow"], str)
    assert till.asked(slow) > asked


def test_one_that_hangs_is_not_looked_at_again_and_not_waited_for(till: Till, home: Home) -> None:
    """A look that still lasts at the next tick is named at once, and asks nothing."""
    hung = till.tenant("hung", 30)
    tick([hung], home)
    asked, begun = till.asked(hung), time.monotonic()
    assert "no answer within" in str(tick([hung], home)["hung"])
    assert (till.asked(hung), time.monotonic() - begun < LIMIT) == (asked, True)


def test_a_tick_has_one_end_and_who_was_not_reached_is_first_at_the_next(
    till: Till, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many places hang, a tick ends in its time, says whom it did not reach, and comes to them next."""
    monkeypatch.setattr(looking, "AT_ONCE", 2)
    monkeypatch.setattr(looking, "TOGETHER_SECONDS", 1.0)
    hung = [till.tenant(f"hung-{n}", 30) for n in range(10)]
    sound = till.tenant("sound")
    begun = time.monotonic()
    first = tick([*hung, sound], home)
    assert time.monotonic() - begun < 2
    missed = [name for name, found in first.items() if found is None]
    assert missed == [f"hung-{n}" for n in range(4, 10)] + ["sound"]
    second = tick([*hung, sound], home)
    assert [name for name, found in second.items() if found is None] == ["hung-8", "hung-9", "sound"]
    third = tick([*hung, sound], home)
    assert None not in third.values()
    assert isinstance(third["sound"], str)


def test_one_that_hangs_holds_up_no_group(till: Till, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one place is waited for, all others are looked at in the remaining places."""
    monkeypatch.setattr(looking, "AT_ONCE", 2)
    tenants = [till.tenant("hung", 30), *(till.tenant(f"sound-{n}") for n in range(20))]
    found = tick(tenants, home, limit=3)
    assert list(found) == [tenant.id for tenant in tenants]
    assert isinstance(found.pop("hung"), Exception)
    assert {type(one) for one in found.values()} == {str}
