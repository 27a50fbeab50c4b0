"""What a service of weather or traffic answers: its shape, and its values as a table."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from pydantic import AwareDatetime, BaseModel, ValidationError

from pipeline.errors import BadAnswerError

AHEAD = dt.timedelta(hours=1)
"""Clocks differ; what is issued later than this from now is nonsense, and would count as the newest for ever."""


SHOWN = 40
"""Letters of a value that are told."""


class _Answer(BaseModel):
    issued_at: AwareDatetime
    rows: list[dict[str, Any]]


def read_answer(content: Any, fields: Collection[str], now: dt.datetime) -> tuple[dt.datetime, pd.DataFrame]:
    """Return when an answer was issued, and its values: `date` (datetime64[ns]), `field`, `value` (finite).

    A field that a row lacks, or that is null, has no value on that day. An answer is taken whole or not at all.

    Raises:
        BadAnswerError: it is of another shape, has no row, lacks a field, repeats a day, was issued in the future, or
            holds what is no date or no number; names the row and the value.
    """
    try:
        answer = _Answer.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the whole"
        raise BadAnswerError(
            f'it is not as agreed: {where}: {fault["msg"]}; wanted is {{"issued_at": "...", "rows": [{{...}}, ...]}}'
        ) from None
    if answer.issued_at > now + AHEAD:
        raise BadAnswerError(f"it was issued at {answer.issued_at.isoformat()}, which is yet to come")
    lacking = sorted(set(fields) - {name for row in answer.rows for name in row})
    if lacking:
        found = ", ".join(sorted({name for row in answer.rows for name in row})) or "no row at all"
        raise BadAnswerError(f"no row has the field {', '.join(lacking)}; found {found}")
    return answer.issued_at.astimezone(dt.UTC), _table(answer.rows, fields)


def _table(rows: list[dict[str, Any]], fields: Collection[str]) -> pd.DataFrame:
    days = [_day(row, number) for number, row in enumerate(rows, 1)]
    twice = sorted(str(day) for day, count in Counter(days).items() if count > 1)
    if twice:
        raise BadAnswerError(f"two rows are of {twice[0]}")
    values = [
        (pd.Timestamp(day), field, _number(row, field, number))
        for number, (day, row) in enumerate(zip(days, rows, strict=True), 1)
        for field in fields
        if row.get(field) is not None
    ]
    table = pd.DataFrame(values, columns=["date", "field", "value"])
    return table.astype({"date": "datetime64[ns]", "field": "object", "value": "float64"})


def _day(row: Mapping[str, Any], number: int) -> dt.date:
    said = row.get("date")
    try:
        day = dt.date.fromisoformat(said if isinstance(said, str) else "")
        pd.Timestamp(day).as_unit("ns")
    except ValueError:  # Of pandas, too, whose days end in 2262.
        raise BadAnswerError(f"row {number}: {said!r} is no date such as 2026-11-22") from None
    return day


def _number(row: Mapping[str, Any], field: str, number: int) -> float:
    value = row[field]
    try:
        found = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise BadAnswerError(f"row {number}: {str(value)[:SHOWN]!r} in {field} is no number")
    return found
