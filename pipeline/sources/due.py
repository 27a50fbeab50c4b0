"""Which parts of a source are new to a tenant's table, read and cleaned."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import filterfalse
from zoneinfo import ZoneInfo

from contracts import FileSource, Tenant
from pipeline.settings import Settings
from pipeline.sources.base import Part, RawSales, SalesSource
from pipeline.sources.cleaning import Cleaned, clean
from pipeline.sources.opening import place_of
from pipeline.sources.partial import recent
from pipeline.sources.state import FileState, State, settled


@dataclass(frozen=True)
class Job:
    """One extraction: whose, by which rules, when, and what had been read before."""

    tenant: Tenant
    settings: Settings
    now: dt.datetime
    source: SalesSource
    listed: list[Part]
    state: State
    rules: str

    @property
    def zone(self) -> ZoneInfo:
        """The tenant's time zone."""
        return ZoneInfo(self.tenant.timezone)

    @property
    def today(self) -> dt.date:
        """The tenant's local day."""
        return self.now.astimezone(self.zone).date()

    @property
    def rebuild(self) -> bool:
        """Whether files mean something else than before, so that all must be read again."""
        return self.state.rules != self.rules

    @property
    def place(self) -> str:
        """Where the source lies, without the login: another password is no other source."""
        return place_of(self.tenant)

    @property
    def live(self) -> bool:
        """Whether the source is asked, and gives one answer, instead of being listed."""
        return any(part.live for part in self.listed)

    @property
    def adds_up(self) -> bool:
        """Whether the rows of several files for one product's day add up."""
        return isinstance(self.tenant.source, FileSource) and self.tenant.source.overlap == "add"

    @property
    def names(self) -> set[str]:
        """The names of the parts that are there now."""
        return {part.name for part in self.listed}

    def known(self, name: str) -> FileState | None:
        """What was read from a part by the rules of now."""
        return None if self.rebuild else self.state.files.get(name)


@dataclass(frozen=True)
class Reading:
    """One part that was read and cleaned; `before` is what had been known about it.

    `renamed_from` names a vanished part of the same content: this is that part under a new name.
    """

    part: Part
    sha256: str
    read_at: float
    cleaned: Cleaned
    before: FileState | None
    renamed_from: str | None = None

    def new_state(self, now: dt.datetime) -> FileState:
        """Return what is known about the part from now on; content that is not new keeps its age."""
        old = self.before if self.before is not None and self.before.sha256 == self.sha256 else None
        if self.part.live:
            return self._of_answer(now)
        return FileState(
            size=self.part.size,
            modified=settled(self.part, self.read_at),
            since=old.since if old else self.part.modified,
            sha256=self.sha256,
            taken_at=old.taken_at if old else now,
            first_date=self.cleaned.first_date,
            last_date=self.cleaned.last_date,
            future_from=self.cleaned.future_from,
            closing_times=self.cleaned.closing_times,
            owner=self.cleaned.owner,
        )

    def _of_answer(self, now: dt.datetime) -> FileState:
        """An answer is as new as the question; what it says of its days alone adds to what was known of others."""
        before, cleaned = self.before, self.cleaned
        return FileState(
            size=None,
            modified=None,
            since=self.read_at,
            sha256=self.sha256,
            version=self.part.version,
            taken_at=now,
            first_date=before.first_date if before and before.first_date else cleaned.first_date,
            last_date=cleaned.last_date or (before.last_date if before else None),
            future_from=cleaned.future_from,
            closing_times=recent({**(before.closing_times if before else {}), **cleaned.closing_times}),
            owner=cleaned.owner,
        )


@dataclass(frozen=True)
class Due:
    """What is new: parts to take, parts that are set aside, and new states of those with a new stamp alone."""

    taken: list[Reading]
    aside: list[Reading]
    touched: dict[str, FileState]

    @property
    def readings(self) -> list[Reading]:
        """All parts that were read, those set aside with nothing but rejected rows."""
        return [*self.taken, *(replace(reading, cleaned=reading.cleaned.set_aside()) for reading in self.aside)]


def read_due(job: Job) -> Due:
    """Return the parts whose content is new, read and cleaned.

    A part of which more than MAX_REJECTED_SHARE is unusable is a broken export: were its few good rows taken,
    they would stand for all of its days. It is set aside, and not remembered: it is judged again every time.
    """
    readings: list[Reading] = []
    touched: dict[str, FileState] = {}
    for part in job.listed:
        before = job.known(part.name)
        awaited = before is not None and before.is_awaited(job.today)
        if before is not None and not awaited and before.is_current(part):
            continue
        read_at = time.time()
        raw = job.source.read(part, before.sha256 if before is not None and not awaited else None)
        if raw is not None:
            readings.append(_cleaned(job, raw, read_at))
        elif before is not None:
            news = {"taken_at": job.now, "version": part.version} if part.live else {"size": part.size}
            touched[part.name] = before.model_copy(update={**news, "modified": settled(part, read_at)})
    sound, broken = _parted(job, readings)
    again, broken_since = _parted(job, _read_overlapped(job, sound, [reading.part.name for reading in readings]))
    return Due(sound + again, broken + broken_since, touched)


def cutoff(reading: Reading, lookback_days: int) -> dt.date | None:
    """Return the day from which rows that have vanished from a part are deleted; None: no row is.

    It lies the look-back before the part's last day, and never before its first: an export of the last
    week says nothing about the weeks before. An answer says all about the days that it was asked for: the
    look-back before the last day that was known.
    """
    first, last = reading.cleaned.first_date, reading.cleaned.last_date
    if first is None or last is None:
        return None
    if reading.part.live:
        known = reading.before.last_date if reading.before is not None else None
        return None if known is None else known - dt.timedelta(days=lookback_days)
    return max(first, last - dt.timedelta(days=lookback_days))


def _parted(job: Job, readings: list[Reading]) -> tuple[list[Reading], list[Reading]]:
    def is_sound(reading: Reading) -> bool:
        return reading.cleaned.account.unusable_share <= job.settings.max_rejected_share

    return list(filter(is_sound, readings)), list(filterfalse(is_sound, readings))


def _read_overlapped(job: Job, readings: list[Reading], taken: Sequence[str]) -> list[Reading]:
    """Read again the parts whose rows a changed part may have hidden and now uncovers."""
    if job.adds_up:
        return []
    starts = [cutoff(reading, job.settings.lookback_days) for reading in readings if reading.before is not None]
    first = min((start for start in starts if start is not None), default=None)
    if first is None:
        return []
    others = [part for part in job.listed if part.name not in taken and _overlaps(job.known(part.name), first)]
    found = [(job.source.read(part), time.time()) for part in others]
    return [_cleaned(job, raw, read_at) for raw, read_at in found if raw is not None]


def _overlaps(state: FileState | None, first: dt.date) -> bool:
    return state is not None and state.last_date is not None and state.last_date >= first


def _cleaned(job: Job, raw: RawSales, read_at: float) -> Reading:
    cleaned = clean(raw, job.tenant, job.settings.max_quantity, job.today)
    name = raw.part.name
    before, renamed = job.state.files.get(name), None
    if before is None:
        renamed = _vanished_twin(job, raw.sha256)
        before = job.state.files[renamed] if renamed else None
    kept = job.source.remembered(raw, cleaned.last_date)
    return Reading(kept.part, kept.sha256, read_at, cleaned, before, renamed)


def _vanished_twin(job: Job, sha256: str) -> str | None:
    twins = (name for name, state in job.state.files.items() if state.sha256 == sha256 and name not in job.names)
    return next(twins, None)
