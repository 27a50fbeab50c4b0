"""Small plots as SVG text: they stand in reports and in run metadata, on light and on dark backgrounds.

Colours are of middle lightness, so that they can be read on both; a page may restyle them through the
classes (`t` text, `g` grid, `h` history, `b` backtest, `f` forecast, `i` interval, `o` origin).
Every text is escaped. Values that are not finite are gaps; negative ones are drawn as 0.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Point = tuple[dt.date, float]
"""A day and its units; NaN where there is no observation."""
Values = Sequence[float] | npt.NDArray[np.float64]
"""Numbers in order, as a list or an array."""

HISTORY_DAYS = 120
SPARK_VALUES = 90
INK, GRID, HISTORY, BACKTEST, FORECAST = "#727a86", "#8b949e", "#6e7c8c", "#d97706", "#2f7fe0"
SEARCHES = ("#2f7fe0", "#d97706", "#2e9e6b", "#a05cc8")
WORST_TRIAL = 1.5
"""Relative error at which worse trials are drawn: they would flatten all others."""
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,sans-serif"
WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 56, 28
UNITS = ((1e9, "bn"), (1e6, "M"), (1e3, "k"))


class _Ahead(NamedTuple):
    """A coming day, its mean, and the ends of its interval, in units."""

    day: dt.date
    y_hat: float
    lower: float
    upper: float


@dataclass(frozen=True)
class _Frame:
    """Maps days and units to the coordinates of a plot."""

    first: dt.date
    last: dt.date
    top: float

    def x(self, day: dt.date) -> float:
        span = max((self.last - self.first).days, 1)
        return LEFT + (WIDTH - LEFT - RIGHT) * (day - self.first).days / span

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.top


def product_plot(
    history: Sequence[Point],
    backtest: Sequence[Point],
    dates: Sequence[dt.date],
    y_hat: Values,
    lower: Values,
    upper: Values,
    *,
    title: str,
    subtitle: str = "",
) -> str:
    """Return a 720 x 260 SVG of a product's last 120 days, its backtest and its forecast with its interval.

    Args:
        history: days in order; only the last 120 days up to the last one are drawn.
        backtest: out-of-sample forecasts of past days, in order.
        dates: coming days in order; a rule marks the origin before the first of them.
        y_hat: mean of each coming day, units.
        lower: lower end of its interval; where it equals `upper` on all days, no interval is drawn.
        upper: upper end of its interval.
        title: usually the product's name.
        subtitle: usually its model and error.

    Raises:
        ValueError: `dates`, `y_hat`, `lower` and `upper` are not equally long.
    """
    forecast = [_Ahead(*day) for day in zip(dates, y_hat, lower, upper, strict=True)]
    shown = _recent(history)
    past = [p for p in backtest if not shown or p[0] >= shown[0][0]]
    frame = _frame(shown, past, forecast)
    parts = [_heading(title, subtitle)]
    if frame is None:
        parts.append(_text(WIDTH / 2, HEIGHT / 2 + 10, "no observations yet", anchor="middle"))
    else:
        parts += [
            _legend(bool(past), forecast),
            _grid(frame),
            _days(frame),
            _interval(frame, forecast),
            _origin(frame, forecast),
        ]
        parts.append(_line(frame, shown, "h", HISTORY, 1.6))
        parts.append(_line(frame, past, "b", BACKTEST, 1.3))
        parts.append(_line(frame, [(p.day, p.y_hat) for p in forecast], "f", FORECAST, 2.2))
    return _svg(WIDTH, HEIGHT, f"{title}: sales and forecast", parts)


def sparkline(values: Values, forecast: Values | None = None, *, label: str = "recent sales and forecast") -> str:
    """Return a 160 x 36 SVG of the last 90 values (NaN: a gap) and, in colour, the forecast after them.

    `label` is read out to those who do not see it.
    """
    past = [_clean(v) for v in list(values)[-SPARK_VALUES:]]
    ahead = [_clean(v) for v in list(() if forecast is None else forecast)[:SPARK_VALUES]]
    finite = [v for v in past + ahead if v is not None]
    top, step = max(finite, default=0.0) or 1.0, 156 / max(len(past) + len(ahead) - 1, 1)
    places = [(2 + i * step, None if v is None else 33 - 30 * v / top) for i, v in enumerate(past + ahead)]
    parts = [_path(places[: len(past)], "h", HISTORY, 1.3), _path(places[len(past) :], "f", FORECAST, 1.8)]
    return _svg(160, 36, label, parts)


def bar_plot(rows: Sequence[tuple[str, float, float]], *, title: str = "", percent: bool = True) -> str:
    """Return horizontal bars of `(label, value, reference)`, the reference drawn as a tick on each bar.

    Args:
        rows: from top to bottom; a bar is blue up to its reference and amber when its value is above it.
        title: text for screen readers.
        percent: write values as percentages (0.21 as 21 %).
    """
    finite = [v for _, value, reference in rows for v in (value, reference) if math.isfinite(v)]
    top = max(finite, default=0.0) or 1.0
    parts = [_bar(i, row, top, percent) for i, row in enumerate(rows)]
    return _svg(480, max(len(rows), 1) * 30 + 4, title or "bars against their references", parts)


def trials_plot(searches: Sequence[tuple[str, Sequence[float]]], *, title: str = "Searches") -> str:
    """Return a 500 x 220 SVG of searches: each trial as a dot, and the best so far as a line, by trial number.

    Args:
        searches: name and error of each trial in order, relative to the untuned settings; NaN: not finished.
        title: heading, and text for screen readers.
    """
    known = [value for _, values in searches for value in values if math.isfinite(value)]
    low, high = min([*known, 1.0]), max([*(min(value, WORST_TRIAL) for value in known), 1.0])
    length, span = max((len(values) for _, values in searches), default=1), max(high - low, 0.01)

    def place(number: int, value: float) -> tuple[float, float | None]:
        at = 46 + 330 * number / max(length - 1, 1)
        return at, 196 - 150 * (min(value, WORST_TRIAL) - low) / span if math.isfinite(value) else None

    parts = [_text(12, 20, _shorten(title, 60), size=15, weight="600")]
    marks = (low, (low + high) / 2, high)
    parts += [_text(40, (place(0, value)[1] or 0) + 4, f"{value:.2f}", anchor="end") for value in marks]
    parts += [_text(46, 214, "trial 1"), _text(376, 214, str(length), anchor="end")]
    for row, ((name, values), colour) in enumerate(zip(searches, SEARCHES, strict=False)):
        best = np.fmin.accumulate(np.array([*values], float)) if len(values) else np.array([])
        parts.append(_path([place(*one) for one in enumerate(best)], "s", colour, 1.8))
        dots = "".join(f"M{_n(x)} {_n(y)}h0" for x, y in map(place, range(len(values)), values) if y is not None)
        parts.append(_stroked([dots] if dots else [], "d", colour, 3.5))
        told = f" {best[-1]:.3f}" if best.size and math.isfinite(best[-1]) else ""
        parts.append(_stroked([f"M386 {46 + 18 * row}h10"], "k", colour, 2.4))
        parts.append(_text(400, 50 + 18 * row, _shorten(name, 13) + told, size=11))
    return _svg(500, 220, title, parts)


def as_markdown_image(svg: str, alt: str) -> str:
    """Return the SVG as a Markdown image with its data inline."""
    return f"![{as_markdown(alt)}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def as_markdown(text: str) -> str:
    """Return a text on one line in which nothing is a mark of Markdown."""
    text = " ".join(text.split())
    for mark in "\\[]`<>!":
        text = text.replace(mark, "\\" + mark)
    return text


def compact(value: float) -> str:
    """Return a number as short as an axis needs it: 0.5, 12, 1.2k, 3M, 1bn."""
    for size, unit in UNITS:
        if value >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _svg(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{_safe(label)}" font-family="{FONT}" font-size="12">'
    )
    return head + "".join(parts) + "</svg>"


def _safe(text: str) -> str:
    """Escape a text and drop the characters that XML cannot hold, lone surrogates included."""
    allowed = (
        c for c in text if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")
    )
    return escape("".join(allowed), quote=True)


def _clean(value: float) -> float | None:
    return max(float(value), 0.0) if value is not None and math.isfinite(value) else None


def _recent(history: Sequence[Point]) -> list[Point]:
    if not history:
        return []
    start = history[-1][0] - dt.timedelta(days=HISTORY_DAYS - 1)
    return [p for p in history if p[0] >= start]


def _frame(history: Sequence[Point], backtest: Sequence[Point], forecast: Sequence[_Ahead]) -> _Frame | None:
    days = [p[0] for p in history] + [p[0] for p in backtest] + [p.day for p in forecast]
    values = [p[1] for p in history] + [p[1] for p in backtest] + [v for p in forecast for v in (p.y_hat, p.upper)]
    finite = [v for v in map(_clean, values) if v is not None]
    if not finite:
        return None
    return _Frame(min(days), max(days), _nice_top(max(finite)))


def _nice_step(top: float) -> float:
    """Return a round step that gives three or four ticks above 0."""
    size = 10.0 ** math.floor(math.log10(top / 4))
    return next(size * m for m in (1, 2, 2.5, 5, 10) if size * m * 4 >= top * (1 - 1e-9))


def _nice_top(highest: float) -> float:
    top = highest if highest > 1e-9 else 1.0
    step = _nice_step(top)
    return step * math.ceil(top / step - 1e-9)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: float = 12, weight: str = "") -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text class="t" x="{_n(x)}" y="{_n(y)}" fill="{INK}" font-size="{size:g}"{bold} '
        f'text-anchor="{anchor}">{_safe(text)}</text>'
    )


def _shorten(text: str, letters: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= letters else flat[: letters - 1] + "…"


def _heading(title: str, subtitle: str) -> str:
    above = _text(LEFT - 34, 20, _shorten(title, 42), size=15, weight="600")
    return above + _text(LEFT - 34, 39, _shorten(subtitle, 108), size=12)


def _legend(backtest: bool, forecast: Sequence[_Ahead]) -> str:
    entries = [("sold", HISTORY, "h")]
    entries += [("backtest", BACKTEST, "b")] if backtest else []
    label = "forecast, 90 % range" if _ranged(forecast) else "forecast"
    entries += [(label, FORECAST, "f")] if forecast else []
    x, parts = WIDTH - RIGHT, []
    for label, colour, name in reversed(entries):
        x -= round(6.3 * len(label))
        parts.append(_text(x, 20, label))
        parts.append(f'<path class="{name}" d="M{x - 20} 16h14" stroke="{colour}" stroke-width="2.4" fill="none"/>')
        x -= 34
    return "".join(parts)


def _grid(frame: _Frame) -> str:
    step, parts = _nice_step(frame.top), []
    for k in range(round(frame.top / step) + 1):
        y = frame.y(k * step)
        opacity = 0.7 if k == 0 else 0.25
        parts.append(
            f'<path class="g" d="M{LEFT} {_n(y)}H{WIDTH - RIGHT}" stroke="{GRID}" stroke-opacity="{opacity}"/>'
        )
        parts.append(_text(LEFT - 7, y + 4, compact(k * step), anchor="end"))
    return "".join(parts)


def _days(frame: _Frame) -> str:
    """Label the first of each month, or some days where the plot is too short for months."""
    span = [frame.first + dt.timedelta(days=k) for k in range((frame.last - frame.first).days + 1)]
    marks = [d for d in span if d.day == 1]
    if len(marks) < 2:
        marks = span[:: max(len(span) // 6, 1)]
    marks = marks[:: math.ceil(len(marks) / 12)]
    parts = []
    for day in marks:
        x = frame.x(day)
        label = f"{day:%b}" if day.day == 1 and len(span) > 62 else f"{day.day} {day:%b}"
        anchor = "end" if x > WIDTH - RIGHT - 20 else "middle"
        parts.append(f'<path class="g" d="M{_n(x)} {HEIGHT - BOTTOM}v5" stroke="{GRID}" stroke-opacity=".7"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 19, label, anchor=anchor))
    return "".join(parts)


def _ranged(forecast: Sequence[_Ahead]) -> bool:
    return any(p.upper > p.lower for p in forecast)


def _interval(frame: _Frame, forecast: Sequence[_Ahead]) -> str:
    band = [
        (frame.x(p.day), frame.y(min(max(p.lower, 0.0), frame.top)), frame.y(min(max(p.upper, 0.0), frame.top)))
        for p in forecast
        if _ranged(forecast) and math.isfinite(p.lower) and math.isfinite(p.upper)
    ]
    if not band:
        return ""
    if len(band) == 1:
        x, low, high = band[0]
        band = [(x - 3, low, high), (x + 3, low, high)]
    corners = [(x, high) for x, _, high in band] + [(x, low) for x, low, _ in reversed(band)]
    outline = "L".join(f"{_n(x)} {_n(y)}" for x, y in corners)
    return f'<path class="i" d="M{outline}Z" fill="{FORECAST}" fill-opacity=".2"/>'


def _origin(frame: _Frame, forecast: Sequence[_Ahead]) -> str:
    if not forecast:
        return ""
    x = max(frame.x(forecast[0].day - dt.timedelta(days=1)), LEFT)
    return (
        f'<path class="o" d="M{_n(x)} {TOP - 4}V{HEIGHT - BOTTOM}" stroke="{INK}" '
        'stroke-dasharray="3 3" stroke-opacity=".8"/>'
    )


def _line(frame: _Frame, points: Sequence[Point], name: str, colour: str, width: float) -> str:
    """Draw days that lie some pixels apart: whole ones do across, and keep a run's metadata small."""
    places: list[tuple[float, float | None]] = []
    for day, value in points:
        clean = _clean(value)
        places.append((round(frame.x(day)), None if clean is None else frame.y(min(clean, frame.top))))
    return _path(places, name, colour, width)


def _path(places: Sequence[tuple[float, float | None]], name: str, colour: str, width: float) -> str:
    """Draw a line with gaps; a value alone between two gaps becomes a dot."""
    strokes: list[str] = []
    dots: list[str] = []
    pen = "M"
    for i, (x, y) in enumerate(places):
        if y is None:
            pen = "M"
            continue
        alone = pen == "M" and (i + 1 == len(places) or places[i + 1][1] is None)
        place = f"{pen}{_n(x)} {_n(y)}"
        (dots if alone else strokes).append(f"{place}h0" if alone else place)
        pen = "L"
    return _stroked(strokes, name, colour, width) + _stroked(dots, name, colour, 2.2 * width)


def _stroked(strokes: Sequence[str], name: str, colour: str, width: float) -> str:
    if not strokes:
        return ""
    return (
        f'<path class="{name}" d="{"".join(strokes)}" fill="none" stroke="{colour}" stroke-width="{width:.3g}" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _bar(place: int, row: tuple[str, float, float], top: float, percent: bool) -> str:
    label, value, reference = row
    y, scale = 30 * place + 6, 250 / top
    known = _clean(value)
    worse = known is not None and math.isfinite(reference) and known > reference
    length, colour = (known or 0.0) * scale, BACKTEST if worse else FORECAST
    written = "n/a" if known is None else f"{known:.0%}".replace("%", " %") if percent else compact(known)
    parts = [_text(120, y + 14, _shorten(label, 18), anchor="end")]
    parts.append(f'<rect class="bar" x="130" y="{y}" width="{_n(length)}" height="18" rx="2" fill="{colour}"/>')
    end = 130 + length
    if math.isfinite(reference):
        at = 130 + max(reference, 0.0) * scale
        parts.append(f'<path class="ref" d="M{_n(at)} {y - 3}v24" stroke="{INK}" stroke-width="2"/>')
        end = max(end, at)
    return "".join(parts) + _text(end + 8, y + 14, written)
