"""The page of ticks: each is judged by its slowest."""

from __future__ import annotations

import re

from benchmarks.ticks import MOST, Tick, page


def judged(tick: Tick) -> str:
    """The last cell of the tick's line."""
    (line,) = re.findall(rf"^\| {tick.name} .*$", page([tick]).text, re.MULTILINE)
    return line.split("|")[-2].strip()


def test_a_tick_is_judged_by_its_slowest() -> None:
    """Both its idle and its busy time have to keep within the bar, the bar itself included."""
    assert judged(Tick("new_sales", idle=0.1, busy=MOST)) == "held"
    assert judged(Tick("new_sales", idle=0.1, busy=MOST + 0.001)) == "**missed**"
    assert judged(Tick("new_sales", idle=MOST + 0.001, busy=0.1)) == "**missed**"
    assert judged(Tick("messages", idle=MOST)) == "held"
