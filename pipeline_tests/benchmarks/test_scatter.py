"""The plot of error against cost can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scatter import HEIGHT, WIDTH, Dot, error_against_cost

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("this project", "seasonal_naive", "auto_ets", "prophet_plain", "prophet_covariates", "lightgbm_recursive")
DOTS = st.lists(st.tuples(st.floats(1e-5, 20), st.floats(0.1, 1.2)), min_size=2, max_size=len(NAMES))


def places(svg: ET.Element) -> dict[str, tuple[float, float, float, float]]:
    """The box of each system's name, by a letter's usual width."""
    found = {}
    for text in svg.iter(f"{SVG}text"):
        if text.text in NAMES:
            x, y = float(text.attrib["x"]), float(text.attrib["y"])
            found[text.text] = (x, y - 9, x + 6 * len(text.text), y + 2)
    return found


@settings(max_examples=60, deadline=None)
@given(DOTS, st.one_of(st.none(), st.floats(0.1, 1.2)))
def test_names_never_cover_each_other(values: list[tuple[float, float]], bar: float | None) -> None:
    """Wherever the dots lie, every name is there once, inside the plot, and on no other name."""
    dots = [Dot(name, *value, ours=name == NAMES[0]) for name, value in zip(NAMES, values, strict=False)]
    found = places(ET.fromstring(error_against_cost(dots, title="bread & cake", error_name="WAPE", bar=bar)))
    assert len(found) == len(dots)
    assert all(box[0] >= 0 and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT for box in found.values())
    for one, two in combinations(found.values(), 2):
        assert one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]


def test_cheaper_is_left_and_better_is_down() -> None:
    """A dot's place tells its cost and its error; a system without an error is a line, not a dot."""
    dots = [Dot("auto_ets", 0.1, 0.3), Dot("this project", 0.01, 0.2, ours=True), Dot("tuned", 9.0, None)]
    svg = ET.fromstring(error_against_cost(dots, title="t", error_name="WAPE"))
    circles = {c.attrib["fill"]: (float(c.attrib["cx"]), float(c.attrib["cy"])) for c in svg.iter(f"{SVG}circle")}
    (ours, theirs) = circles["#2f7fe0"], circles["#6e7c8c"]
    assert ours[0] < theirs[0]
    assert ours[1] > theirs[1]
    assert any("tuned: this cost" in (text.text or "") for text in svg.iter(f"{SVG}text"))


def test_nothing_to_draw_is_an_error() -> None:
    """Without a single error there is no plot."""
    with pytest.raises(ValueError, match="nothing to draw"):
        error_against_cost([Dot("tuned", 9.0, None)], title="t", error_name="WAPE")
