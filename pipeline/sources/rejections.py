"""Which rows cannot be used, and why; and when a whole column cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts import RejectedRow, Rejection, SalesFormat
from pipeline.errors import DataError
from pipeline.sources.base import RawSales, RawTable
from pipeline.sources.moments import suggest_format
from pipeline.sources.values import is_blank, looks_like_comma, plain

Bools = npt.NDArray[np.bool_]

EXAMPLES = 50
_SHOWN = 80
_FIRST_VALUES = 3
_FIELD = {
    Rejection.OTHER_TENANT: "tenant_id",
    Rejection.MISSING_PRODUCT: "product_id",
    Rejection.BAD_DATE: "date",
    Rejection.FUTURE_DATE: "date",
    Rejection.BAD_QUANTITY: "quantity",
    Rejection.ABSURD_QUANTITY: "quantity",
}
_NEEDED = {
    Rejection.BAD_DATE: "date",
    Rejection.BAD_QUANTITY: "number",
    Rejection.MISSING_PRODUCT: "product name",
}


@dataclass(frozen=True)
class Faults:
    """The rows of one part that are rejected: one mask a reason, no row in two of them."""

    masks: Mapping[Rejection, Bools]
    malformed: int

    @property
    def rejected(self) -> Bools:
        """(rows of the frame,): rejected for any reason."""
        return np.asarray(np.stack(list(self.masks.values())).any(axis=0), dtype=np.bool_)

    def counts(self) -> dict[Rejection, int]:
        """Return the number of rejected rows by reason."""
        counts = {reason: int(mask.sum()) for reason, mask in self.masks.items()}
        counts[Rejection.MALFORMED] = self.malformed
        return {reason: number for reason, number in counts.items() if number}


def exclusive(faults: Mapping[Rejection, Bools], considered: Bools, malformed: int) -> Faults:
    """Return the faults with each considered row under its first reason only."""
    left = considered.copy()
    masks: dict[Rejection, Bools] = {}
    for reason, mask in faults.items():
        masks[reason] = mask & left
        left &= ~mask
    return Faults(masks, malformed)


def examples(faults: Faults, table: RawTable, columns: Mapping[str, str], name: str) -> list[RejectedRow]:
    """Return at most 50 rejected rows, in the file's order, with the value that was wrong."""
    found = [
        RejectedRow(file=name, row=row.row, reason=Rejection.MALFORMED, value=f"too many fields: {row.text}"[:_SHOWN])
        for row in table.malformed[:EXAMPLES]
    ]
    for reason, mask in faults.masks.items():
        cells = table.frame[columns[_FIELD[reason]]][mask].iloc[:EXAMPLES] if mask.any() else pd.Series(dtype=object)
        found += [
            RejectedRow(file=name, row=int(row), reason=reason, value=_shown(value))
            for row, value in zip(cells.index, cells, strict=True)
        ]
    return sorted(found, key=lambda example: example.row)[:EXAMPLES]


def refuse_unreadable(
    raw: RawSales, columns: Mapping[str, str], unread: Mapping[Rejection, Bools], own: Bools, source: SalesFormat
) -> None:
    """Raise when a required column holds nothing that can be read in any of the tenant's own rows.

    Raises:
        DataError: names the file, the column, its first values, and what they look like.
    """
    for reason, what in _NEEDED.items():
        if own.any() and (unread[reason] | ~own).all():
            column = columns[_FIELD[reason]]
            texts = _first_values(raw.table.frame[column][own])
            shown = ", ".join(map(repr, texts)) or "nothing but blanks"
            raise DataError(
                f"{raw.part.label}: column {column!r} holds no {what} in any of its {int(own.sum())} rows; "
                f"its first values are {shown}{_hint(reason, texts, source)}"
            )


def _first_values(cells: pd.Series) -> list[str]:
    filled = cells[~is_blank(cells)]
    return [_shown(value) for value in filled.iloc[:_FIRST_VALUES]]


def _hint(reason: Rejection, texts: list[str], source: SalesFormat) -> str:
    if reason is Rejection.BAD_QUANTITY and looks_like_comma(texts):
        return ". The decimal sign looks like a comma: set decimal = ',' under [source], or leave it unset"
    if reason is Rejection.BAD_DATE:
        found = suggest_format(texts)
        hint = f"They look like {found!r}: set" if found else "Set"
        given = f" (it is {source.date_format!r} now)" if source.date_format else ""
        return f". {hint} date_format under [source]{given}; without one, dates are read as 2024-12-31 or ISO 8601"
    return ""


def _shown(value: object) -> str:
    return "" if pd.isna(value) else plain(value)[:_SHOWN]  # type: ignore[call-overload]
