"""Tables at a terminal: they fit, lose no figure, and say what they leave out."""

from __future__ import annotations

import pytest

from pipeline.commands.shared import show

ROWS = [
    {"tenant": "maison_perrache", "trained": 21, "insufficient": 0, "WAPE": 0.176, "naive WAPE": 0.27, "error": "-35%"},
    {"tenant": "webshop", "trained": 3, "insufficient": 12, "WAPE": 0.41, "naive WAPE": 0.55, "error": "-26%"},
]
NUMBERS = ("trained", "insufficient", "WAPE", "naive WAPE", "error")


@pytest.mark.parametrize("width", range(60, 100, 4))
def test_no_figure_is_lost(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the least that all columns need fits, every value is there, and no line is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    show(ROWS, False, "Results", right=NUMBERS)
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= width
    assert {"-35%", "-26%", "0.176", "0.410", "0.270", "12"} <= set(told.split())


def test_what_is_left_out_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns that a narrow terminal has no room for are named below the table, with the way to all."""
    monkeypatch.setenv("COLUMNS", "48")
    show(ROWS, False, "Results", right=NUMBERS, spare=("insufficient", "trained"))
    told = capsys.readouterr().out
    assert "too narrow for insufficient" in " ".join(told.split())
    assert "--json has all" in " ".join(told.split())
