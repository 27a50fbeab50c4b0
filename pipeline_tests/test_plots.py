"""The SVG plots: well-formed, small, safe, and true to the numbers."""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.plots import Point, as_markdown_image, bar_plot, compact, product_plot, sparkline, trials_plot

NAN = math.nan
Floats = npt.NDArray[np.float64]
ORIGIN = dt.date(2026, 9, 30)
SVG = "{http://www.w3.org/2000/svg}"
Ahead = tuple[list[dt.date], Floats, Floats, Floats]
VALUES = st.one_of(st.just(NAN), st.just(math.inf), st.floats(-10, 1e9), st.integers(0, 60).map(float))


def _history(values: list[float]) -> list[Point]:
    first = ORIGIN - dt.timedelta(days=len(values) - 1)
    return [(first + dt.timedelta(days=i), v) for i, v in enumerate(values)]


def _forecast(values: list[float]) -> Ahead:
    days = [ORIGIN + dt.timedelta(days=i) for i in range(1, len(values) + 1)]
    return days, np.array(values), 0.6 * np.array(values), 1.5 * np.array(values)


def _plot(history: list[float], forecast: list[float], backtest: int = 0, title: str = "Bread") -> ET.Element:
    past = _history(history)
    return ET.fromstring(product_plot(past, past[len(past) - backtest :], *_forecast(forecast), title=title))


def _paths(svg: ET.Element, name: str) -> list[str]:
    return [p.attrib["d"] for p in svg.iter(f"{SVG}path") if p.get("class") == name and "h14" not in p.attrib["d"]]


def _numbers(path: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", path)]


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, max_size=150), st.lists(VALUES, max_size=20), st.text(max_size=80))
def test_any_numbers_and_names_give_small_sound_svg(history: list[float], forecast: list[float], title: str) -> None:
    """Whatever the numbers and the title, the plot must parse, hold no NaN and keep inside its frame."""
    svg = _plot(history, forecast, len(history) // 3, title)
    for name in "hbfi":
        for path in _paths(svg, name):
            assert "nan" not in path
            assert "inf" not in path
            places = re.findall(r"[ML]?(-?[\d.]+) (-?[\d.]+)", path)
            assert all(0 <= float(x) <= 725 and 50 <= float(y) <= 235 for x, y in places)


@given(st.lists(VALUES, max_size=200), st.lists(VALUES, max_size=20))
def test_any_sparkline_is_small_and_sound(values: list[float], forecast: list[float]) -> None:
    """Whatever the numbers, a sparkline must parse and stay below 2 KB."""
    text = sparkline(values, forecast)
    ET.fromstring(text)
    assert len(text.encode()) < 2048


def test_a_full_plot_stays_below_9_kb() -> None:
    """120 days, 56 backtest days and 14 forecast days must fit in 9 KB, long texts included."""
    past = _history([1234.5 * (i % 7) for i in range(200)])
    text = product_plot(past, past[-56:], *_forecast([4321.9] * 14), title="&" * 500, subtitle="<" * 500)
    assert len(text.encode()) < 9 * 1024


def test_only_the_last_120_days_are_drawn() -> None:
    """Older days must not be drawn, nor shape the axis."""
    svg = _plot([1e6] * 100 + [10.0] * 120, [])
    (line,) = _paths(svg, "h")
    assert line.count("L") == 119
    assert "1M" not in {t.text for t in svg.iter(f"{SVG}text")}


def test_missing_days_are_gaps() -> None:
    """A NaN in the middle must break the line in two, and a lone value must become a dot."""
    (line,) = _paths(_plot([1, 2, NAN, 3, 4], []), "h")
    assert line.count("M") == 2
    line, dot = _paths(_plot([1, 2, NAN, 3, NAN, 4, 5], []), "h")
    assert line.count("M") == 2
    assert dot.endswith("h0")


def test_values_are_drawn_to_scale() -> None:
    """Heights above the axis must be proportional to the values, from 0."""
    svg = _plot([0, 10, 20, 40], [])
    (line,) = _paths(svg, "h")
    heights = [232 - y for y in _numbers(line)[1::2]]
    assert heights[0] == 0
    assert heights[3] == pytest.approx(4 * heights[1], abs=0.3)
    assert heights[3] == pytest.approx(2 * heights[2], abs=0.2)


def test_the_interval_and_the_origin_are_drawn() -> None:
    """The band must span lower to upper on every forecast day, right of the rule at the origin."""
    svg = _plot([20.0] * 30, [20.0] * 14)
    (band,), (rule,) = _paths(svg, "i"), _paths(svg, "o")
    xs = _numbers(band)[::2]
    assert len(xs) == 28
    assert min(xs) > _numbers(rule)[0]
    assert len(set(_numbers(band)[1::2])) == 2


def test_a_forecast_without_a_range_draws_none() -> None:
    """Where lower equals upper, there must be a line but no band, and the legend must promise none."""
    days, mean, _, _ = _forecast([5.0, 6.0, 7.0])
    svg = ET.fromstring(product_plot([], [], days, mean, mean, mean, title="All"))
    assert len(_paths(svg, "f")) == 1
    assert _paths(svg, "i") == []
    assert not any("range" in (t.text or "") for t in svg.iter(f"{SVG}text"))


def test_uneven_forecasts_are_refused() -> None:
    """A forecast whose parts are not equally long must be refused, not cut."""
    with pytest.raises(ValueError, match="shorter"):
        product_plot([], [], [ORIGIN], [1.0], [], [2.0], title="x")


def test_arrays_are_as_good_as_lists() -> None:
    """A sparkline must be the same from arrays and from lists."""
    assert sparkline(np.arange(5.0), np.ones(3)) == sparkline([0, 1, 2, 3, 4], [1, 1, 1])


@pytest.mark.parametrize("forecast", [[], [5.0]])
def test_short_forecasts_are_drawn(forecast: list[float]) -> None:
    """No forecast must draw no rule; a single day must still show its interval and its mean."""
    svg = _plot([5.0, 6.0], forecast)
    assert len(_paths(svg, "o")) == len(_paths(svg, "i")) == len(_paths(svg, "f")) == len(forecast)


def test_a_plot_without_observations_says_so() -> None:
    """All NaN and nothing at all must give a plot that says that there is nothing."""
    for history in ([], [NAN] * 30):
        texts = [t.text for t in _plot(history, []).iter(f"{SVG}text")]
        assert "no observations yet" in texts


def test_zeros_lie_on_the_axis() -> None:
    """A history of zeros must be drawn on the axis and not divide by zero."""
    (line,) = _paths(_plot([0.0] * 20, []), "h")
    assert set(_numbers(line)[1::2]) == {232.0}


@pytest.mark.parametrize(("highest", "ticks"), [(1.0, 5), (43.0, 4), (1e9, 5), (7.0, 5), (0.02, 5)])
def test_the_axis_has_few_round_ticks(highest: float, ticks: int) -> None:
    """The axis must have the expected few labels, the top one at or above the highest value."""
    texts = [t.text or "" for t in _plot([highest] * 5, []).iter(f"{SVG}text") if t.get("text-anchor") == "end"]
    labels = [t for t in texts if re.fullmatch(r"[\d.]+(bn|M|k)?", t)]
    assert len(labels) == ticks
    assert labels[0] == "0"


def test_months_are_labelled() -> None:
    """A plot of four months must name the months that begin in it."""
    texts = {t.text for t in _plot([3.0] * 120, [3.0] * 14).iter(f"{SVG}text")}
    assert {"Jul", "Aug", "Sep", "Oct"} <= texts


def test_hostile_names_are_text() -> None:
    """Markup in a title must come out as text, in every kind of plot."""
    name = "<script>alert('x')</script>\"&\ud800\x00"
    for text in (product_plot([], [], [], [], [], [], title=name, subtitle=name), bar_plot([(name, 1, 2)], title=name)):
        assert "<script" not in text
        svg = ET.fromstring(text)
        assert any("<script>" in (t.text or "") for t in svg.iter(f"{SVG}text"))


def test_bars_compare_with_their_reference() -> None:
    """Bars must be as long as their values, change colour above the reference, and bear the value."""
    svg = ET.fromstring(bar_plot([("a", 0.2, 0.4), ("b", 0.4, 0.2), ("c", NAN, NAN)]))
    bars = [(float(r.attrib["width"]), r.attrib["fill"]) for r in svg.iter(f"{SVG}rect")]
    assert [w for w, _ in bars] == [125, 250, 0]
    assert bars[0][1] != bars[1][1]
    assert {"20 %", "40 %", "n/a"} <= {t.text for t in svg.iter(f"{SVG}text")}
    assert len([p for p in svg.iter(f"{SVG}path") if p.get("class") == "ref"]) == 2


def test_no_bars_are_an_empty_plot() -> None:
    """No rows must still give a sound SVG."""
    assert ET.fromstring(bar_plot([])).tag == f"{SVG}svg"


def test_a_markdown_image_holds_the_svg() -> None:
    """The image must be one line of Markdown whose data decode to the SVG, whatever the description."""
    svg = sparkline([1, 2, 3])
    image = as_markdown_image(svg, "a](javascript:x)\n<b>")
    assert "\n" not in image
    found = re.fullmatch(r"!\[(.*)\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", image)
    assert found is not None
    assert base64.b64decode(found[2]).decode() == svg
    assert not re.search(r"(?<!\\)[\]<>]", found[1])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.5"), (250, "250"), (1500, "1.5k"), (2e6, "2M"), (1e9, "1bn"), (999_999, "1M")],
)
def test_axis_numbers_are_short(value: float, text: str) -> None:
    """Numbers must be written as short as an axis needs them."""
    assert compact(value) == text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(VALUES, max_size=40), max_size=4), st.text(max_size=30))
def test_any_searches_give_sound_svg(values: list[list[float]], name: str) -> None:
    """Whatever the errors, the plot of trials must parse, hold no NaN, and keep inside its frame."""
    svg = ET.fromstring(trials_plot([(name, one) for one in values]))
    for kind in "sd":
        for path in _paths(svg, kind):
            assert "nan" not in path
            places = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)
            assert all(0 <= float(x) <= 480 and 0 <= float(y) <= 220 for x, y in places)


def test_the_line_is_the_best_trial_so_far() -> None:
    """It never rises on the way to smaller errors, skips trials that were given up, and ends at the best."""
    svg = ET.fromstring(trials_plot([("high", [1.0, 1.2, NAN, 0.9, 0.95])]))
    (line,) = _paths(svg, "s")
    heights = [float(y) for _, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", line)]
    assert heights == sorted(heights)
    assert len(_paths(svg, "d")[0].split("M")) - 1 == 4
    assert "high 0.900" in "".join(svg.itertext())
