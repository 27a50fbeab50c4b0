"""The recent record of a service: where it is bad, calls are repeated less often."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

SIZE = 20
"""Outcomes that are remembered."""
SECONDS = 600.0
"""Age at which an outcome is forgotten."""
ENOUGH = 5
"""Outcomes without which nothing is concluded."""
BAD = 0.5
"""Share of good outcomes below which there are fewer repetitions."""


class Record:
    """The last outcomes of one service in this process; safe from several threads.

    Args:
        clock: seconds, from wherever they are counted.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=SIZE)

    def add(self, good: bool) -> None:
        """Remember the outcome of one attempt."""
        with self._lock:
            self._outcomes.append((self._clock(), good))

    def attempts(self, full: int) -> int:
        """Return how many of `full` attempts a call may make now, at least one.

        All of them while half of the recent outcomes or more are good, or fewer than five are known. Below that the
        repetitions shrink in proportion, rounded up; where no outcome is good there are none.
        """
        with self._lock:
            oldest = self._clock() - SECONDS
            recent = [good for at, good in self._outcomes if at >= oldest]
        if len(recent) < ENOUGH:
            return full
        share = sum(recent) / len(recent)
        return 1 + math.ceil((full - 1) * min(share / BAD, 1.0))
