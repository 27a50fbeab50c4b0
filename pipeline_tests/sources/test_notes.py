"""Notes of what was taken in and planned with: damage to one tenant's is nobody else's trouble."""

from __future__ import annotations

import pytest

from pipeline.home import Home
from pipeline.sources.extract import _planned, _remembered, planned, planned_at, remember, remember_plan, taken_in


@pytest.mark.parametrize("damage", ["binary", "folder", "circle"])
def test_a_note_that_cannot_be_read_is_none(home: Home, damage: str) -> None:
    """A damaged note of what was planned with or taken in counts as none, and stops nobody's look."""
    remember(home, "shop", "a")
    remember_plan(home, "shop", "b")
    assert (taken_in(home, "shop"), planned(home, "shop")) == ("a", "b")
    for path in (_planned(home, "shop"), _remembered(home, "shop")):
        path.unlink()
        if damage == "binary":
            path.write_bytes(b"\xff\xfe\x00")
        elif damage == "folder":
            path.mkdir()
        else:
            path.symlink_to(path)
    assert (taken_in(home, "shop"), planned(home, "shop")) == (None, None)
    assert planned_at(home, "shop") >= 0
