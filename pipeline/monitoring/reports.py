"""The checks of metadata files, in one form for every contract; they stop where the next would make no sense."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from contracts import CheckReport, CheckResult, Contract, DatasetMetadata, LineageEvent
from pipeline.errors import MetadataError
from pipeline.monitoring.adapters import Adapter
from pipeline.monitoring.artefacts import Found, contract_of, find
from pipeline.monitoring.freshness import freshness_of
from pipeline.monitoring.lineage.log import LONGEST, cut_off
from pipeline.monitoring.lines import Line, lines_of
from pipeline.monitoring.metadata import MAX_BYTES, TOLD, parsed, shown, told

LINES = (".ndjson", ".jsonl")
"""Endings of files that hold a JSON object a line."""
WHOLE_LINES, VALID_JSON, CONTRACT = "lines_whole", "valid_json", "contract_kept"


def report_on(
    path: Path, adapters: Sequence[Adapter], now: dt.datetime, contract: type[Contract] | None = None
) -> CheckReport:
    """Return the checks of what lies at a path; `contract` is that of each line, told by its fields when None."""
    checks = _of_lines(path, contract) if path.suffix.lower() in LINES else _of_one(path, adapters, now)
    results = tuple(checks)
    return CheckReport(metadata_path=shown(path), all_passed=all(result.passed for result in results), results=results)


def _of_one(path: Path, adapters: Sequence[Adapter], now: dt.datetime) -> Iterator[CheckResult]:
    yield (there := _exists(path))
    if not there.passed:
        return
    try:
        found = find(path, adapters)
    except MetadataError as error:
        yield _failed(VALID_JSON, error)
        return
    yield CheckResult(check=VALID_JSON, passed=True, detail=f"read as {found.how}")
    if found.contract is DatasetMetadata:
        yield from _of_dataset(found, now)
    else:
        yield _kept(found)


def _of_dataset(found: Found, now: dt.datetime) -> Iterator[CheckResult]:
    for name in ("dataset_name", "dataset_version"):
        value = found.values.get(name)
        passed = isinstance(value, str) and bool(value.strip())
        source = f", looked for at {found.sources[name]}" if name in found.sources else ""
        wrong = f"{name} is {value!r:.80}{source}; it must be a text that is not blank"
        yield CheckResult(check=f"{name}_present", passed=passed, detail=f"{value:.200}" if passed else wrong)
        if not passed:
            return
    try:
        result = freshness_of(found.of(DatasetMetadata), now, 0)
    except MetadataError as error:
        yield _failed("freshness_computable", error)
        return
    seconds = f"built {result.freshness_seconds:.0f} seconds ago"
    yield CheckResult(check="freshness_computable", passed=True, detail=seconds)


def _kept(found: Found) -> CheckResult:
    try:
        found.metadata()
    except MetadataError as error:
        return _failed(CONTRACT, error)
    return CheckResult(check=CONTRACT, passed=True, detail=found.contract.__name__)


def _exists(path: Path) -> CheckResult:
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return CheckResult(check="file_exists", passed=False, detail=f"{shown(path)}: {reason}")
    return CheckResult(check="file_exists", passed=True, detail="a folder" if path.is_dir() else f"{size} bytes")


def _failed(check: str, error: Exception) -> CheckResult:
    return CheckResult(check=check, passed=False, detail=str(error))


@dataclass
class _Faults:
    """Faults of lines by check; the first are told, all are counted."""

    words: dict[str, list[str]] = field(default_factory=lambda: {WHOLE_LINES: [], VALID_JSON: [], CONTRACT: []})
    counts: dict[str, int] = field(default_factory=lambda: {WHOLE_LINES: 0, VALID_JSON: 0, CONTRACT: 0})

    def add(self, check: str, number: int, fault: str) -> None:
        """Note what is wrong with a line."""
        self.counts[check] += 1
        if len(self.words[check]) < TOLD:
            self.words[check].append(f"line {number}: {fault}")

    def result(self, check: str, well: str) -> CheckResult:
        """Return what was found."""
        more = self.counts[check] - len(self.words[check])
        detail = "; ".join(self.words[check]) + (f"; and {more} more" if more > 0 else "")
        return CheckResult(check=check, passed=not detail, detail=detail or well)


def _of_lines(path: Path, contract: type[Contract] | None) -> Iterator[CheckResult]:
    """A line that fails a check is set aside for the next ones; the others are looked at."""
    yield (there := _exists(path))
    if not there.passed:
        return
    faults, good, torn = _Faults(), 0, ""
    try:
        for line in lines_of(path, _longest(contract), follow=True):
            # A lineage line that was cut off has the next event after it; of other files the last alone may be torn.
            if line.content and (contract is LineageEvent or not line.ended) and cut_off(line.content):
                torn = f"; line {line.number} has no end, as while it is being written, and is left out"
                continue
            good += _judged(line, contract, faults)
    except OSError as error:
        yield CheckResult(check=WHOLE_LINES, passed=False, detail=f"{shown(path)}: {error.strerror or error}")
        return
    yield faults.result(WHOLE_LINES, f"every line is whole{torn}")
    yield faults.result(VALID_JSON, "every line is a JSON object")
    yield faults.result(CONTRACT, f"{good} lines keep it")


def _longest(contract: type[Contract] | None) -> int:
    """Bytes of a line beyond which it is none of that contract."""
    return LONGEST if contract is LineageEvent else MAX_BYTES


def _judged(line: Line, contract: type[Contract] | None, faults: _Faults) -> int:
    """Note the first fault of a line; 1 where there is none."""
    if line.content is None:
        faults.add(WHOLE_LINES, line.number, f"more than {_longest(contract)} bytes, too many for metadata")
        return 0
    try:
        values = parsed(line.content, "the line")
    except MetadataError as error:
        faults.add(VALID_JSON, line.number, str(error))
        return 0
    if not isinstance(values, dict):
        faults.add(VALID_JSON, line.number, "it must be a JSON object")
        return 0
    try:
        (contract or contract_of(values)).model_validate_json(line.content)
    except ValidationError as error:
        faults.add(CONTRACT, line.number, told(error))
        return 0
    return 1
