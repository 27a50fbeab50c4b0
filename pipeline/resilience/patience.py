"""Outlasting a service that is down: a piece of work waits until it is asked again, for a bounded time in all."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import ServiceUnavailableError
from pipeline.resilience.faults import retry_after
from pipeline.resilience.report import note
from pipeline.resilience.services import Guard

T = TypeVar("T")
LOOK_SECONDS = 1.0
"""While a service is left alone, its breaker is looked at so often: it may be reset, or another caller get through."""
logger = logging.getLogger(__name__)


class Patience:
    """What one piece of work, such as an extraction, may lose to services that do not answer.

    What a call has got before stays with its caller: the call alone is made again.

    Args:
        seconds: no wait that would end after so many lost ones begins; calls that failed for good count, with the waits
            before they are made again. 0: nothing is outlasted.
        say: told why and for how long there is a wait, for whoever looks on; each is a line in the log as well.
    """

    def __init__(self, seconds: float = 0.0, say: Callable[[str], object] | None = None) -> None:
        self.seconds, self.lost = seconds, 0.0
        self._say = say

    def outlast(self, guard: Guard, call: Callable[[], T]) -> T:
        """Return what a call returns, made again after its service could not be reached.

        Before that the service is left alone as its breaker says. Where the breaker lets calls through still, the wait
        is drawn like that of a repetition. A longer wait that the service asks for is kept.

        Args:
            guard: what stands before the service; `call` passes it.
            call: must be safe to make twice.

        Raises:
            ServiceUnavailableError: what `call` raised last, once no time is left.
            Exception: whatever else `call` raises, at once.
        """
        while True:
            begun = guard.time.clock()
            try:
                return call()
            except ServiceUnavailableError as error:
                self.lost += guard.time.clock() - begun
                alone = guard.breaker.seconds_left()
                wait = max(alone or _drawn(guard), retry_after(error.__cause__))
                if self.lost + wait > self.seconds:
                    raise
                self._announce(error, wait)
            self._wait(guard, wait, watched=alone == wait)

    def _announce(self, error: ServiceUnavailableError, wait: float) -> None:
        text = (
            f"{error}; waiting {wait:.1f} s to ask again, what is read so far is kept "
            f"({self.lost:.0f} of at most OUTAGE_WAIT_SECONDS={self.seconds:g} s are lost)"
        )
        logger.warning("%s", text)
        if self._say is not None:
            self._say(text)

    def _wait(self, guard: Guard, seconds: float, *, watched: bool) -> None:
        """Let the time pass; where it is the breaker's, no longer than the breaker stays open."""
        begun, clock = guard.time.clock(), guard.time.clock
        while (left := begun + seconds - clock()) > 0 and not (watched and guard.breaker.seconds_left() <= 0):
            guard.time.sleep(min(left, LOOK_SECONDS))
        waited = clock() - begun
        self.lost += waited
        note(waited=waited, left_alone=waited if watched else 0.0)


def _drawn(guard: Guard) -> float:
    return random.uniform(guard.rule.least_seconds, guard.rule.most_seconds)  # noqa: S311 - it keeps nothing secret
