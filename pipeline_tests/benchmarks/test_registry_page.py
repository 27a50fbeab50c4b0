"""The page of the registry's speed: bars are judged by the slowest of what they stand for."""

from __future__ import annotations

import pytest

from benchmarks.registry import Timed, page
from pipeline_tests.test_docs import rows


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ((4.9, 0.01, 0.05, 0.02, {"linear": 0.002, "lightgbm": 0.010}), ["held", "held", "held"]),
        ((5.1, 0.01, 0.051, 0.02, {"linear": 0.002, "lightgbm": 0.011}), ["**missed**"] * 3),
        ((1.0, 0.06, 0.01, 0.02, {"linear": 0.012, "lightgbm": 0.001}), ["held", "**missed**", "**missed**"]),
        ((1.0, 0.01, 0.01, 0.06, {"linear": 0.001, "lightgbm": 0.001}), ["held", "**missed**", "held"]),
    ],
)
def test_bars_are_judged(figures: tuple[float, float, float, float, dict[str, float]], told: list[str]) -> None:
    """Registering, the slowest page, and the slowest family decide about their bars."""
    text = page([Timed("SQLite", *figures)]).text
    assert [cells[3] for cells in rows(text) if len(cells) == 4] == told
