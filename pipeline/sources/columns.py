"""Which column of a file holds which field."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from contracts import ColumnMapping
from pipeline.errors import MissingColumnsError

REQUIRED = ("date", "product_id", "quantity")


def resolve(found: Sequence[str], mapping: ColumnMapping, label: str) -> dict[str, str]:
    """Return the column of each field that the part has, which messages call `label`.

    Raises:
        MissingColumnsError: a required column is absent, or an optional one that the mapping names itself.
    """
    defaults = ColumnMapping()
    columns = mapping.model_dump()
    needed = {
        field: column for field, column in columns.items() if field in REQUIRED or column != getattr(defaults, field)
    }
    missing = {field: column for field, column in needed.items() if column not in found}
    if missing:
        raise MissingColumnsError(_message(missing, found, label))
    return {field: column for field, column in columns.items() if column in found}


def _message(missing: dict[str, str], found: Sequence[str], label: str) -> str:
    wanted = ", ".join(repr(column) for column in missing.values())
    field = next(iter(missing))
    guess = _guess(field, missing[field], found)
    return (
        f"{label} has no column {wanted}; found {', '.join(map(repr, found))}. "
        f"Say which column holds which field, such as --map {field}={guess} "
        f"or {field} = {guess!r} under [source.mapping] in the tenant's file"
    )


def _guess(field: str, column: str, found: Sequence[str]) -> str:
    by_lower = {other.lower(): other for other in found}
    near = difflib.get_close_matches(column.lower(), by_lower, n=1, cutoff=0.4)
    near = near or difflib.get_close_matches(field, by_lower, n=1, cutoff=0.4)
    return by_lower[near[0]] if near else "NAME"
