"""The plot of error against cost: a dot a system, down is better, left is cheaper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from pipeline.plots import BACKTEST, FONT, FORECAST, GRID, HISTORY, INK, compact

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 64, 52
LETTER, LINE, DOT = 6.6, 14.0, 5.0
"""Width of a letter, height of a line and half a dot's width, in pixels; wide enough for most fonts."""
TIMES = {1e-6: "1 µs", 1e-5: "10 µs", 1e-4: "0.1 ms", 1e-3: "1 ms", 1e-2: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s"}
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Dot:
    """A system: CPU seconds a forecast, and its error; one without an error is drawn as a line at its cost."""

    name: str
    seconds: float
    error: float | None
    ours: bool = False


@dataclass(frozen=True)
class _Frame:
    low: float
    high: float
    least: float
    most: float

    def x(self, seconds: float) -> float:
        """Costs differ by orders of magnitude: their axis is logarithmic."""
        share = (math.log10(max(seconds, 1e-6)) - self.low) / (self.high - self.low)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(self, error: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (error - self.least) / (self.most - self.least)


def error_against_cost(dots: Sequence[Dot], *, title: str, error_name: str, bar: float | None = None) -> str:
    """Return a 760 x 420 SVG; a dashed line marks the error that is to be reached.

    Raises:
        ValueError: no system has an error.
    """
    known = [dot.error for dot in dots if dot.error is not None]
    if not known:
        raise ValueError("no system has an error: there is nothing to draw")
    heights = [*known, *([bar] if bar is not None else [])]
    margin = max(0.08 * (max(heights) - min(heights)), 0.02 * max(heights), 1e-3)
    logs = [math.log10(max(dot.seconds, 1e-6)) for dot in dots]
    low = math.floor(min(logs))
    frame = _Frame(low, max(math.ceil(max(logs)), low + 1), min(heights) - margin, max(heights) + margin)
    parts = [_text(16, 26, title, size=16, weight="600"), *_axes(frame, error_name)]
    taken = [(frame.x(dot.seconds), frame.y(dot.error)) for dot in dots if dot.error is not None]
    boxes: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in taken]
    if bar is not None:
        y, text = frame.y(bar), f"to reach: {bar:g}"
        parts.append(_stroke(f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", BACKTEST, dash="6 4"))
        parts.append(_text(LEFT + 4, y - 6, text, colour=BACKTEST))
        boxes.append((LEFT, y - 6 - LINE, LEFT + 4 + LETTER * len(text), y + 2))
    for dot in dots:
        if dot.error is None:
            x, text = frame.x(dot.seconds), f"{dot.name}: this cost, error on a sample only"
            parts.append(_stroke(f"M{x:.1f} {TOP}V{HEIGHT - BOTTOM}", HISTORY, dash="2 4"))
            parts.append(_text(x - 6, TOP + 12, text, anchor="end"))
            boxes.append((x - 6 - LETTER * len(text), TOP - 2, x + 2, TOP + 16))
    for dot in sorted((dot for dot in dots if dot.error is not None), key=lambda dot: not dot.ours):
        parts += _drawn(dot, frame, boxes)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(title)}" font-family="{escape(FONT)}">'
    )
    return head + "".join(parts) + "</svg>\n"


def _drawn(dot: Dot, frame: _Frame, boxes: list[Box]) -> Iterable[str]:
    """A dot and its name, at the first place around it that is free."""
    x, y = frame.x(dot.seconds), frame.y(dot.error or 0.0)
    colour = FORECAST if dot.ours else HISTORY
    wide = LETTER * len(dot.name) * (1.1 if dot.ours else 1)
    left, top, found = _free(x, y, wide, boxes)
    boxes.append(found)
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT}" fill="{colour}"/>'
    if math.hypot(left + wide / 2 - x, top + LINE / 2 - y) > wide / 2 + 2 * LINE:
        end = min(max(x, left), left + wide)
        yield _stroke(f"M{x:.1f} {y:.1f}L{end:.1f} {top + LINE / 2:.1f}", GRID, width=0.8)
    yield _text(left, top + 11, dot.name, weight="600" if dot.ours else "", colour=FORECAST if dot.ours else INK)


def _free(x: float, y: float, wide: float, boxes: Sequence[Box]) -> tuple[float, float, Box]:
    """Left and top of a text beside, above or below a dot, further off until it meets no other and stays inside."""
    for off in range(0, 200, 6):
        for left, top in (
            (x + DOT + 4, y - LINE / 2 - off),
            (x + DOT + 4, y - LINE / 2 + off),
            (x - DOT - 4 - wide, y - LINE / 2 - off),
            (x - DOT - 4 - wide, y - LINE / 2 + off),
            (x - wide / 2, y - DOT - 2 - LINE - off),
            (x - wide / 2, y + DOT + 2 + off),
        ):
            box = (left, top, left + wide, top + LINE)
            inside = left >= LEFT + 2 and box[2] <= WIDTH - 2 and top >= TOP - LINE and box[3] <= HEIGHT - BOTTOM - 2
            if inside and not any(_meet(box, other) for other in boxes):
                return left, top, box
    return x + DOT + 4, y - LINE / 2, (x, y, x, y)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _axes(frame: _Frame, error_name: str) -> Iterable[str]:
    step = _round_step((frame.most - frame.least) / 5)
    mark = math.ceil(frame.least / step) * step
    yield _text(16, TOP - 16, f"{error_name}, lower is better")
    while mark <= frame.most:
        y = frame.y(mark)
        yield _stroke(f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", GRID, opacity=0.25)
        yield _text(LEFT - 8, y + 4, f"{mark:.3g}", anchor="end")
        mark += step
    for power in range(round(frame.low), round(frame.high) + 1):
        x, seconds = frame.x(10.0**power), 10.0**power
        yield _stroke(f"M{x:.1f} {TOP}V{HEIGHT - BOTTOM}", GRID, opacity=0.25)
        label = next((text for size, text in TIMES.items() if math.isclose(size, seconds)), f"{compact(seconds)} s")
        yield _text(x, HEIGHT - BOTTOM + 18, label, anchor="middle")
    yield _text(WIDTH - RIGHT, HEIGHT - 10, "CPU time for one product's forecast, at one origin", anchor="end")


def _round_step(size: float) -> float:
    unit = 10.0 ** math.floor(math.log10(size))
    return next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= size * (1 - 1e-9))


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: float = 12, weight: str = "", colour: str = INK
) -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}"{bold}>'
        f"{escape(text)}</text>"
    )


def _stroke(path: str, colour: str, *, dash: str = "", opacity: float = 1.0, width: float = 1.0) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    line = f'stroke="{colour}" stroke-opacity="{opacity:g}" stroke-width="{width:g}"'
    return f'<path d="{path}" fill="none" {line}{dashed}/>'
