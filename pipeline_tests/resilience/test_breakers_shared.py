"""Breakers over real processes, on every database: one state, no lost count, one trial."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from pipeline.registry import Registry
from pipeline.settings import Settings
from pipeline_tests.resilience.calling import LIMITS, NAME
from pipeline_tests.resilience.clock import let_pass


class Caller:
    """Another process, which calls the service when it is told to."""

    def __init__(self) -> None:
        command, pipe = [sys.executable, "-m", "pipeline_tests.resilience.calling"], subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def begin(self, what: str) -> None:
        """Let it call a service that does so."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()

    def told(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __call__(self, what: str) -> str:
        """What came of a call."""
        self.begin(what)
        return self.told()

    def open(self, settings: Settings) -> None:
        """Use this registry from now on."""
        assert self(f"open\t{settings.home}\t{settings.database_url or ''}") == "ready"

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Caller]]:
    """Three processes for all tests: a start takes two seconds."""
    made = [Caller() for _ in range(3)]
    yield made
    for one in made:
        one.end()


@pytest.fixture
def callers(processes: list[Caller], prepared: Settings) -> list[Caller]:
    """Three processes, each with the test's registry open."""
    for one in processes:
        one.open(prepared)
    return processes


def state_of(registry: Registry) -> tuple[str, int]:
    """State and failures."""
    known = registry.breaker(NAME)
    assert known is not None
    return known.state, known.failures


def test_failures_of_two_processes_are_one_count(callers: list[Caller], registry: Registry) -> None:
    """Three failures here and two there open the breaker for both; a trial that succeeds closes it for both."""
    one, other, _ = callers
    assert [one("fail") for _ in range(3)] == ["failed"] * 3
    assert [other("fail") for _ in range(2)] == ["failed", "opened it"]
    assert state_of(registry) == ("open", 5)
    for caller in (one, other):
        said = caller("succeed")
        assert said.startswith(f"refused: the service {NAME} is left alone since {datetime.now(UTC):%Y-%m-%d}")
        assert "after 5 failures in a row (last: ConnectionResetError: gone); it is tried again at" in said
        assert f"`pipeline breakers reset {NAME} --reason TEXT`" in said
    let_pass(registry, NAME, LIMITS.seconds)
    assert one("succeed") == "succeeded"
    assert state_of(registry) == ("closed", 0)
    assert other("fail") == "failed"
    assert state_of(registry) == ("closed", 1)
    assert other("succeed") == "succeeded"
    assert state_of(registry) == ("closed", 0)


def open_long_ago(registry: Registry) -> None:
    """Leave the service alone, and let the breaker's time pass."""
    for _ in range(LIMITS.failures):
        registry.count_failure(NAME, "gone")
    registry.open_breaker(NAME)
    let_pass(registry, NAME, LIMITS.seconds)


def test_one_alone_tries(callers: list[Caller], registry: Registry) -> None:
    """Of three processes that come at once to a half-open breaker one calls, and the others are refused."""
    open_long_ago(registry)
    for caller in callers:
        caller.begin("hold")
    told = [caller.told().partition(":")[0] for caller in callers]
    assert sorted(told) == ["holding", "refused", "refused"]
    assert state_of(registry) == ("half-open", 5)
    assert callers[told.index("holding")]("go on") == "succeeded"
    assert state_of(registry) == ("closed", 0)


def test_a_trial_that_fails_opens_it_again(callers: list[Caller], registry: Registry) -> None:
    """The service is left alone for as long again; since when it is stays as it was."""
    one, other, _ = callers
    open_long_ago(registry)
    first = registry.breaker(NAME)
    assert one("fail") == "opened it"
    assert other("succeed").startswith("refused")
    then = registry.breaker(NAME)
    assert first is not None
    assert then is not None
    assert (then.state, then.opened_at) == ("open", first.opened_at)
    assert then.changed_at > first.changed_at


def test_who_dies_within_a_trial_is_replaced(callers: list[Caller], prepared: Settings, registry: Registry) -> None:
    """A process that is killed while it tries keeps the others away for the breaker's time, not for ever."""
    other, mortal = callers[0], Caller()
    mortal.open(prepared)
    open_long_ago(registry)
    assert mortal("hold") == "holding"
    mortal.end()
    assert state_of(registry)[0] == "half-open"
    assert other("succeed").startswith("refused")
    let_pass(registry, NAME, LIMITS.seconds)
    assert other("succeed") == "succeeded"
    assert state_of(registry) == ("closed", 0)


def test_no_failure_is_lost(callers: list[Caller], registry: Registry) -> None:
    """Failures that several processes count at the same time are all counted."""
    for _ in range(20):
        registry.close_breaker(NAME)
        for caller in callers:
            caller.begin("fail")
        assert [caller.told() for caller in callers] == ["failed"] * 3
        assert state_of(registry) == ("closed", 3)


@pytest.mark.parametrize("closed_by", ["close_breaker", "begin_trial"])
def test_a_trial_is_refused_where_the_breaker_changed(registry: Registry, closed_by: str) -> None:
    """Whoever has seen an older state gets no trial."""
    registry.open_breaker(NAME)
    known = registry.breaker(NAME)
    assert known is not None
    if closed_by == "close_breaker":
        registry.close_breaker(NAME)
    else:
        assert registry.begin_trial(NAME, known.changed_at)
    assert not registry.begin_trial(NAME, known.changed_at)
