"""Patience: a service that is down is outlasted, as long as its breaker says and no longer than was allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from pipeline.errors import BadAnswerError, ServiceUnavailableError
from pipeline.resilience import Breaker, Guard, Limits, Patience, Policy, reported
from pipeline.resilience.memory import Memory
from pipeline.resilience.patience import LOOK_SECONDS
from pipeline.resilience.retry import Time
from pipeline_tests.resilience.clock import Clock, let_pass

NAME = "sales:bakery"
OPEN_SECONDS = 60
RULE = Policy(3, 1, 10, 180)
SLACK = 0.5
"""Seconds of the computer's own clock, by which breakers go, that a test may take."""


@dataclass
class Outage:
    """A service that is down until `over`, seconds after the beginning; each call takes `takes` seconds."""

    over: float
    takes: float = 0.0
    cause: Exception | None = None
    on_sleep: Callable[[], None] = lambda: None
    table: Memory = field(default_factory=Memory)
    clock: Clock = field(default_factory=Clock)
    calls: int = 0

    def sleep(self, seconds: float) -> None:
        """Let time pass, for the breaker too."""
        self.clock.sleep(seconds)
        if self.table.breaker(NAME):
            let_pass(self.table, NAME, seconds)
        self.on_sleep()

    @property
    def guard(self) -> Guard:
        """What stands before it: a breaker that three failures open."""
        time = Time(self.clock.read, self.sleep)
        return Guard(RULE, Breaker(NAME, Limits(3, OPEN_SECONDS), self.table), time=time)

    def ask(self) -> str:
        """Ask it, through its breaker, once."""

        def asked() -> str:
            self.calls += 1
            self.clock.now += self.takes
            if self.clock.now < self.over:
                raise ConnectionRefusedError
            return "rows"

        try:
            return self.guard.breaker.call(asked)
        except ConnectionRefusedError:
            raise ServiceUnavailableError("refused") from self.cause


def test_a_minute_of_outage_is_outlasted_by_the_breakers_waits() -> None:
    """Drawn waits until the breaker opens, then its time and no more; what was waited is told, and why."""
    outage, said = Outage(over=60), list[str]()
    with reported() as report:
        assert Patience(300, said.append).outlast(outage.guard, outage.ask) == "rows"
    drawn = report.seconds_waited - report.seconds_left_alone
    assert outage.calls == 4
    assert report.seconds_left_alone == pytest.approx(OPEN_SECONDS, abs=SLACK)
    assert 2 * RULE.least_seconds <= drawn <= 2 * RULE.most_seconds
    assert outage.clock.now == pytest.approx(report.seconds_waited)
    assert report.metadata()["seconds_left_alone"] == round(report.seconds_left_alone, 3)
    assert len(said) == 3
    assert "sales:bakery is left alone since" in said[-1]
    assert "of at most OUTAGE_WAIT_SECONDS=300 s are lost" in said[-1]


def test_what_was_allowed_is_not_exceeded() -> None:
    """An hour of outage ends with the service's error, before a wait that would have ended too late."""
    outage = Outage(over=3600)
    with pytest.raises(ServiceUnavailableError, match="left alone"):
        Patience(300).outlast(outage.guard, outage.ask)
    assert 300 - OPEN_SECONDS <= outage.clock.now <= 300


def test_calls_share_what_was_allowed() -> None:
    """What one call has lost the next has no more."""
    outage, patience = Outage(over=60), Patience(100)
    patience.outlast(outage.guard, outage.ask)
    begun = outage.clock.now
    outage.over = 1000
    with pytest.raises(ServiceUnavailableError):
        patience.outlast(outage.guard, outage.ask)
    assert outage.clock.now - begun <= 100 - begun + SLACK


def test_calls_that_take_long_count_as_lost() -> None:
    """A question that fails only after minutes is not asked for hours."""
    outage = Outage(over=3600, takes=250)
    with pytest.raises(ServiceUnavailableError):
        Patience(300).outlast(outage.guard, outage.ask)
    assert outage.calls == 2


@pytest.mark.parametrize("error", [BadAnswerError("HTTP 404"), ValueError("bad data")])
def test_other_faults_are_raised_at_once(error: Exception) -> None:
    """A refusal and bad data are not waited for."""
    outage = Outage(over=0)

    def fail() -> None:
        outage.calls += 1
        raise error

    with pytest.raises(type(error)):
        Patience(300).outlast(outage.guard, fail)
    assert (outage.calls, outage.clock.slept) == (1, [])


def test_without_patience_nothing_is_waited_for() -> None:
    """The default has none."""
    outage = Outage(over=1)
    with pytest.raises(ServiceUnavailableError):
        Patience().outlast(outage.guard, outage.ask)
    assert (outage.calls, outage.clock.slept) == (1, [])


def test_a_reset_ends_the_wait() -> None:
    """Whoever resets the breaker, or gets through to the service, is noticed within a look."""
    outage = Outage(over=20)

    def mended() -> None:
        if outage.clock.now >= 25:
            outage.table.close_breaker(NAME)

    outage.on_sleep = mended
    assert Patience(300).outlast(outage.guard, outage.ask) == "rows"
    assert outage.clock.now <= 25 + LOOK_SECONDS


def test_a_longer_wait_that_the_service_asks_for_is_kept() -> None:
    """`Retry-After` counts where it is longer than the breaker's time, or ends it where no time is left for it."""
    answer = httpx.Response(429, headers={"Retry-After": "90"})
    busy = httpx.HTTPStatusError("busy", request=httpx.Request("GET", "http://till/"), response=answer)
    outage = Outage(over=80, cause=busy)
    Patience(300).outlast(outage.guard, outage.ask)
    assert (outage.calls, outage.clock.now) == (2, pytest.approx(90))
    hasty = Outage(over=80, cause=busy)
    with pytest.raises(ServiceUnavailableError):
        Patience(60).outlast(hasty.guard, hasty.ask)
    assert hasty.clock.now == 0
