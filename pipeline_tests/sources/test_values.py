"""Cells to numbers, flags and text."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.mojibake import repaired
from pipeline.sources.values import as_flags, as_numbers, as_text, plain, sniff_decimal


@pytest.mark.parametrize("text", ["", "x", "inf", "nan", "1_000", "0x1", "1.2.3", "12,34", "+", ".", "e5", "1e999"])
def test_what_is_no_number(text: str) -> None:
    """Words, infinities, hexadecimal and torn groups are no numbers."""
    assert math.isnan(as_numbers(pd.Series([text], dtype=object))[0])


@given(number=st.floats(-1e9, 1e9), sign=st.sampled_from([".", ","]))
def test_printed_numbers_come_back(number: float, sign: str) -> None:
    """Any number, printed with either sign, with or without groups, is read as what it was."""
    grouped = f"{number:,.3f}" if sign == "." else f"{number:,.3f}".translate(str.maketrans(",.", ".,"))
    plain_text = repr(number).replace(".", sign)
    found = as_numbers(pd.Series([grouped, plain_text], dtype=object), sign)
    assert found[0] == pytest.approx(number, abs=6e-4)
    assert found[1] == number


@pytest.mark.parametrize(
    ("texts", "delimiter", "sign"),
    [
        (["1,5"], ",", ","),
        (["1.5"], ";", "."),
        (["1.250,5"], ";", ","),
        (["1,250.5"], ";", "."),
        (["1,250"], ";", ","),
        (["1,250"], ",", "."),
        (["1,250"], None, "."),
        (["1.250"], ";", "."),
        (["0,125"], ",", ","),
        (["1,5", "1.5"], ";", "."),
        (["1.5", "1,250"], ";", "."),
        (["12", "bread, dark"], ",", "."),
    ],
)
def test_the_decimal_sign_is_found(texts: list[str], delimiter: str | None, sign: str) -> None:
    """The sign that can only be the decimal sign wins; groups of three are settled by the delimiter."""
    assert sniff_decimal([pd.Series(texts, dtype=object)], delimiter) == sign


def test_flags_in_several_languages() -> None:
    """Yes and no are understood in the usual spellings; anything else is unknown and noted."""
    cells = pd.Series(["Yes", "sí", "1", "TRUE", "no", "Nein", "0", "", "soon", None], dtype=object)
    flags, unread = as_flags(cells)
    assert list(flags) == [1, 1, 1, 1, 0, 0, 0, -1, -1, -1]
    assert list(unread) == [False] * 8 + [True, False]
    assert list(as_flags(pd.Series([True, False]))[0]) == [1, 0]
    assert list(as_flags(pd.Series([1.0, 0.0, None]))[0]) == [1, 0, -1]


def test_text_of_numbers() -> None:
    """Whole numbers lose the decimal point that a missing value gave their column; blanks are null."""
    text, mended = as_text(pd.Series([7.0, 7.5, None]))
    assert [str(value) for value in text] == ["7", "7.5", "nan"]
    assert not mended.any()
    assert plain("  a b ") == "a b"


@pytest.mark.parametrize(
    ("mangled", "meant"),
    [
        ("CafÃ©", "Café"),
        ("GlÃ¶ckÃ¤", "Glöckä"),
        ("Ã\u0083Â©clair", "éclair"),
        ("Å\u0093uf", "œuf"),
        ("ðŸ¥\u0090", "🥐"),
        ("Café", "Café"),
        ("Ã", "Ã"),
        ("Â£5", "£5"),
        ("CafÃ© Café", "CafÃ© Café"),
        ("naïve", "naïve"),
        ("面包", "面包"),
    ],
)
def test_mojibake(mangled: str, meant: str) -> None:
    """Names mangled once or twice are mended; proper and doubtful names are left alone."""
    assert repaired(mangled) == meant
