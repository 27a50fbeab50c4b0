"""The page of a year of weekly retraining: what counts as a change and as a swing, and one week of it for real."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.promotion import LEVELS, Year, lived, page


def test_a_swing_is_a_change_back() -> None:
    """Every champion unlike the one before is a change; back to what was before that, it is a swing as well."""
    year = Year("", recipes={"a": ["x", "x", "y", "x", "x"], "b": ["x", "y", "z"], "c": ["x"]})
    assert (year.changes, year.returns) == (4, 1)


def test_the_page_tells_each_scenario() -> None:
    """A line for each half with ages, decisions, changes and swings, and how far compared recipes were apart."""
    first = Year("before", ages=[0, 7], recipes={"a": ["x", "y"]}, decided=Counter(promoted=3))
    other = Year("other", ages=[14], recipes={"a": ["x"]}, decided=Counter(recipe=2, other=1), apart=[2.0, -1.0])
    text = page(first, [other]).text
    assert "| before | 7 | 3.5 | 3 | 0 | 0 | 1 | 0 | 1 |" in text
    assert "| other | 14 | 14.0 | 0 | 2 | 1 | 0 | 0 | 1 |" in text
    assert "| other | 2 | 0.50 | 50% |" in text


def test_a_week_is_really_trained(tmp_path: Path) -> None:
    """One week of the year sells, trains and decides: every product has a champion of that week."""
    quick = {"evaluation_origins": 1, "tuning_enabled": False, "without_families": "lightgbm,lightgbm_direct,ets,theta"}
    year = lived(Year("quick"), tmp_path / "week", quick, range(1))
    assert sum(year.decided.values()) == len(LEVELS)
    assert set(year.ages) == {0}
