"""One process's breakers: what counts, what they say, who shares them, and the registry that goes away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from pipeline.errors import BadAnswerError, NotRegisteredError, RegistryError, ServiceUnavailableError
from pipeline.installation import Installation
from pipeline.registry import Action, Registry, open_registry
from pipeline.resilience import Breaker, Kind, Limits, Service, Services, breaker_name, limits, tenant_of
from pipeline.resilience.memory import AWAY_SECONDS, Fallback, Memory
from pipeline.settings import Settings
from pipeline_tests.registry.conftest import database, prepared_on
from pipeline_tests.resilience.clock import Clock, let_pass
from pipeline_tests.training.test_database_away import close, cut

NAME = "sales:bakery"


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Memory | Registry]:
    """Every kind of table; they promise the same."""
    if request.param == "memory":
        yield Memory()
        return
    with open_registry(prepared_on(request.param, request, tmp_path)) as registry:
        yield registry


def fail(error: BaseException) -> None:
    """A call that fails."""
    raise error


def failing(breaker: Breaker, times: int) -> None:
    """Let a service fail so often, short of opening its breaker."""
    for _ in range(times):
        with pytest.raises(TimeoutError):
            breaker.call(lambda: fail(TimeoutError()))


def test_the_limits_are_the_documented_ones() -> None:
    """Sales have five failures and a minute, weather and traffic three and half of one; all are settings."""
    assert {service: limits(service, Settings()) for service in Service} == {
        Service.SALES: Limits(5, 60),
        Service.WEATHER: Limits(3, 30),
        Service.TRAFFIC: Limits(3, 30),
    }
    chosen = {f"breaker_{service}_{part}": 7 for service in Service for part in ("failures", "seconds")}
    assert {limits(service, Settings.model_validate(chosen)) for service in Service} == {Limits(7, 7)}


def test_it_opens_tries_and_closes(table: Memory | Registry) -> None:
    """Closed until the last failure in a row, then open, half-open for one call, and open again or closed."""
    breaker = Breaker(NAME, Limits(3, 60), table)
    failing(breaker, 2)
    assert breaker.call(lambda: "there") == "there"
    failing(breaker, 2)
    with pytest.raises(ServiceUnavailableError) as caught:
        breaker.call(lambda: fail(TimeoutError("slow")))
    assert isinstance(caught.value.__cause__, TimeoutError)
    for outcome in ("fails", "succeeds"):
        with pytest.raises(ServiceUnavailableError, match=r"last: TimeoutError: slow") as caught:
            breaker.call(pytest.fail)
        assert caught.value.__cause__ is None
        let_pass(table, NAME, 60)
        if outcome == "fails":
            with pytest.raises(ServiceUnavailableError, match="after 4 failures in a row"):
                breaker.call(lambda: fail(TimeoutError("slow")))
    assert breaker.call(lambda: "there") == "there"
    failing(breaker, 2)


def test_a_clock_that_was_set_back_keeps_no_service_away(table: Memory | Registry) -> None:
    """A breaker that opened a day ahead of the clock is tried at once; one that is a little ahead is left alone."""
    breaker = Breaker(NAME, Limits(1, 60), table)
    with pytest.raises(ServiceUnavailableError):
        breaker.call(lambda: fail(TimeoutError()))
    let_pass(table, NAME, -30)
    assert 60 < breaker.seconds_left() <= 90
    let_pass(table, NAME, -86_400)
    assert breaker.seconds_left() == 0
    assert breaker.call(lambda: 1) == 1
    assert breaker.call(lambda: 2) == 2


@pytest.mark.parametrize("error", [BadAnswerError("no JSON"), ValueError("bad"), KeyboardInterrupt()], ids=repr)
def test_faults_of_the_caller_do_not_count(table: Memory | Registry, error: BaseException) -> None:
    """However often they come, the breaker stays closed, and they come through as they are."""
    breaker = Breaker(NAME, Limits(1, 60), table)
    for _ in range(3):
        with pytest.raises(type(error)) as caught:
            breaker.call(lambda: fail(error))
        assert caught.value is error
    assert table.breaker(NAME) is None


def test_an_interruption_decides_nothing(table: Memory | Registry) -> None:
    """Ctrl-C within a trial neither closes nor opens: another trial follows after the breaker's time."""
    breaker = Breaker(NAME, Limits(1, 60), table)
    with pytest.raises(ServiceUnavailableError):
        breaker.call(lambda: fail(TimeoutError()))
    let_pass(table, NAME, 60)
    with pytest.raises(KeyboardInterrupt):
        breaker.call(lambda: fail(KeyboardInterrupt()))
    with pytest.raises(ServiceUnavailableError):
        breaker.call(pytest.fail)
    let_pass(table, NAME, 60)
    assert breaker.call(lambda: 1) == 1


def test_an_interruption_forgives_nothing(table: Memory | Registry) -> None:
    """Ctrl-C between failures leaves their count as it is."""
    breaker = Breaker(NAME, Limits(3, 60), table)
    failing(breaker, 2)
    with pytest.raises(KeyboardInterrupt):
        breaker.call(lambda: fail(KeyboardInterrupt()))
    with pytest.raises(ServiceUnavailableError):
        breaker.call(lambda: fail(TimeoutError()))


def test_a_late_success_does_not_close(table: Memory | Registry) -> None:
    """A call that began while it was closed, and ends well after it was opened, changes nothing."""
    breaker = Breaker(NAME, Limits(2, 60), table)
    failing(breaker, 1)

    def slow() -> None:
        with pytest.raises(ServiceUnavailableError):
            breaker.call(lambda: fail(TimeoutError()))

    breaker.call(slow)
    with pytest.raises(ServiceUnavailableError, match="after 2 failures in a row"):
        breaker.call(pytest.fail)


def test_threads_do_not_wait_for_each_other(table: Memory | Registry) -> None:
    """Calls of four threads through one breaker are under way at the same time; in a trial one alone is."""
    breaker, meeting = Breaker(NAME, Limits(1, 60), table), threading.Barrier(4)

    outcomes: list[str] = []

    def all_at_once(call: Callable[[], str]) -> list[str]:
        def run() -> None:
            try:
                outcomes.append(breaker.call(call))
            except ServiceUnavailableError:
                outcomes.append("refused")

        outcomes.clear()
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    def together() -> str:
        meeting.wait(10)
        return "called"

    def after_the_others() -> str:
        patience = time.monotonic() + 10
        while len(outcomes) < 3 and time.monotonic() < patience:
            time.sleep(0.01)
        return "called"

    assert all_at_once(together) == ["called"] * 4
    with pytest.raises(ServiceUnavailableError):
        breaker.call(lambda: fail(TimeoutError()))
    let_pass(table, NAME, 60)
    assert all_at_once(after_the_others) == ["refused"] * 3 + ["called"]


@given(st.lists(st.sampled_from(["good", "bad", "mine"]), max_size=30), st.integers(1, 5))
def test_it_opens_exactly_after_failures_in_a_row(outcomes: list[str], failures: int) -> None:
    """Over any outcomes it opens with the first run of so many failures, and not before."""
    breaker, in_a_row, opened = Breaker(NAME, Limits(failures, 3600), Memory()), 0, False
    errors = {"bad": TimeoutError(), "mine": BadAnswerError("404")}
    for outcome in outcomes:
        asked: list[int] = []

        def call(outcome: str = outcome, asked: list[int] = asked) -> None:
            asked.append(1)
            if outcome in errors:
                raise errors[outcome]

        try:
            breaker.call(call)
        except (TimeoutError, BadAnswerError):
            told = "raised"
        except ServiceUnavailableError:
            told = "unavailable"
        else:
            told = "good"
        assert bool(asked) is not opened
        if opened:
            assert told == "unavailable"
            continue
        in_a_row = in_a_row + 1 if outcome == "bad" else 0
        opened = in_a_row >= failures
        assert told == ("unavailable" if opened else "good" if outcome == "good" else "raised")


@pytest.mark.parametrize(
    ("service", "address", "tenant", "name"),
    [
        (Service.SALES, "https://ana:pw@till.example/api?key=1", "bakery", "sales:bakery"),
        (Service.WEATHER, "https://ana:pw@Weather.example/v1?key=1", None, "weather:weather.example"),
        (Service.TRAFFIC, "http://127.0.0.1:8080/x", None, "traffic:127.0.0.1:8080"),
        (Service.WEATHER, "https://weather.example/v1", "bakery", "weather:bakery@weather.example"),
    ],
)
def test_names_say_who_shares(service: Service, address: str, tenant: str | None, name: str) -> None:
    """A tenant's own services are its own; public ones are one for all; no login and no key is in a name."""
    assert breaker_name(service, address, tenant) == name
    assert tenant_of(name) == tenant


def test_long_names_stay_apart() -> None:
    """Hosts that are longer than the registry keeps have names that fit and still differ."""
    names = {breaker_name(Service.WEATHER, f"https://{'x' * 200}{n}.example", None) for n in range(3)}
    assert len(names) == 3
    assert {len(name) for name in names} == {100}


def test_a_tenants_broken_service_closes_no_other(registry: Registry) -> None:
    """With one provider for two tenants, the one's failures leave the other's calls alone; guards are kept."""
    services = Services(Settings(breaker_sales_failures=1, retry_http_attempts=1), lambda: registry)
    mine, yours = (services.guard(Kind.HTTP, Service.SALES, "https://till.example", who) for who in ("mine", "yours"))
    assert services.guard(Kind.HTTP, Service.SALES, "https://till.example", "mine") is mine
    with pytest.raises(ServiceUnavailableError, match="sales:mine"):
        mine.call(lambda: fail(TimeoutError()))
    with pytest.raises(ServiceUnavailableError, match="sales:mine"):
        mine.call(pytest.fail)
    assert yours.call(lambda: 1) == 1


def test_what_is_kept_holds_no_secret(registry: Registry) -> None:
    """The last error in the table is one line without logins and the values of queries."""
    error = ConnectionError("cannot reach https://ana:s3cret@till.example/x?key=s3cret\nat all" + "!" * 1000)
    with pytest.raises(ServiceUnavailableError) as caught:
        Breaker(NAME, Limits(1, 60), registry).call(lambda: fail(error))
    (known,) = registry.breakers()
    assert known.last_error is not None
    assert known.last_error.startswith("ConnectionError: cannot reach https://till.example/x?key=*** at all!!!")
    assert len(known.last_error) == 300
    assert "s3cret" not in str(caught.value)


def test_a_breaker_is_reset_by_hand(registry: Registry) -> None:
    """It lets calls through at once, and the audit says who did it, why, and what it was."""
    breaker = Breaker(NAME, Limits(2, 3600), registry)
    failing(breaker, 1)
    with pytest.raises(ServiceUnavailableError):
        breaker.call(lambda: fail(TimeoutError("slow")))
    was = registry.reset_breaker(NAME, tenant_id="bakery", actor="ana", reason="mended")
    assert (was.state, was.failures) == ("open", 2)
    failing(breaker, 1)
    assert breaker.call(lambda: 1) == 1
    (entry,) = registry.audit("bakery")
    assert (entry.action, entry.subject, entry.actor, entry.reason) == (Action.RESET_BREAKER, NAME, "ana", "mended")
    assert was.opened_at is not None
    assert entry.details == {
        "state": "open",
        "failures": 2,
        "opened_at": was.opened_at.isoformat(),
        "last_error": "TimeoutError: slow",
    }


def test_what_is_not_there_cannot_be_reset(registry: Registry) -> None:
    """A name that nobody knows is an error that says where names are shown, and leaves no entry."""
    with pytest.raises(NotRegisteredError, match=r"'sales:nobody'.*pipeline breakers list"):
        registry.reset_breaker("sales:nobody", tenant_id="nobody", actor="ana", reason="why")
    assert registry.audit("nobody") == []


def test_without_a_registry_calls_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A registry that is not there stops no call: the breaker works in memory, and says so once, without secrets."""
    url = "postgresql://ana:s3cret@127.0.0.1:1/nowhere"
    chosen = Settings(pipeline_home=tmp_path, database_url=url, breaker_weather_failures=2, retry_http_attempts=1)
    guard = Installation(chosen).services.guard(Kind.HTTP, Service.WEATHER, "http://weather.example")
    with caplog.at_level(logging.INFO):
        assert guard.call(lambda: "sun") == "sun"
        with pytest.raises(TimeoutError):
            guard.call(lambda: fail(TimeoutError()))
        for _ in range(2):
            with pytest.raises(ServiceUnavailableError, match="after 2 failures in a row"):
                guard.call(lambda: fail(TimeoutError()))
    told = [one.getMessage() for one in caplog.records if one.name == "pipeline.resilience.memory"]
    assert len(told) == 1
    assert told[0].startswith("circuit breakers are this process's alone until the registry is back: RegistryError")
    assert "s3cret" not in told[0]


def test_a_registry_that_goes_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Cut off in the middle, each process counts for itself; a minute later the shared state is used again."""
    clock = Clock()
    with database() as url, open_registry(Settings(pipeline_home=tmp_path, database_url=url)) as registry:
        breaker = Breaker(NAME, Limits(2, 60), Fallback(lambda: registry, clock.read))
        failing(breaker, 1)
        name = url.rpartition("/")[2]
        close(name, allow=False)
        cut(name)
        with caplog.at_level(logging.INFO, "pipeline.resilience.memory"):
            failing(breaker, 1)
            close(name, allow=True)
            assert breaker.call(lambda: 1) == 1
            clock.now += AWAY_SECONDS
            with pytest.raises(ServiceUnavailableError):
                breaker.call(lambda: fail(TimeoutError()))
        assert [one.levelname for one in caplog.records] == ["WARNING", "INFO"]
        known = registry.breaker(NAME)
        assert known is not None
        assert (known.state, known.failures) == ("open", 2)


def test_a_table_that_is_broken_stops_nothing(registry: Registry) -> None:
    """Where the table cannot be read, as after a wrong upgrade, calls go on all the same."""
    with registry._writing() as connection:
        connection.execute(text("ALTER TABLE circuit_breakers RENAME TO elsewhere"))
    try:
        with pytest.raises(RegistryError):
            registry.breakers()
        assert Breaker(NAME, Limits(1, 60), Fallback(lambda: registry)).call(lambda: 1) == 1
    finally:
        with registry._writing() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO circuit_breakers"))
