"""Who wants to know how far long work has come: the command line's bars listen here, the trainer speaks here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contracts import JobProgress

Listener = Callable[[str, int, int], None]
_listeners: list[Listener] = []


def report(step: str, done: int, total: int) -> None:
    """Tell every listener that `done` of `total` parts of a step are done."""
    for listener in _listeners:
        listener(step, done, total)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener(step, done, total)` at every report made inside the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def in_words(step: str, done: int, total: int, progress: JobProgress) -> str:
    """Return a line such as `42 %: training products, 8 of 20; about 1 min 5 s left`."""
    left = progress.estimated_time_remaining
    ending = "" if left is None else f"; about {duration(left)} left"
    return f"{progress.percentage:.0f} %: {step}, {done} of {total}{ending}"


def duration(seconds: float) -> str:
    """Return a time as a person would say it.

    >>> duration(59.6), duration(65), duration(7500)
    ('1 min 0 s', '1 min 5 s', '2 h 5 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
