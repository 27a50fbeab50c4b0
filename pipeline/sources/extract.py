"""Extraction: a tenant's source to its daily table, reading only what is new."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from contracts import ExtractionReport, FileSource, Tenant
from pipeline.errors import ConfigurationError, DataError, SourceNotFoundError
from pipeline.home import Home, write_atomically
from pipeline.settings import Settings
from pipeline.sources import store
from pipeline.sources.due import Job, Reading, cutoff, read_due
from pipeline.sources.files import FilesSource
from pipeline.sources.location import Location
from pipeline.sources.merge import merge
from pipeline.sources.partial import partial_last_day
from pipeline.sources.report import report_of, span
from pipeline.sources.state import FileState, State, ranks, rules_of
from pipeline.sources.store import load_report, load_sales
from pipeline.sources.values import as_text

__all__ = [
    "Extraction",
    "extract_sales",
    "load_report",
    "load_sales",
    "remember",
    "source_fingerprint",
    "taken_in",
    "taken_in_at",
    "tenants_named",
]


@dataclass(frozen=True)
class Extraction:
    """A tenant's daily table, the account of how it came to be, and whether the table has changed.

    Where nothing was new, the report is that of the last extraction that read anything.
    """

    daily: pd.DataFrame
    report: ExtractionReport
    changed: bool


def extract_sales(tenant: Tenant, home: Home, settings: Settings, now: dt.datetime | None = None) -> Extraction:
    """Bring a tenant's daily table up to date with its source.

    Files whose content has not changed are not taken again. A structural fault in any file leaves
    everything that is stored as it is.

    Raises:
        SourceError: a file is absent, unreadable, keeps changing, or lacks a column.
        DataError: a column holds nothing that can be read, or no sales are left at all.
        ConfigurationError: `now` has no time zone, or the source's settings cannot be used.
        PipelineError: the table cannot be written.
    """
    now = now or dt.datetime.now(dt.UTC)
    if now.tzinfo is None:
        raise ConfigurationError(f"now = {now} must carry a time zone, such as UTC")
    source, rules = FilesSource(tenant.source), rules_of(tenant, settings.max_quantity)
    with store.locked(home, tenant.id):
        state = store.load_state(home, tenant.id, rules)
        job = Job(tenant, settings, now, source, source.parts(), state, rules)
        readings, touched = read_due(job)
        return _take(job, home, readings, touched) if readings else _unchanged(job, home, touched)


def source_fingerprint(tenant: Tenant) -> str:
    """Return a hash that changes when the tenant's settings do, or a sales or covariates file; nothing is read.

    Raises:
        SourceNotFoundError: there are no sales.
    """
    listing: list[object] = [tenant.model_dump(mode="json"), FilesSource(tenant.source).parts()]
    if tenant.covariates is not None:
        try:
            listing.append(Location(tenant.covariates.path).parts())
        except SourceNotFoundError:
            listing.append("absent")  # Its coming is a change; its absence is for the calendar to report.
    return hashlib.sha256(json.dumps(listing, default=vars).encode()).hexdigest()


def remember(home: Home, tenant_id: str, fingerprint: str) -> None:
    """Note that the sales of this fingerprint have been taken in."""
    write_atomically(_remembered(home, tenant_id), fingerprint.encode())


def taken_in(home: Home, tenant_id: str) -> str | None:
    """Return the fingerprint of the files that were last taken in, None where there were none yet."""
    path = _remembered(home, tenant_id)
    return path.read_text(encoding="utf-8") if path.exists() else None


def taken_in_at(home: Home, tenant_id: str) -> int:
    """Return when files were last taken in, nanoseconds since 1970; 0 where they never were."""
    path = _remembered(home, tenant_id)
    return path.stat().st_mtime_ns if path.exists() else 0


def _remembered(home: Home, tenant_id: str) -> Path:
    return home.tenant(tenant_id) / "source_fingerprint"


def tenants_named(source: FileSource) -> list[str]:
    """Return the distinct values of the tenant column in a source's first file; none where it has no such column."""
    files = FilesSource(source)
    raw = files.read(files.parts()[0])
    column = source.mapping.tenant_id
    if raw is None or column not in raw.table.frame.columns:
        return []
    return list(as_text(raw.table.frame[column])[0].categories)


def _take(job: Job, home: Home, readings: Sequence[Reading], touched: Mapping[str, FileState]) -> Extraction:
    previous, by_file = store.load_stored(home, job.tenant.id)
    state = _new_state(job, readings, touched)
    merged = merge(
        _renamed(by_file, readings),
        [reading.cleaned.daily for reading in readings],
        _cutoffs(job, readings),
        ranks({name: file.since for name, file in state.files.items()}),
        job.tenant.source.overlap,
    )
    report = report_of(job, readings, merged, _partial(job, merged.rows, state))
    if merged.table.empty:
        raise _no_sales(job, report)
    store.save(home, job.tenant.id, merged, report, state)
    return Extraction(merged.table, report, changed=not merged.table.equals(previous))


def _unchanged(job: Job, home: Home, touched: Mapping[str, FileState]) -> Extraction:
    """Nothing new; but a last day that was partial may be so no longer."""
    table, by_file = store.load_stored(home, job.tenant.id)
    report = load_report(home, job.tenant.id)
    partial = _partial(job, by_file, job.state)
    if partial != report.partial_last_day:
        report = report.model_copy(update={"partial_last_day": partial})
        store.save_report(home, job.tenant.id, report)
    if touched:
        store.save_state(home, job.tenant.id, State(rules=job.rules, files={**job.state.files, **touched}))
    return Extraction(table, report, changed=False)


def _new_state(job: Job, readings: Sequence[Reading], touched: Mapping[str, FileState]) -> State:
    renamed = {reading.renamed_from for reading in readings}
    files = {name: file for name, file in job.state.files.items() if name not in renamed}
    read = {reading.part.name: reading.new_state(job.now) for reading in readings}
    return State(rules=job.rules, files={**files, **touched, **read})


def _renamed(rows: pd.DataFrame, readings: Sequence[Reading]) -> pd.DataFrame:
    names = {reading.renamed_from: reading.part.name for reading in readings if reading.renamed_from}
    return rows.assign(source_file=rows["source_file"].replace(names)) if names else rows


def _cutoffs(job: Job, readings: Sequence[Reading]) -> dict[str, dt.date]:
    """The day from which each part's stored rows give way; all of them when their meaning has changed."""
    if job.rebuild:
        return dict.fromkeys(job.names, pd.Timestamp.min.ceil("D").date())
    found = {reading.part.name: cutoff(reading, job.settings.lookback_days) for reading in readings}
    return {name: day for name, day in found.items() if day is not None}


def _partial(job: Job, rows: pd.DataFrame, state: State) -> dt.date | None:
    _, last = span(rows)
    if last is None:
        return None
    givers = rows.loc[rows["date"] == pd.Timestamp(last), "source_file"].unique()
    seen_on = [state.files[name].taken_at.astimezone(job.zone).date() for name in givers if name in state.files]
    closing: dict[dt.date, dt.time] = {}
    for file in state.files.values():
        for day, time in file.closing_times.items():
            closing[day] = max(time, closing.get(day, time))
    return partial_last_day(last, job.today, seen_on, closing)


def _no_sales(job: Job, report: ExtractionReport) -> DataError:
    reasons = ", ".join(f"{number} {reason}" for reason, number in report.rejected_by_reason.items()) or "none"
    shown = "; ".join(f"{e.file} row {e.row}: {e.reason} {e.value!r}" for e in report.examples[:3])
    return DataError(
        f"tenant {job.tenant.id!r}: no sales are left of {report.rows_read} rows in {report.files_read} files "
        f"(rejected: {reasons}){': ' if shown else ''}{shown}"
    )
