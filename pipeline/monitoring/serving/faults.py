"""What is wrong with metrics files, told with its place and set aside; or, in strict mode, raised at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import MetadataError

TOLD_OF_A_FILE = 20
"""Faults of one file that are told; the others are counted: a file of another kind has one in every line."""
TOLD = 1_000
"""The same of all files together."""


class Fault(NamedTuple):
    """One thing that could not be used."""

    path: str
    line: int | None
    """Number of the line, from 1; None: the file or the folder as a whole."""
    reason: str

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}, line {self.line}"
        return f"{place}: {self.reason}"


class Faults:
    """The faults of one reading."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._of_file: Counter[str] = Counter()
        self._first: dict[str, Fault] = {}
        self.told: list[Fault] = []

    @property
    def count(self) -> int:
        """How many there are, those that are not told as well."""
        return self._of_file.total()

    def without(self, used: Collection[str]) -> list[Fault]:
        """Return the first lasting fault of each file or folder of which nothing was used."""
        return [fault for path, fault in self._first.items() if path not in used]

    def add(self, path: Path, reason: str, line: int | None = None, *, passing: bool = False) -> None:
        """Take a fault down; one that is `passing` may be well at the next look.

        Raises:
            MetadataError: the reading is strict; names file, line and reason.
        """
        fault = Fault(shown(path), line, reason)
        if self._strict:
            raise MetadataError(str(fault))
        self._of_file[fault.path] += 1
        if not passing:
            self._first.setdefault(fault.path, fault)
        if self._of_file[fault.path] <= TOLD_OF_A_FILE and len(self.told) < TOLD:
            self.told.append(fault)


def shown(path: Path) -> str:
    """Return a path as text that can be printed and stored, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def why(error: OSError) -> str:
    """Return in words why a file or a folder could not be read."""
    if isinstance(error, FileNotFoundError):
        return "it vanished while it was read; what it held is not counted"
    return f"it cannot be read: {error.strerror or error}"
