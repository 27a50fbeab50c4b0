"""Reads windows from files: bad lines are told and set aside, repeats dropped, contradictions told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from contracts import ServingMetricsWindow
from pipeline.monitoring.lines import Line, lines_of
from pipeline.monitoring.serving.discover import metrics_files
from pipeline.monitoring.serving.faults import Fault, Faults, shown, why

LONGEST = 65_536
"""Bytes of a line that is looked at; a window has between one and two thousand."""
LONGEST_VALUE = 60
"""Letters that a reason shows of a value."""
FAULTS_OF_A_LINE = 3
CONFLICTS_TOLD = 1_000
UNUSABLE_TOLD = 20
TORN = "the last line is torn: it ends within the record, without a newline"
LAST = dt.datetime.max.replace(tzinfo=dt.UTC)
FIGURES = itemgetter(*(name for name in ServingMetricsWindow.model_fields if name != "heartbeat_emitted_at"))


class Source(NamedTuple):
    """Whom a window is of."""

    deployment_id: str
    endpoint_name: str
    model_name: str
    model_version: str
    bundle_id: str
    input_dataset_name: str
    input_dataset_version: str


class Window(NamedTuple):
    """What is kept of a window: what health needs, and where it was read."""

    source: Source
    start: dt.datetime
    end: dt.datetime
    heartbeat: dt.datetime
    requests: int
    failures: int
    rejected: int
    p95: float
    p99: float
    figures: int
    """Hash of all that was reported but the heartbeat: two that report the same are told apart from two that do not."""
    path: str
    line: int


class Conflict(NamedTuple):
    """Two reports of the same window that say different things."""

    deployment_id: str
    endpoint_name: str
    window_start: dt.datetime
    window_end: dt.datetime
    kept: str
    """File and line of the one that counts: the one with the later heartbeat, else the first."""
    dropped: str
    reason: str


Key = tuple[str, str, dt.datetime, dt.datetime]


@dataclass
class Read:
    """What a folder holds."""

    windows: list[Window]
    """Each once, by deployment, endpoint, start and end."""
    files: int
    repeats: int
    """Windows that were reported again in the same words."""
    faults: list[Fault]
    fault_count: int
    conflicts: list[Conflict]
    conflict_count: int
    unusable: list[Fault] = field(default_factory=list)
    """The first fault of files and folders that gave no window at all, of `unusable_count`."""
    unusable_count: int = 0


def read_windows(
    root: Path, since: dt.datetime | None = None, until: dt.datetime | None = None, *, strict: bool = False
) -> Read:
    """Read the windows below a folder.

    Args:
        root: holds `{YYYY-MM-DD}/{HH}/*.jsonl`; it need not be there.
        since: read the hours from this moment's on, by the names of the folders; None: all.
        until: a window that ends later is a fault: it has not been yet, and would hide for as long that its server is
            silent; None: none is.
        strict: raise at the first fault instead of setting it aside.

    Raises:
        MetadataError: with `strict`, a file, a folder or a line cannot be used; names it and says why.
    """
    faults, found, files = Faults(strict=strict), _Found(until or LAST), 0
    for path in metrics_files(root, since, faults):
        files += 1
        try:
            _read_file(path, lines_of(path, LONGEST), found, faults)
        except OSError as error:
            faults.add(path, why(error))
    windows = sorted(found.kept.values(), key=lambda one: (*one.source[:2], one.start, one.end))
    unusable = faults.without(found.used)
    return Read(
        windows,
        files,
        found.repeats,
        faults.told,
        faults.count,
        found.conflicts,
        found.conflict_count,
        unusable[:UNUSABLE_TOLD],
        len(unusable),
    )


def _read_file(path: Path, lines: Iterable[Line], found: _Found, faults: Faults) -> None:
    name = shown(path)
    for line in lines:
        if line.content is None:
            faults.add(path, f"the line is longer than {LONGEST:,} bytes, more than any window has", line.number)
            continue
        try:
            window = ServingMetricsWindow.model_validate_json(line.content)
        except ValidationError as error:
            reason = _reason(error, line)
            faults.add(path, reason, line.number, passing=reason == TORN)
        else:
            if window.window_end > found.until:
                end, now = (f"{one:%Y-%m-%d %H:%M:%S}" for one in (window.window_end, found.until))
                faults.add(path, f"window_end: {end} UTC is in the future, beyond {now} UTC", line.number)
                continue
            found.add(window, name, line.number)


@dataclass
class _Found:
    """The windows so far, none of which ends after `until`."""

    until: dt.datetime = LAST
    kept: dict[Key, Window] = field(default_factory=dict)
    repeats: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    conflict_count: int = 0
    used: set[str] = field(default_factory=set)
    """Files that gave a window."""
    _sources: dict[Source, Source] = field(default_factory=dict)

    def add(self, read: ServingMetricsWindow, path: str, line: int) -> None:
        """Keep a window, unless it was there before; of two the one with the later heartbeat."""
        self.used.add(path)
        new = self._compact(read, path, line)
        key = (new.source.deployment_id, new.source.endpoint_name, new.start, new.end)
        old = self.kept.setdefault(key, new)
        if old is new:
            return
        kept, dropped = (new, old) if new.heartbeat > old.heartbeat else (old, new)
        self.kept[key] = kept
        if new.figures == old.figures:
            self.repeats += 1
            return
        self.conflict_count += 1
        if self.conflict_count <= CONFLICTS_TOLD:
            self.conflicts.append(_conflict(kept, dropped))

    def _compact(self, read: ServingMetricsWindow, path: str, line: int) -> Window:
        source = Source(
            read.deployment_id,
            read.endpoint_name,
            read.model_name,
            read.model_version,
            read.bundle_id,
            read.input_dataset_name,
            read.input_dataset_version,
        )
        return Window(
            self._sources.setdefault(source, source),
            read.window_start,
            read.window_end,
            read.heartbeat_emitted_at,
            read.request_count,
            read.failure_count,
            read.rejected_count,
            read.latency_p95_ms,
            read.latency_p99_ms,
            _hash(read),
            path,
            line,
        )


def _hash(read: ServingMetricsWindow) -> int:
    return hash(FIGURES(read.__dict__))


def _conflict(kept: Window, dropped: Window) -> Conflict:
    if kept.heartbeat > dropped.heartbeat:
        why_kept = (
            f"kept: the one with the later heartbeat, {kept.heartbeat:%H:%M:%S} against {dropped.heartbeat:%H:%M:%S}"
        )
    else:
        why_kept = "kept: the first of two with the same heartbeat"
    return Conflict(
        kept.source.deployment_id,
        kept.source.endpoint_name,
        kept.start,
        kept.end,
        f"{kept.path}, line {kept.line}",
        f"{dropped.path}, line {dropped.line}",
        f"{_figures(kept)} against {_figures(dropped)}; {why_kept}",
    )


def _figures(window: Window) -> str:
    return (
        f"{window.requests:,} requests, {window.failures:,} failed, {window.rejected:,} rejected, "
        f"p95 {window.p95:g} ms, p99 {window.p99:g} ms"
    )


def _reason(error: ValidationError, line: Line) -> str:
    """What is wrong with a line, in words."""
    content = line.content or b""
    try:
        content.decode()
    except UnicodeDecodeError as wrong:
        return f"it is not UTF-8: byte 0x{content[wrong.start]:02x} at place {wrong.start + 1}"
    faults = error.errors(include_url=False)
    if faults[0]["type"] == "json_invalid":
        if not line.ended:
            return TORN
        return str(faults[0]["msg"])
    told = [f"{_place(one['loc'])}{one['msg']}{_value(one['type'], one['input'])}" for one in faults[:FAULTS_OF_A_LINE]]
    more = len(faults) - FAULTS_OF_A_LINE
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _place(loc: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, loc))[:LONGEST_VALUE]}: " if loc else ""


def _value(kind: str, value: object) -> str:
    """The value at fault; of a field that is missing, or of the whole record, there is none to show."""
    if kind == "missing" or isinstance(value, dict | list):
        return ""
    text = repr(value)
    return f", not {text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + '…'}"
