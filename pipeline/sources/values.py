"""Cells to text, numbers and yes-or-no; each distinct cell is looked at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.sources.mojibake import repaired

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Decimal = Literal[".", ","]

UNKNOWN_FLAG = -1
_YES = {"1", "true", "t", "yes", "y", "x", "ja", "si", "sí", "oui", "sim", "wahr", "vrai"}
_NO = {"0", "false", "f", "no", "n", "nein", "non", "não", "faux", "falsch"}
_GROUPS = {".": r",\u00a0\u202f '", ",": r".\u00a0\u202f '"}
_SNIFFED = 10_000


def distinct(cells: pd.Series) -> tuple[Ints, list[object]]:
    """Return (code of each cell, distinct values); a missing cell has the code -1."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return np.asarray(cells.cat.codes, dtype=np.int64), list(cells.cat.categories)
    codes, uniques = pd.factorize(cells)
    return np.asarray(codes, dtype=np.int64), list(uniques)


def spread(codes: Ints, values: npt.NDArray[Any], missing: object) -> npt.NDArray[Any]:
    """Return `values[codes]`, with `missing` where a code is -1."""
    padded = np.empty(len(values) + 1, dtype=values.dtype)
    padded[:-1], padded[-1] = values, missing
    return padded[codes]


def none_for_missing(column: pd.Series) -> pd.Series:
    """Return a column of objects with None for what is missing."""
    objects = column.astype(object)
    objects[column.isna().to_numpy()] = None
    return objects


def plain(value: object) -> str:
    """Return a cell's text: whole numbers without a decimal point, no space around."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def as_text(cells: pd.Series, mend: bool = False) -> tuple[pd.Categorical, Bools]:
    """Return cells as text in sorted categories, blank ones null, and which of them were mended."""
    codes, values = distinct(cells)
    before = [plain(value) for value in values]
    after = [repaired(text) for text in before] if mend else before
    changed = np.array([old != new for old, new in zip(before, after, strict=True)], dtype=bool)
    labels = sorted({text for text in after if text})
    place = {text: number for number, text in enumerate(labels)}
    numbers = np.array([place.get(text, -1) for text in after], dtype=np.int64)
    places = spread(codes, numbers, -1)
    text = pd.Categorical.from_codes(places, categories=pd.Index(labels, dtype=object))  # type: ignore[arg-type]
    return text, spread(codes, changed, False)


def as_numbers(cells: pd.Series, decimal: Decimal = ".") -> Floats:
    """Return cells as finite numbers; NaN where a cell is blank or holds no number."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    read = _reader(decimal)
    codes, values = distinct(cells)
    numbers = np.array([read(str(value)) for value in values], dtype=np.float64)
    return spread(codes, numbers, np.nan)


def as_flags(cells: pd.Series) -> tuple[npt.NDArray[np.int8], Bools]:
    """Return 1, 0 or -1 (unknown) for each cell, and which cells hold something that is neither yes nor no."""
    codes, values = distinct(cells)
    texts = [plain(value).lower() for value in values]
    flags = np.array([1 if t in _YES else 0 if t in _NO else UNKNOWN_FLAG for t in texts], dtype=np.int8)
    unread = np.array([bool(t) and t not in _YES | _NO for t in texts], dtype=bool)
    return spread(codes, flags, UNKNOWN_FLAG), spread(codes, unread, False)


def is_blank(cells: pd.Series) -> Bools:
    """Return which cells are missing or hold nothing but space."""
    codes, values = distinct(cells)
    blank = np.array([not plain(value) for value in values], dtype=bool)
    return spread(codes, blank, True)


def sniff_decimal(columns: Iterable[pd.Series], delimiter: str | None) -> Decimal:
    """Return the decimal sign of a file's numbers.

    Groups of three digits are no evidence (1,250 may be either); then a comma is the decimal sign
    where it is not the delimiter as well.
    """
    texts = [str(value).strip() for cells in columns for value in _some_texts(cells)]
    comma = any(_decides(text, ",", ".") for text in texts)
    point = any(_decides(text, ".", ",") for text in texts)
    if comma != point:
        return "," if comma else "."
    undecided = not comma and any("," in text for text in texts)
    return "," if undecided and delimiter not in (None, ",") else "."


def looks_like_comma(texts: Iterable[str]) -> bool:
    """Say whether some texts read as numbers with a decimal comma."""
    return any(re.fullmatch(r"[+-]?\d+,\d+", text.strip()) for text in texts)


def _some_texts(cells: pd.Series) -> list[object]:
    return [] if pd.api.types.is_numeric_dtype(cells.dtype) else distinct(cells)[1][:_SNIFFED]


def _decides(text: str, sign: str, other: str) -> bool:
    """Whether `sign` can only be the decimal sign of this number."""
    if sign not in text or text.count(sign) > 1 or text.rfind(other) > text.rfind(sign):
        return False
    whole, _, part = text.rpartition(sign)
    digits = whole.replace(other, "").lstrip("+-")
    if not (part.isdigit() or not part) or not (digits.isdigit() or not digits):
        return False
    return other in whole or len(part) != 3 or digits in ("", "0") or len(digits) > 3


def _reader(decimal: Decimal) -> Callable[[str], float]:
    groups = _GROUPS[decimal]
    number = re.compile(
        rf"[+-]?(?:\d+|\d{{1,3}}(?:[{groups}]\d{{3}})+)?(?:{re.escape(decimal)}\d*)?(?:[eE][+-]?\d{{1,3}})?", re.ASCII
    )
    grouping = re.compile(f"[{groups}]")

    def read(text: str) -> float:
        text = text.strip().replace("\u2212", "-")
        if not number.fullmatch(text):
            return np.nan
        try:
            value = float(grouping.sub("", text).replace(decimal, "."))
        except ValueError:  # A sign or a decimal sign alone, which the pattern lets through.
            return np.nan
        return value if np.isfinite(value) else np.nan

    return read
