"""A forecast and its parts in plain words."""

from __future__ import annotations

import datetime as dt

from contracts import Explanation, ForecastPart, PartKind
from pipeline.engine.parts import BASE, Part

WORDS = {
    PartKind.LEVEL: "level",
    PartKind.TIME_OF_YEAR: "time of year",
    PartKind.DAY_OF_MONTH: "day of the month",
    PartKind.RECENT_DAYS: "recent sales",
    PartKind.PRODUCT: "product and shop",
    PartKind.PEERS: "similar products",
    PartKind.NOT_BELOW_ZERO: "not below zero",
    PartKind.CLOSED: "closed",
}
NAMED = 4
"""Parts, beside the level, that the sentence names."""
FEW_UNITS = 10.0
"""Units of a forecast and its largest part below which two decimals are written."""


def words(part: Part, date: dt.date, value: float | None) -> str:
    """Return what a part of a day's forecast is called, such as `Saturday`; a covariate with its value.

    >>> words(Part(PartKind.COVARIATE, "max_temperature"), dt.date(2026, 8, 1), 31.25)
    'max temperature (31.2)'
    """
    if part.kind is PartKind.WEEKDAY:
        return f"{date:%A}"
    if part.kind is PartKind.HOLIDAY:
        return part.name or "holidays near by"
    if part.kind is PartKind.COVARIATE:
        return f"{part.name.replace('_', ' ')} ({'not known' if value is None else f'{value:.3g}'})"
    return f"forecast of {part.name}" if part.kind is PartKind.FAMILY else WORDS[part.kind]


def sentences(one: Explanation) -> list[str]:
    """Return a day's forecast in words: what is expected with its largest parts, and whether that is news."""
    return [_expected(one), *([_overtaken(one)] if one.overtaken else [])]


def _expected(one: Explanation) -> str:
    day = f"{one.date:%A} {one.date.day} {one.date:%B %Y}"
    if one.closed:
        return f"{day}: the shop is taken to be closed, so nothing is expected."
    between = f"between {amount(one.lower, one)} and {amount(one.upper, one)} on nine days of ten"
    return f"{day}: {amount(one.y_hat, one)} expected, {between}: {_parts(one)}."


def _overtaken(one: Explanation) -> str:
    stored = amount(one.stored or 0.0, one)
    return f"The stored forecast says {stored}: sales or models have changed since; `pipeline run` makes a new one."


def amount(units: float, one: Explanation) -> str:
    """Return units as they are written in an explanation, with two decimals where all of them are few."""
    return f"{units:,.{_decimals(one)}f}"


def added(part: ForecastPart, one: Explanation) -> str:
    """Return the units of a part as they are written, with their sign but for what the others are added to."""
    return amount(part.units, one) if part.kind in BASE else _signed(part.units, one)


def _signed(units: float, one: Explanation) -> str:
    return f"{units:+z,.{_decimals(one)}f}"


def largest(one: Explanation) -> float:
    """Return the units of the forecast or of its largest part, whichever is more."""
    return max((one.y_hat, *(abs(part.units) for part in one.parts)))


def _decimals(one: Explanation) -> int:
    return 2 if largest(one) < FEW_UNITS else 1


def _parts(one: Explanation) -> str:
    named = sum(part.kind in BASE for part in one.parts) + NAMED
    told = [f"{part.words} {added(part, one)}" for part in one.parts[:named]]
    rest = sum(part.units for part in one.parts[named:])
    return ", ".join([*told, *([f"all else {_signed(rest, one)}"] if one.parts[named:] else [])])
