"""The lineage log: events appended to a file a UTC day, and read again whatever became of the files."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from contracts import LineageEvent
from pipeline.appending import append_lines
from pipeline.monitoring.lines import lines_of

LONGEST = 64 * 2**20
"""Bytes of a line beyond which it is none of ours: a forecast of 10,000 products tells of as many models."""
MOST_FAULTS = 100
"""Faulty lines of one file that are named."""
TORN = "torn: it has no end, and is no whole JSON"
FEW = 8
"""Texts up to which looking through a line for each costs less than parsing it."""
_DAY = re.compile(r"lineage-(\d{4}-\d{2}-\d{2})\.ndjson")
_LOG = logging.getLogger(__name__)


class Ref(NamedTuple):
    """One version of a data set or a model, by its names."""

    name: str
    version: str


class Step(NamedTuple):
    """One event as it was read: its form is that of LineageEvent, its values were not all looked at."""

    event_type: str
    event_time: str
    inputs: dict[str, Ref]
    outputs: dict[str, Ref]
    metadata: dict[str, Any]


@dataclass(frozen=True)
class FaultyLine:
    """A line that is no event, or a file that cannot be read (line 0)."""

    file: str
    line: int
    fault: str

    @property
    def torn(self) -> bool:
        """Whether it only lacks its end: its writer was cut off, or is at it."""
        return self.fault == TORN

    def __str__(self) -> str:
        """A sentence."""
        return f"{self.file}, line {self.line}: {self.fault}" if self.line else f"{self.file}: {self.fault}"


def record(folder: Path, events: Sequence[LineageEvent], now: dt.datetime | None = None) -> bool:
    """Append events to the file of the day; say whether they are on disk.

    All lines go in one write. Nothing is raised: what was made is worth more than the note of it, and the check of the
    lineage names what lacks its note.
    """
    path = folder / f"lineage-{now or dt.datetime.now(dt.UTC):%Y-%m-%d}.ndjson"
    try:
        if events:
            append_lines(path, b"".join(event.model_dump_json().encode() + b"\n" for event in events))
    except OSError as error:
        _LOG.warning("%d lineage events could not be written to %s: %s", len(events), path, error.strerror or error)
        return False
    return True


def day_of(path: Path) -> dt.date | None:
    """Return the day of a lineage file; None where the name is none of ours."""
    found = _DAY.fullmatch(path.name)
    try:
        return dt.date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def day_files(folder: Path, first: dt.date = dt.date.min) -> list[Path]:
    """Return the files from a day on, the oldest first; none where there is no folder."""
    try:
        found = {day: path for path in folder.iterdir() if (day := day_of(path)) is not None and day >= first}
    except OSError:
        return []
    return [found[day] for day in sorted(found)]


@dataclass
class Reader:
    """Reads lineage files; what cannot be read is kept in `faults` with its place, once, and the rest goes on."""

    _faults: dict[str, dict[int, FaultyLine]] = field(default_factory=dict)

    @property
    def faults(self) -> list[FaultyLine]:
        """What could not be read, each line once."""
        return [fault for of_file in self._faults.values() for fault in of_file.values()]

    def steps(
        self, path: Path, having: Collection[str] | None = None, known: dict[int, Step | None] | None = None
    ) -> Iterator[tuple[int, Step]]:
        """Yield the events of a file with their lines.

        Args:
            path: the file.
            having: only those whose line holds one of these texts.
            known: what lines of this file were found to be before; what is found now is added.
        """
        if having is not None and not having:
            return
        holds = _holding(having)
        known = {} if known is None else known
        for number, line in self.lines(path):
            if not holds(line):
                continue
            if number not in known:
                known[number] = self.step(path, number, line)
            if (step := known[number]) is not None:
                yield number, step

    def step(self, path: Path, number: int, line: bytes) -> Step | None:
        """Return the event of a line; None where it is none, which is noted."""
        try:
            return step_of(from_json(line, allow_inf_nan=False))
        except ValueError as error:
            self.note(path, number, TORN if cut_off(line) else f"no event: {_told(error)}")
            return None

    def lines(self, path: Path) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of a file that are not empty, with their numbers, from 1 on."""
        number = 0
        try:
            for number, content, _ in lines_of(path, LONGEST, follow=True):
                if content is None:
                    self.note(path, number, f"longer than {LONGEST >> 20} MB")
                else:
                    yield number, content
        except OSError as error:
            self.note(path, 0, f"cannot be read beyond line {number}: {error.strerror or error}")

    def note(self, path: Path, number: int, fault: str) -> None:
        """Keep a fault."""
        of_file = self._faults.setdefault(path.name, {})
        if len(of_file) < MOST_FAULTS:
            of_file[number] = FaultyLine(path.name, number, fault)
        elif number not in of_file:
            of_file[-1] = FaultyLine(path.name, number, f"the last of more than {MOST_FAULTS} faulty lines")


def cut_off(line: bytes) -> bool:
    """Return whether a line is the beginning of a JSON object: its writer was cut off, or is at it."""
    try:
        from_json(line)
    except ValueError:
        try:
            return isinstance(from_json(line, allow_partial=True), dict)
        except ValueError:
            return False
    return False


def step_of(event: Any) -> Step:
    """Return an event as a step.

    Raises:
        ValueError: it has not the form of a LineageEvent.
    """
    try:
        kind, moment, metadata = _text(event["event_type"]), _text(event["event_time"]), event["metadata"]
        metadata.items()  # It has to be an object.
        return Step(kind, moment, _refs(event["inputs"]), _refs(event["outputs"]), metadata)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it has not the form of a LineageEvent: {type(error).__name__} {error}") from error


def _refs(side: Any) -> dict[str, Ref]:
    return {role: Ref(_text(one["name"]), _text(one["version"])) for role, one in side.items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"{value!r} is no text")


def _holding(texts: Collection[str] | None) -> Callable[[bytes], bool]:
    """What tells whether a line may hold one of the texts, in less time than it takes to parse it."""
    if texts is None or len(texts) > FEW:
        return lambda line: True
    needles = {needle for text in texts for needle in _written(text)}
    return lambda line: any(needle in line for needle in needles)


def _written(text: str) -> set[bytes]:
    """How a text may stand in a line."""
    return {json.dumps(text, ensure_ascii=ascii_)[1:-1].encode("utf-8", "replace") for ascii_ in (True, False)}


def _told(error: ValueError) -> str:
    return str(error)[:200]
