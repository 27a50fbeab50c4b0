"""The page of the queue: what is out of order, or starved, is said."""

from __future__ import annotations

import pytest

from benchmarks.queueing import Queued, Waited, page
from contracts import Priority
from pipeline_tests.test_docs import rows

URGENT, HIGH, NORMAL, LOW = Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW
IN_ORDER = (URGENT, LOW, URGENT, HIGH, HIGH, NORMAL, NORMAL, LOW)


def verdicts(order: tuple[Priority, ...], arrived: dict[int, int] | None = None) -> dict[str, str]:
    """The verdicts of a page, by what they are on; runs begin in this order and arrive so, but for those given."""
    runs = [Waited(priority, (arrived or {}).get(place, place), place) for place, priority in enumerate(order)]
    return {cells[0]: cells[-1] for cells in rows(page(Queued(runs, 0.1, [0.2, 0.1])).text)}


def test_a_good_order_is_held() -> None:
    """Classes one after the other, arrival within each, and a low one early: nothing is missed."""
    assert "**missed**" not in set(verdicts(IN_ORDER).values())


@pytest.mark.parametrize(
    ("order", "arrived", "missed"),
    [
        ((URGENT, LOW, HIGH, URGENT, NORMAL), None, "urgent before high, high before normal"),
        ((URGENT, HIGH, NORMAL, NORMAL, LOW), None, "a low one among the first to begin"),
        ((URGENT, LOW, HIGH, HIGH, NORMAL), {2: 3, 3: 2}, "high"),
    ],
)
def test_what_is_out_of_order_is_missed(
    order: tuple[Priority, ...], arrived: dict[int, int] | None, missed: str
) -> None:
    """A class that waits for a lower one, low ones that wait for all, and a later one before an earlier are named."""
    assert {name for name, verdict in verdicts(order, arrived).items() if verdict == "**missed**"} == {missed}
