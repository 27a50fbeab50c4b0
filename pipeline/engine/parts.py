"""The parts of a forecast: named, in units, together the forecast itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from contracts import PartKind
from pipeline.engine.panel import Bools, Floats


@dataclass(frozen=True)
class Part:
    """What a part of a forecast comes from; `name` is that of the holiday, the covariate or the family."""

    kind: PartKind
    name: str = ""


Parts = Mapping[Part, Floats]
"""Units that each part adds, all of one shape, (n, horizon)."""
LEVEL, WEEKDAY, TIME_OF_YEAR = Part(PartKind.LEVEL), Part(PartKind.WEEKDAY), Part(PartKind.TIME_OF_YEAR)
NOT_BELOW_ZERO, CLOSED = Part(PartKind.NOT_BELOW_ZERO), Part(PartKind.CLOSED)

BASE = (PartKind.LEVEL, PartKind.FAMILY)
"""Kinds that a forecast begins with; the others are added to them."""


def total(parts: Parts) -> Floats:
    """Return the forecast that the parts add up to, in their shape."""
    return np.asarray(np.sum(list(parts.values()), axis=0))


def stacked(rows: Sequence[Parts], days: int) -> dict[Part, Floats]:
    """Return (n, days) parts of n products from the (days,) parts of each; what a product lacks is 0."""
    names = dict.fromkeys(part for row in rows for part in row)
    return {part: np.array([row.get(part, np.zeros(days)) for row in rows]) for part in names}


def gathered(named: Iterable[tuple[Part, Floats]]) -> dict[Part, Floats]:
    """Return the parts with those of the same name added up, and without additions that are 0 everywhere."""
    found: dict[Part, Floats] = {}
    for part, units in named:
        found[part] = found[part] + units if part in found else units
    return {part: units for part, units in found.items() if part.kind in BASE or units.any()}


def not_below_zero(parts: Parts) -> dict[Part, Floats]:
    """Return the parts with what lifts a negative forecast to zero."""
    return gathered([*parts.items(), (NOT_BELOW_ZERO, np.maximum(-total(parts), 0.0))])


def combined(members: Iterable[tuple[float, Parts]], closed: Bools) -> dict[Part, Floats]:
    """Return the parts of a weighted sum of forecasts; on `closed` days one part takes everything away again.

    Args:
        members: weight and parts of each member.
        closed: the days that are forecast as 0, in the shape of the parts.
    """
    parts = gathered((part, weight * units) for weight, own in members if weight for part, units in own.items())
    return gathered([*parts.items(), (CLOSED, np.where(closed, -total(parts), 0.0))])
