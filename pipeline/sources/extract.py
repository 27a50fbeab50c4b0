"""Extraction: a tenant's source to its daily table, reading only what is new."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from contracts import ExtractionReport, Tenant
from pipeline.errors import ConfigurationError, DataError, SourceError, SourceNotFoundError
from pipeline.home import Home, write_atomically
from pipeline.resilience import Patience, Services
from pipeline.settings import Settings
from pipeline.sources import daily, store
from pipeline.sources.base import Part
from pipeline.sources.cleaning import refuse_several
from pipeline.sources.due import Due, Job, Reading, cutoff, read_due
from pipeline.sources.location import Location
from pipeline.sources.merge import EVERYTHING, merge
from pipeline.sources.opening import LIVE, Asking, known_here, open_source
from pipeline.sources.partial import partial_last_day
from pipeline.sources.report import report_of, span
from pipeline.sources.same import same_sales
from pipeline.sources.state import UNSETTLED, FileState, State, ranks, rules_of
from pipeline.sources.store import load_report, load_sales

__all__ = [
    "Extraction",
    "extract_sales",
    "load_report",
    "load_sales",
    "planned",
    "planned_at",
    "remember",
    "remember_plan",
    "source_fingerprint",
    "sources_of",
    "taken_in",
]

_SHOWN = 3


@dataclass(frozen=True)
class Extraction:
    """A tenant's daily table, the account of how it came to be, and whether the table has changed.

    Where nothing was new, the report is that of the last extraction that read anything. `fingerprint` is what
    `source_fingerprint` returns until the tenant's settings or its source change.
    """

    daily: pd.DataFrame
    report: ExtractionReport
    changed: bool
    fingerprint: str


def extract_sales(
    tenant: Tenant,
    home: Home,
    settings: Settings,
    now: dt.datetime | None = None,
    services: Services | None = None,
    patience: Patience | None = None,
) -> Extraction:
    """Bring a tenant's daily table up to date with its source.

    Files whose content has not changed are not taken again. A structural fault in any file leaves
    everything that is stored as it is, and so does a file that is set aside for its own days. When the
    tenant's source is another place with none of the content that was known, the table begins anew.

    Faults of a database or a service that pass by themselves are met by asking again, behind the breaker of the
    tenant's sales, which is one of `services`; unset: of this call alone. One that is down is outlasted as long as
    `patience` lasts; unset: not at all.

    Raises:
        ServiceUnavailableError: a database or a service does not answer, or is left alone for a while.
        SourceError: a file is absent, unreadable, keeps changing, or lacks a column; or all are set aside.
        DataError: a column holds nothing that can be read, or no sales are left at all.
        ConfigurationError: `now` has no time zone, or the source's settings cannot be used.
        TenantError: several names in the tenant column make the tenant's id.
        PipelineError: the table cannot be written.
    """
    now = now or dt.datetime.now(dt.UTC)
    if now.tzinfo is None:
        raise ConfigurationError(f"now = {now} must carry a time zone, such as UTC")
    rules, covariates = rules_of(tenant, settings.max_quantity), _covariates(tenant)
    asking = Asking(settings, services or Services(settings), settings.source_read_seconds, patience or Patience())
    with store.locked(home, tenant.id):
        state = store.load_state(home, tenant.id, rules)
        source = open_source(tenant, known_here(tenant, state, rules), asking)
        job = Job(tenant, settings, now, source, source.parts(), state, rules)
        left = _left(job)
        if left is not None:
            job = dataclasses.replace(job, state=State(rules=rules))
        due = read_due(job)
        listed = {part.name: part for part in job.listed} | {reading.part.name: reading.part for reading in due.taken}
        fingerprint = _fingerprint(tenant, list(listed.values()), covariates)
        if not due.readings and not load_report(home, tenant.id).set_aside:
            return _unchanged(job, home, due, fingerprint)
        return _take(job, home, due, _replaced(job, home, due, left), fingerprint)


def source_fingerprint(tenant: Tenant, home: Home, settings: Settings, services: Services | None = None) -> str:
    """Return a hash that changes when the tenant's settings do, its sales, or its covariates file.

    No file is read. A database or a service is asked for what tells its last days from others; before the first
    extraction it is not even asked.

    Raises:
        SourceNotFoundError: there are no sales.
        ServiceUnavailableError: a database or a service does not answer, or is left alone for a while.
        SourceError: they cannot be looked at within `settings.source_look_seconds`.
        ConfigurationError: the source's settings cannot be used.
    """
    rules = rules_of(tenant, settings.max_quantity)
    known = known_here(tenant, store.load_state(home, tenant.id, rules), rules)
    source = open_source(tenant, known, Asking(settings, services or Services(settings), settings.source_look_seconds))
    return _fingerprint(tenant, source.parts(), _covariates(tenant))


def _fingerprint(tenant: Tenant, parts: Sequence[Part], covariates: object) -> str:
    listing = [tenant.model_dump(mode="json"), list(parts), covariates]
    return hashlib.sha256(json.dumps(listing, default=vars).encode()).hexdigest()


def _covariates(tenant: Tenant) -> object:
    if tenant.covariates is None:
        return None
    try:
        return Location(tenant.covariates.path).parts()
    except SourceNotFoundError:
        return "absent"  # Its coming is a change; its absence is for the calendar to report.


def remember(home: Home, tenant_id: str, fingerprint: str) -> None:
    """Note that the sales of this fingerprint have been taken in."""
    write_atomically(_remembered(home, tenant_id), fingerprint.encode())


def sources_of(home: Home, tenant_id: str) -> tuple[str | None, dict[str, FileState]]:
    """Return where a tenant's sales were last read from, and what each file, or answer, was that gave any."""
    state = store.load_state(home, tenant_id, UNSETTLED)
    return state.source, {name: file for name, file in state.files.items() if file.last_date is not None}


def taken_in(home: Home, tenant_id: str) -> str | None:
    """Return the fingerprint of the files that were last taken in, None where none is known."""
    return _noted(_remembered(home, tenant_id))


def remember_plan(home: Home, tenant_id: str, fingerprint: str) -> None:
    """Note that a training plan has seen the sales of this fingerprint."""
    write_atomically(_planned(home, tenant_id), fingerprint.encode())


def planned(home: Home, tenant_id: str) -> str | None:
    """Return the fingerprint of the sales that the last training plan saw, None where none is known."""
    return _noted(_planned(home, tenant_id))


def planned_at(home: Home, tenant_id: str) -> int:
    """Return when sales were last planned with, nanoseconds since 1970; 0 where they never were."""
    try:
        return _planned(home, tenant_id).stat().st_mtime_ns
    except OSError:
        return 0


def _noted(path: Path) -> str | None:
    """What a note holds; one that cannot be read is as good as none: a run too many finds nothing new."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return None


def _remembered(home: Home, tenant_id: str) -> Path:
    return home.tenant(tenant_id) / "source_fingerprint"


def _planned(home: Home, tenant_id: str) -> Path:
    return home.tenant(tenant_id) / "planned_fingerprint"


def _left(job: Job) -> str | None:
    """Return the place that the tenant's sales came from before; files that have moved are in the same place."""
    before, known = job.state.source, {file.sha256 for file in job.state.files.values() if file.last_date is not None}
    if before in (None, job.place) or not known:
        return None
    contents = (job.source.read(part) for part in job.listed if not part.live)
    return None if any(raw is not None and raw.sha256 in known for raw in contents) else before


def _replaced(job: Job, home: Home, due: Due, left: str | None) -> str | None:
    """Return the source that another business's has taken the place of, known by days that are others.

    Files that have moved are known by their content. A query or a mapping that was changed can be another business's,
    too, where nothing else tells them apart.
    """
    before = left or (job.place if job.live and job.rebuild else None)
    if before is None or not due.taken:
        return before if left else None
    stored, by_file = store.load_stored(home, job.tenant.id)
    if not job.live and not by_file["source_file"].isin(LIVE).any():
        return before
    return None if same_sales(stored, [reading.cleaned.daily for reading in due.taken]) else before


def _take(job: Job, home: Home, due: Due, replaced: str | None, fingerprint: str) -> Extraction:
    previous, by_file = store.load_stored(home, job.tenant.id)
    state = _new_state(job, due)
    _refuse_several_owners(job, state)
    merged = merge(
        daily.empty() if replaced is not None else _base(job, previous, by_file, due.taken),
        [reading.cleaned.daily for reading in due.taken],
        _cutoffs(job, due),
        ranks({name: file.since for name, file in state.files.items()}),
        "add" if job.adds_up else "replace",
        [reading.cleaned.spoiled for reading in due.taken if len(reading.cleaned.spoiled)],
        [part.name for part in job.listed if part.live],
    )
    report = report_of(job, due, merged, _partial(job, merged.rows, state), replaced)
    if merged.table.empty:
        raise _all_set_aside(job, report) if report.set_aside else _no_sales(job, report)
    if replaced is not None:
        store.back_up(home, job.tenant.id, job.now)
    store.save(home, job.tenant.id, merged, report, state)
    return Extraction(merged.table, report, not merged.table.equals(previous), fingerprint)


def _unchanged(job: Job, home: Home, due: Due, fingerprint: str) -> Extraction:
    """Nothing new; but a last day that was partial may be so no longer."""
    table, by_file = store.load_stored(home, job.tenant.id)
    report = load_report(home, job.tenant.id)
    partial = _partial(job, by_file, job.state)
    if partial != report.partial_last_day:
        report = report.model_copy(update={"partial_last_day": partial})
        store.save_report(home, job.tenant.id, report)
    state = _new_state(job, due)
    if state != job.state:
        store.save_state(home, job.tenant.id, state)
    store.confirm_table(home, job.tenant.id, table)
    return Extraction(table, report, changed=False, fingerprint=fingerprint)


def _new_state(job: Job, due: Due) -> State:
    renamed = {reading.renamed_from for reading in due.taken}
    files = {name: file for name, file in job.state.files.items() if name not in renamed}
    read = {reading.part.name: reading.new_state(job.now) for reading in due.taken}
    rules = UNSETTLED if job.rebuild and due.aside else job.rules
    return State(rules=rules, source=job.place, files={**files, **due.touched, **read})


def _refuse_several_owners(job: Job, state: State) -> None:
    files = {file.owner: name for name, file in state.files.items() if file.owner is not None and name in job.names}
    refuse_several(files, job.tenant.id)


def _base(job: Job, table: pd.DataFrame, by_file: pd.DataFrame, taken: Sequence[Reading]) -> pd.DataFrame:
    """The stored rows under the names of the parts that answer for them now.

    What a database or a service answers stands for all rows, wherever they came from before. Files stand for what
    an answer said of their days.
    """
    if job.live:
        return table.assign(source_file=job.listed[0].name)
    rows, fresh = _renamed(by_file, taken), [reading.cleaned.daily["date"] for reading in taken]
    days = pd.concat(fresh) if fresh else pd.Series(dtype="datetime64[ns]")
    return rows[~(rows["source_file"].isin(LIVE) & rows["date"].between(days.min(), days.max()))]


def _renamed(rows: pd.DataFrame, readings: Sequence[Reading]) -> pd.DataFrame:
    names = {reading.renamed_from: reading.part.name for reading in readings if reading.renamed_from}
    return rows.assign(source_file=rows["source_file"].replace(names)) if names else rows


def _cutoffs(job: Job, due: Due) -> dict[str, dt.date]:
    """The day from which each part's stored rows give way; all of them when their meaning has changed."""
    if job.rebuild and job.live:
        return {one.part.name: one.cleaned.first_date for one in due.taken if one.cleaned.first_date is not None}
    if job.rebuild:
        aside = {reading.part.name for reading in due.aside}
        return dict.fromkeys(job.names - aside, EVERYTHING)
    found = {reading.part.name: cutoff(reading, job.settings.lookback_days) for reading in due.taken}
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
    return DataError(
        f"tenant {job.tenant.id!r}: no sales are left of {report.rows_read} rows in {report.files_read} files "
        f"({_rejected(report)}"
    )


def _all_set_aside(job: Job, report: ExtractionReport) -> SourceError:
    files = ", ".join(f"{one.file!r} ({one.unusable} of its {one.rows} rows)" for one in report.set_aside[:_SHOWN])
    return SourceError(
        f"tenant {job.tenant.id!r}: too many rows without a usable date, product or quantity in {files}: more than "
        f"MAX_REJECTED_SHARE = {job.settings.max_rejected_share:g} of a file's rows sets it aside, and no other sales "
        f"are left ({_rejected(report)}"
    )


def _rejected(report: ExtractionReport) -> str:
    """The end of a sentence: counts by reason, the bracket closed, and the first examples."""
    reasons = ", ".join(f"{number} {reason}" for reason, number in report.rejected_by_reason.items()) or "none"
    shown = "; ".join(f"{e.file} row {e.row}: {e.reason} {e.value!r}" for e in report.examples[:_SHOWN])
    return f"rejected: {reasons}){': ' if shown else ''}{shown}"
