"""The contract of a source of sales: every source must pass `SalesSourceContract`."""

from __future__ import annotations

import abc
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import SourceNotFoundError
from pipeline.sources.base import Part, SalesSource

MORNING = pd.DataFrame(
    {"date": ["2024-01-01", "2024-01-02"], "product_id": ["bread, dark", 'a "roll"\nof two'], "quantity": [3.0, -1.5]}
)
EVENING = pd.DataFrame({"date": ["2024-01-03"], "product_id": ["crème 🥐"], "quantity": [7.0]})


class SalesSourceContract(abc.ABC):
    """Subclass this, say how to store a part, and pytest runs the contract."""

    @abc.abstractmethod
    def open(self, place: Path) -> SalesSource:
        """Return the source at a place."""

    @abc.abstractmethod
    def put(self, place: Path, name: str, rows: pd.DataFrame) -> None:
        """Store rows as the part `name`, replacing what it held."""

    @abc.abstractmethod
    def remove(self, place: Path, name: str) -> None:
        """Remove the part `name`."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the source under test lies, with two parts."""
        self.put(tmp_path, "evening", EVENING)
        self.put(tmp_path, "morning", MORNING)
        return tmp_path

    def part(self, source: SalesSource, name: str) -> Part:
        """Return the one listed part whose name holds `name`."""
        (part,) = [part for part in source.parts() if name in part.name]
        return part

    def test_lists_every_part_in_order(self, place: Path) -> None:
        """A listing names every part once, in order of name, and again the same."""
        parts = self.open(place).parts()
        assert len(parts) == 2
        assert [part.name for part in parts] == sorted(part.name for part in parts)
        assert self.open(place).parts() == parts

    def test_reads_every_row_as_it_is(self, place: Path) -> None:
        """Rows come with all their columns and values, numbered from 1."""
        source = self.open(place)
        raw = source.read(self.part(source, "morning"))
        assert raw is not None
        frame = raw.table.frame
        assert list(frame.columns) == list(MORNING.columns)
        assert list(frame.index) == [1, 2]
        assert list(frame["product_id"]) == list(MORNING["product_id"])
        assert [float(value) for value in frame["quantity"]] == list(MORNING["quantity"])
        assert [str(value)[:10] for value in frame["date"]] == list(MORNING["date"])

    def test_known_content_is_not_read_again(self, place: Path) -> None:
        """A part whose hash is known gives None until its content changes."""
        source = self.open(place)
        first = source.read(self.part(source, "evening"))
        assert first is not None
        assert source.read(self.part(source, "evening"), first.sha256) is None
        self.put(place, "evening", MORNING)
        second = source.read(self.part(source, "evening"), first.sha256)
        assert second is not None
        assert second.sha256 != first.sha256

    def test_content_alone_makes_the_hash(self, place: Path) -> None:
        """Two parts of equal content have the same hash."""
        self.put(place, "morning", EVENING)
        source = self.open(place)
        hashes = {raw.sha256 for part in source.parts() if (raw := source.read(part)) is not None}
        assert len(hashes) == 1

    def test_a_vanished_part_is_named(self, place: Path) -> None:
        """Reading a part that has gone since the listing is a clear error."""
        source = self.open(place)
        part = self.part(source, "evening")
        self.remove(place, "evening")
        with pytest.raises(SourceNotFoundError, match="evening"):
            source.read(part)

    def test_an_empty_source_is_an_error(self, place: Path) -> None:
        """A source without any part says so."""
        self.remove(place, "evening")
        self.remove(place, "morning")
        with pytest.raises(SourceNotFoundError):
            self.open(place).parts()
