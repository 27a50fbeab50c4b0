"""Calls that meet a transient fault are made again, later and later, and never past an overall time-out."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from pipeline.errors import ServiceUnavailableError
from pipeline.resilience.faults import retry_after, told, transient
from pipeline.resilience.policies import Kind, Policy, policy
from pipeline.resilience.record import Record
from pipeline.resilience.report import note
from pipeline.settings import get_settings

T = TypeVar("T")
P = ParamSpec("P")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Time:
    """What the time is, in seconds from any moment, and how to let some pass."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def again(
    call: Callable[[], T], rule: Policy, service: str, *, record: Record | None = None, time: Time | None = None
) -> T:
    """Make a call, and make it again after a transient fault; every repetition is a line in the log.

    Args:
        call: what is done; it must be safe to do it twice.
        rule: how often and how long apart. A wait that the service asks for (`Retry-After`) is kept where it is longer;
            where it would end after the overall time-out there is no further attempt.
        service: its name in the log.
        record: its recent record; with a bad one there are fewer attempts, and what happens is added to it.
        time: another clock than the computer's.

    Returns:
        what `call` returns.

    Raises:
        Exception: whatever `call` raised last; what is not transient at once.
    """
    hours = time or Time()

    def attempt() -> T:
        try:
            result = call()
        except Exception as error:
            _failed(error, record)
            raise
        note(attempts=1)
        if record is not None:
            record.add(good=True)
        return result

    def announce(state: RetryCallState) -> None:
        note(waited=state.upcoming_sleep)
        number, fault, wait = state.attempt_number, told(_fault(state)), state.upcoming_sleep
        logger.warning("%s: attempt %d failed (%s); the next is in %.1f s", service, number, fault, wait)

    note(calls=1)
    attempts = rule.attempts if record is None else record.attempts(rule.attempts)
    retrying = Retrying(
        retry=retry_if_exception(transient),
        wait=_Wait(rule),
        stop=stop_after_attempt(attempts) | _Late(hours.clock, hours.clock() + rule.total_seconds),
        before_sleep=announce,
        sleep=hours.sleep,
        reraise=True,
    )
    return retrying(attempt)


def retried(
    kind: Kind, service: str | None = None, record: Record | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator: calls of the function are repeated by the policy of this kind, as `again` does.

    Args:
        kind: which policy; its settings are read at each call.
        service: the name in the log; the function's where it is not given.
        record: the service's recent record; with a bad one there are fewer attempts.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        name = service or str(getattr(function, "__qualname__", function))

        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            return again(lambda: function(*args, **kwargs), policy(kind, get_settings()), name, record=record)

        return wrapped

    return decorate


class _Wait(wait_base):
    """Drawn evenly from a range that doubles, or as long as the service asks for where that is longer."""

    def __init__(self, rule: Policy) -> None:
        least, most = rule.least_seconds, rule.most_seconds
        self._drawn = wait_random_exponential(multiplier=2 * least, min=least, max=most)

    def __call__(self, retry_state: RetryCallState) -> float:
        return max(self._drawn(retry_state), retry_after(_fault(retry_state)))


class _Late(stop_base):
    """The next attempt would begin too late."""

    def __init__(self, clock: Callable[[], float], deadline: float) -> None:
        self._clock, self._deadline = clock, deadline

    def __call__(self, retry_state: RetryCallState) -> bool:
        return self._clock() + retry_state.upcoming_sleep > self._deadline


def _fault(state: RetryCallState) -> BaseException:
    """Why an attempt failed; tenacity asks for waits after failures alone."""
    fault = state.outcome.exception() if state.outcome else None
    assert fault is not None
    return fault


def _failed(error: Exception, record: Record | None) -> None:
    # A service that is left alone was asked only where an attempt is the cause of that.
    fault = error.__cause__ if isinstance(error, ServiceUnavailableError) else error
    if fault is None:
        note(fault=told(error))
        return
    note(attempts=1, fault=told(fault))
    if record is not None and transient(fault):
        record.add(good=False)
