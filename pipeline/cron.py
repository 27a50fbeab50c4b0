"""Cron expressions of settings, checked before any schedule is made of them: Dagster's own error names no setting."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

WANTED = "minute, hour, day of the month, month and day of the week, such as 30 3 * * *"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_NAMES = {
    "month": dict(zip(_MONTHS, range(1, 13), strict=True)),
    "day of the week": {n: k for k, n in enumerate(_WEEKDAYS)},
}
_PART = re.compile(r"(?:\*|([a-z0-9]{1,3})(?:-([a-z0-9]{1,3}))?)(?:/([1-9][0-9]?))?")
_LONGEST_MONTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def checked_cron(text: str) -> str:
    """Return a cron expression of five fields: numbers, names, `*`, ranges, lists and steps.

    Raises:
        ValueError: it is none, or of a day that never comes; says which field is wrong.
    """
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"it must be a cron expression of {len(_FIELDS)} fields, {WANTED}; it has {len(fields)}")
    chosen = [_chosen(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True)]
    days, months = chosen[2], chosen[3]
    if min(days) > max(_LONGEST_MONTHS.get(month, 31) for month in months):
        raise ValueError("it names a day that none of its months has")
    return text


Cron = Annotated[str, AfterValidator(checked_cron)]


def _chosen(field: str, name: str, least: int, most: int) -> set[int]:
    """The values that a field stands for."""
    return {value for part in field.split(",") for value in _of_part(part, name, least, most)}


def _of_part(part: str, name: str, least: int, most: int) -> range:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"{part!r} is no {name} of a cron expression, which has {WANTED}")
    first, last, step = found.groups()
    begin = least if first is None else _value(first, name, least, most)
    alone = first is not None and last is None and step is None
    end = begin if alone else most if last is None else _value(last, name, least, most)
    if end < begin:
        raise ValueError(f"the range {part!r} of the {name} ends before it begins")
    if step is not None and int(step) > most:  # Dagster would start anew with each hour, day or year.
        raise ValueError(f"the step of {part!r} is longer than the {name} counts: it must be at most {most}")
    return range(begin, end + 1, int(step or 1))


def _value(text: str, name: str, least: int, most: int) -> int:
    value = int(text) if text.isdigit() else _NAMES.get(name, {}).get(text, -1)
    if not least <= value <= most:
        raise ValueError(f"{text!r} is no {name} of a cron expression: it must be from {least} to {most}")
    return value
