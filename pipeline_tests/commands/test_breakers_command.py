"""`pipeline breakers`: what is left alone, and letting calls through again."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import ServiceUnavailableError
from pipeline.installation import Installation
from pipeline.registry import Action
from pipeline.resilience import Kind, Service
from pipeline.settings import Settings
from pipeline.who import user
from pipeline_tests.commands.conftest import Terminal


@pytest.fixture
def installation(fresh: Terminal) -> Installation:
    """The installation that the terminal works on; its weather service has failed three times, its sales twice."""
    made = Installation(Settings(pipeline_home=fresh.world.home.root, retry_http_attempts=1))
    weather = made.services.guard(Kind.HTTP, Service.WEATHER, "https://ana:s3cret@weather.example/v1?key=s3cret")
    sales = made.services.guard(Kind.HTTP, Service.SALES, "https://till.example", "bakery")

    def fail() -> None:
        raise ConnectionResetError("https://ana:s3cret@weather.example/v1?key=s3cret went away")

    for guard, times in ((sales, 2), (weather, 3)):
        for _ in range(times):
            with pytest.raises((ConnectionResetError, ServiceUnavailableError)):
                guard.call(fail)
    return made


def test_services_that_failed_are_listed(fresh: Terminal, installation: Installation) -> None:
    """Each has its state, its failures, since when and until when it is left alone, and its last fault: no secret."""
    answer = fresh("breakers", "list", "--json")
    sales, weather = json.loads(answer.out)
    assert (sales["name"], sales["state"], sales["failures"]) == ("sales:bakery", "closed", 2)
    assert (sales["open since"], sales["tried again at"]) == (None, None)
    assert (weather["name"], weather["state"], weather["failures"]) == ("weather:weather.example", "open", 3)
    assert weather["open since"] < weather["tried again at"]
    assert weather["last error"] == "ConnectionResetError: https://weather.example/v1?key=*** went away"
    table = fresh("breakers", "list")
    assert "s3cret" not in answer.out + table.out
    assert {"weather:weather.example", "open", "sales:bakery", "closed"} <= set(table.out.split())


def test_a_breaker_is_reset(fresh: Terminal, installation: Installation) -> None:
    """Calls go through at once; the audit says who reset what, and why: a tenant's own service in its audit."""
    answer = fresh("breakers", "reset", "weather:weather.example", "--reason", "mended")
    assert (answer.status, answer.lines) == (0, ["weather:weather.example was open after 3 failures; it is closed"])
    weather = installation.services.guard(Kind.HTTP, Service.WEATHER, "https://weather.example")
    assert weather.call(lambda: "sun") == "sun"
    assert fresh("breakers", "reset", "sales:bakery", "--reason", "why not").status == 0
    for tenant, name, reason in (
        ("", "weather:weather.example", "mended"),
        ("bakery", "sales:bakery", "why not"),
    ):
        (entry,) = installation.registry.audit(tenant)
        assert (entry.action, entry.subject, entry.reason) == (Action.RESET_BREAKER, name, reason)
        assert entry.actor == user()


def test_what_cannot_be_reset_is_said(fresh: Terminal) -> None:
    """A name that nobody knows, or no reason, is an error; without a failure there is nothing to list."""
    assert fresh("breakers", "list").lines == ["no service has failed yet"]
    unknown = fresh("breakers", "reset", "sales:nobody", "--reason", "x")
    assert unknown.status == 1
    assert "no circuit breaker is called 'sales:nobody'" in unknown.err
    assert fresh("breakers", "reset", "sales:nobody").status == 2
