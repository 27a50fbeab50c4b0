"""Is the lineage whole? What was noted of late, and which forecasts in use cannot be walked back to their files."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from contracts import LineageEvent
from pipeline.errors import MetadataError
from pipeline.home import Home
from pipeline.monitoring.lineage.log import FaultyLine, Reader, Ref, day_files
from pipeline.monitoring.lineage.walk import back, first_day
from pipeline.tables import read_metadata

DAY = dt.timedelta(days=1)
OTHERS = "(others)"
"""Whose events are told that belong to none of the tenants."""


@dataclass(frozen=True)
class Noted:
    """What was noted in the last day: events by (tenant, type), and lines that are no events."""

    events: Counter[tuple[str, str]]
    faults: list[FaultyLine]


@dataclass(frozen=True)
class Gap:
    """A version in the chain of a forecast in use of which nothing says how it was made."""

    tenant_id: str
    name: str
    version: str
    why: str


@dataclass
class Wholeness:
    """The forecasts in use that were walked, gaps, faulty lines in the way, and what is older than the first note."""

    forecasts: int = 0
    gaps: list[Gap] = field(default_factory=list)
    older: int = 0
    faults: list[FaultyLine] = field(default_factory=list)


def noted_lately(home: Home, tenant_ids: Iterable[str], now: dt.datetime) -> Noted:
    """Return what was noted in the 24 hours before a moment; every line of these days is held to the contract."""
    reader, events, known = Reader(), Counter[tuple[str, str]](), set(tenant_ids)
    for path in day_files(home.lineage, (now - DAY).date()):
        for number, line in reader.lines(path):
            if reader.step(path, number, line) is None:
                continue
            try:
                event = LineageEvent.model_validate_json(line)
            except ValidationError as error:
                fault = error.errors()[0]
                reader.note(path, number, f"no event: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"[:200])
                continue
            if event.event_time > now - DAY:
                names = [one.name.partition("/")[0] for side in (event.outputs, event.inputs) for one in side.values()]
                whose = next((name for name in names if name in known), OTHERS)
                events[whose, event.event_type] += 1
    return Noted(events, reader.faults)


def wholeness(home: Home, tenant_ids: Iterable[str]) -> Wholeness:
    """Walk every tenant's forecast in use back to the files of its sales.

    What was made before lineage was noted, or whose file has had its time, is counted and is no gap.
    """
    found, start = Wholeness(), list[Ref]()
    for tenant_id in tenant_ids:
        table = home.table(tenant_id, "forecasts")
        try:
            metadata = read_metadata(table)
        except MetadataError as error:
            found.gaps.append(Gap(tenant_id, f"{tenant_id}/forecasts", "not known", str(error)))
            continue
        if metadata is not None:
            start.append(Ref(metadata.dataset_name, metadata.dataset_version))
        found.older += metadata is None and table.exists()
    found.forecasts = len(start)
    trail = back(home.lineage, start)
    found.faults = trail.faults
    begun = _begun(home)
    for ref in sorted(trail.missing):
        if _older(ref, begun):
            found.older += 1
        else:
            found.gaps.append(Gap(ref.name.partition("/")[0], *ref, "no event says how it was made"))
    for ref, step in trail.made.items():
        if not step.inputs and not step.metadata.get("models"):
            found.gaps.append(Gap(ref.name.partition("/")[0], *ref, "its event names nothing that it was made from"))
    return found


def _begun(home: Home) -> str:
    """When the first event that is kept was noted, as versions of models say it."""
    reader = Reader()
    for path in day_files(home.lineage):
        for _, step in reader.steps(path):
            try:
                return f"{dt.datetime.fromisoformat(step.event_time).astimezone(dt.UTC):%Y%m%d_%H%M%S}"
            except (ValueError, OverflowError):
                continue
    return ""


def _older(ref: Ref, begun: str) -> bool:
    """Whether a model is older than the first note."""
    return first_day(ref.version) != dt.date.min and ref.version < begun
