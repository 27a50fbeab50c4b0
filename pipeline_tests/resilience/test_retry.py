"""Repetitions: how many, how far apart, never too late, and how they are told."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigurationError
from pipeline.resilience import Kind, Policy, again, policy, reported, retried
from pipeline.resilience.record import Record
from pipeline.settings import Settings, get_settings
from pipeline_tests.resilience.clock import Clock

POLICIES = st.builds(
    lambda attempts, least, more, total: Policy(attempts, least, least + more, total),
    st.integers(1, 20),
    st.floats(0.001, 30),
    st.floats(0, 60),
    st.floats(0.001, 600),
)
ALL = {kind: policy(kind, Settings()) for kind in Kind}


def failing(times: int, clock: Clock, seconds: float = 0.0) -> Callable[[], str]:
    """A call that fails so often, taking its time, before it returns."""
    left = [times]

    def call() -> str:
        clock.now += seconds
        if left[0]:
            left[0] -= 1
            raise ConnectionResetError("gone")
        return "there"

    return call


def test_the_policies_are_the_documented_ones():
    """Without settings each kind has its own attempts, waits and overall time-out."""
    assert ALL[Kind.HTTP] == Policy(3, 1, 10, 180)
    assert ALL[Kind.DATABASE] == Policy(5, 0.5, 5, 60)
    assert ALL[Kind.EXTERNAL] == Policy(4, 2, 30, 180)


@pytest.mark.parametrize("kind", Kind)
def test_policies_are_settings(kind: Kind):
    """Every value of every kind can be set, and a least wait above the longest is refused by name."""
    names = [f"retry_{kind}_{part}" for part in ("attempts", "min_seconds", "max_seconds", "total_seconds")]
    chosen = dict(zip(names, (7, 2.5, 3.5, 99.5), strict=True))
    assert policy(kind, Settings.model_validate(chosen)) == Policy(7, 2.5, 3.5, 99.5)
    with pytest.raises(ConfigurationError, match=f"RETRY_{kind.upper()}_MIN_SECONDS=4 is longer"):
        policy(kind, Settings.model_validate(chosen | {names[1]: 4}))


@given(POLICIES, st.floats(0, 50))
def test_waits_keep_their_bounds(rule: Policy, seconds: float):
    """Every wait lies between the least and a bound that doubles up to the longest; none ends after the time-out."""
    clock, begun = Clock(), list[float]()

    def call() -> None:
        begun.append(clock.now)
        clock.now += seconds
        raise TimeoutError

    with pytest.raises(TimeoutError):
        again(call, rule, "a service", time=clock.time)
    bounds = [min(rule.least_seconds * 2.0 ** (number + 1), rule.most_seconds) for number in range(len(clock.slept))]
    for wait, bound in zip(clock.slept, bounds, strict=True):
        assert rule.least_seconds <= wait <= max(bound, rule.least_seconds)
    assert 1 <= len(begun) <= rule.attempts
    assert len(clock.slept) == len(begun) - 1
    assert max(begun) <= rule.total_seconds + 1e-9
    assert sum(clock.slept) <= rule.total_seconds


@pytest.mark.parametrize("kind", Kind)
def test_waits_are_drawn_over_their_whole_range(kind: Kind):
    """Full jitter: of many first waits some are near the least, some near twice that, and the mean is between."""
    rule, waits = ALL[kind], list[float]()
    for _ in range(400):
        clock = Clock()
        again(failing(1, clock), rule, "a service", time=clock.time)
        waits += clock.slept
    least = rule.least_seconds
    assert min(waits) < 1.1 * least
    assert max(waits) > 1.9 * least
    assert sum(waits) / len(waits) == pytest.approx(1.5 * least, rel=0.1)


@pytest.mark.parametrize("kind", Kind)
def test_what_happened_is_told(kind: Kind, caplog: pytest.LogCaptureFixture):
    """Each repetition is one line; the report holds attempts, waits and the last fault; blocks may be nested."""
    rule, clock = ALL[kind], Clock()
    with caplog.at_level(logging.WARNING), reported() as outer:
        assert again(failing(0, clock), rule, "first") == "there"
        with reported() as inner:
            assert again(failing(2, clock), rule, "a service", time=clock.time) == "there"
    lines = [one.getMessage() for one in caplog.records]
    assert [line.partition(";")[0] for line in lines] == [
        f"a service: attempt {number} failed (ConnectionResetError: gone)" for number in (1, 2)
    ]
    waited = round(sum(clock.slept), 3)
    told = {"seconds_waited": waited, "last_fault": "ConnectionResetError: gone"}
    assert inner.metadata() == {"calls": 1, "attempts": 3, **told}
    assert outer.metadata() == {"calls": 2, "attempts": 4, **told}


def test_a_good_call_reports_no_fault():
    """Where all went well there are as many attempts as calls, no wait and no fault."""
    with reported() as report:
        again(lambda: 1, ALL[Kind.HTTP], "a service")
    assert report.metadata() == {"calls": 1, "attempts": 1, "seconds_waited": 0.0}


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), PermissionError("no")], ids=repr)
def test_other_faults_are_raised_at_once(error: BaseException):
    """What is not transient is raised as it is, after one attempt and no wait."""
    clock, calls = Clock(), list[int]()

    def call() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)) as caught:
        again(call, ALL[Kind.EXTERNAL], "a service", time=clock.time)
    assert caught.value is error
    assert (len(calls), clock.slept) == (1, [])


def test_a_function_is_decorated(monkeypatch: pytest.MonkeyPatch):
    """A decorated function keeps its name and arguments, and is repeated by the settings of the moment."""
    monkeypatch.setenv("RETRY_DATABASE_MIN_SECONDS", "0.001")
    monkeypatch.setenv("RETRY_DATABASE_MAX_SECONDS", "0.002")
    get_settings.cache_clear()
    seen: list[str] = []

    @retried(Kind.DATABASE)
    def fetch(what: str, *, loud: bool = False) -> str:
        """Fetch it."""
        seen.append(what)
        if len(seen) < 5:
            raise ConnectionRefusedError
        return what.upper() if loud else what

    assert fetch("rows", loud=True) == "ROWS"
    assert (fetch.__name__, fetch.__doc__, seen) == ("fetch", "Fetch it.", ["rows"] * 5)
    get_settings.cache_clear()


def test_a_decorated_function_heeds_its_record():
    """With a bad record, which it adds to, a function is called once."""
    record, seen = Record(), list[int]()

    @retried(Kind.EXTERNAL, "a service", record)
    def fetch() -> None:
        seen.append(1)
        raise TimeoutError

    for _ in range(5):
        record.add(good=False)
    with pytest.raises(TimeoutError):
        fetch()
    assert (len(seen), len(record._outcomes)) == (1, 6)


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 20))
def test_a_bad_record_means_fewer_attempts(outcomes: list[bool], full: int):
    """All attempts with few outcomes or half of them good; one where none is good; never more for a worse record."""
    record, clock = Record(), Clock()
    for good in outcomes:
        record.add(good)
    recent, attempts = outcomes[-20:], record.attempts(full)
    assert 1 <= attempts <= full
    if len(recent) < 5 or sum(recent) >= len(recent) / 2:
        assert attempts == full
    elif not any(recent):
        assert attempts == 1
    else:
        assert attempts == 1 + -(-(full - 1) * 2 * sum(recent) // len(recent))
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        again(call, Policy(full, 0.1, 1, 1e9), "a service", record=record, time=clock.time)
    assert len(calls) == attempts


@given(st.integers(5, 20), st.integers(1, 20))
def test_attempts_never_rise_as_the_record_gets_worse(size: int, full: int):
    """From all good to all bad, outcome by outcome, the attempts go from all of them to one and never up."""
    allowed = []
    for bad in range(size + 1):
        record = Record()
        for number in range(size):
            record.add(good=number >= bad)
        allowed.append(record.attempts(full))
    assert (allowed[0], allowed[-1]) == (full, 1)
    assert allowed == sorted(allowed, reverse=True)


def test_old_outcomes_are_forgotten():
    """Ten minutes after a bad time all attempts are there again."""
    clock = Clock()
    record = Record(clock.read)
    for _ in range(10):
        record.add(good=False)
    assert record.attempts(4) == 1
    clock.now = 601
    assert record.attempts(4) == 4


def test_attempts_are_added_to_the_record():
    """Transient faults and successes count, faults of the caller do not."""
    record, clock = Record(), Clock()
    for _ in range(2):
        again(failing(2, clock), ALL[Kind.HTTP], "a service", record=record, time=clock.time)
    with pytest.raises(ValueError, match="mine"):
        again(lambda: (_ for _ in ()).throw(ValueError("mine")), ALL[Kind.HTTP], "a service", record=record)
    assert [good for _, good in record._outcomes] == [False, False, True] * 2
