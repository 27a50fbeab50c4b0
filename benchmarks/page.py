"""What a benchmark is asked for, and what it gives."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

SPECIAL = {"|": "\\|", "\n": " "}


@dataclass(frozen=True)
class Choice:
    """Which tasks and systems to measure; None: all that are at hand."""

    tasks: tuple[str, ...] | None = None
    systems: tuple[str, ...] | None = None

    def takes(self, *, task: str | None = None, system: str | None = None) -> bool:
        """Return whether a task, or a system, is to be measured."""
        wanted = (task is None or self.tasks is None or task in self.tasks) and (
            system is None or self.systems is None or system in self.systems
        )
        return bool(wanted)


@dataclass(frozen=True)
class Page:
    """A page in Markdown, and the plots beside it as SVG, by file name."""

    text: str
    plots: Mapping[str, str] = field(default_factory=dict)


class Steps:
    """The bar on stderr: what is being measured, how much is left, how long it has taken."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=total)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Show what is being done; one step is done after it."""
        self._progress.update(self._bar, description=what)
        yield
        self._progress.advance(self._bar)

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)


@contextmanager
def steps(total: int) -> Iterator[Steps]:
    """Show a bar of so many steps."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield Steps(progress, total)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, its first column text and the others figures, and an empty line."""
    lines = [headings, ["---", *("--:" for _ in headings[1:])], *rows]
    return [f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines] + [""]


def verdict(held: bool) -> str:
    """Return how a page says whether something is as good as it has to be."""
    return "held" if held else "**missed**"


def figure(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """Return a number with so many decimals; a dash where there is none."""
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "-"
    return f"{value:{'+' if sign else ''},.{digits}f}"


def _cell(text: str) -> str:
    for mark, instead in SPECIAL.items():
        text = text.replace(mark, instead)
    return text
