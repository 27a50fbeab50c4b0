"""Walks the lineage: from a version back to what it was made from, or forward to what was made from it.

Lines are looked through for the versions that are wanted before any is parsed, and files in the order in which they
are likely to hold them: what a version was made from was noted before it, as a rule on the same day. What was noted
late, as other systems may, is found all the same.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Iterable, KeysView
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.keys import partition_key
from pipeline.monitoring.lineage.log import FaultyLine, Reader, Ref, Step, day_files, day_of
from pipeline.monitoring.lineage.steps import EventType

_MODEL_VERSION = re.compile(r"(\d{4})(\d{2})(\d{2})_\d{6}")
_name = lru_cache(maxsize=65_536)(partition_key)
_DECISIONS = {EventType.PROMOTED, EventType.ROLLED_BACK, EventType.WITHDRAWN}


@dataclass
class Trail:
    """What a walk has found.

    Attributes:
        start: where it began.
        made: by version, the step that made it; going forward, also those that it was only used by.
        missing: versions of which no step says how they were made.
        steps: every step that was found, in the order in which the files have them.
        faults: lines that were in the way, and are no events.
    """

    start: tuple[Ref, ...]
    made: dict[Ref, Step] = field(default_factory=dict)
    missing: set[Ref] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    faults: list[FaultyLine] = field(default_factory=list)


def came_from(step: Step, product: str | None = None) -> list[Ref]:
    """Return what a step was made from: its inputs, and the models of a forecast, or that of one product."""
    if step.event_type != EventType.FORECAST:
        return list(step.inputs.values())
    models = _models_of(step)
    if product is not None:
        models = {product: models[product]} if product in models else {}
    tenant_id = _tenant_of(step) if models else ""
    return [*(Ref(_name(tenant_id, name), version) for name, version in models.items()), *step.inputs.values()]


def uses(step: Step, ref: Ref) -> bool:
    """Say whether a step used a version."""
    return _used(step, _Refs([ref]))


def is_decision(step: Step) -> bool:
    """Say whether a step decided about a model, and made nothing."""
    return step.event_type in _DECISIONS


def files_of(step: Step) -> list[dict[str, object]] | None:
    """Return the files that a step read; None where it says nothing of files."""
    files = step.metadata.get("files")
    return [one for one in files if isinstance(one, dict)] if isinstance(files, list) else None


def back(folder: Path, start: Collection[Ref], product: str | None = None) -> Trail:
    """Walk from versions back to what they were made from.

    A step that names the files that it read is where the walk ends.

    Args:
        folder: the lineage log.
        start: the versions.
        product: of forecasts follow this product's model alone; None: those of all.
    """
    reader, trail, bare = Reader(), Trail(tuple(start)), dict[Ref, Step]()
    wanted, latest_first = _Refs(start), day_files(folder)[::-1]
    found_any = True
    while wanted.refs and found_any:
        found_any = False
        for path in latest_first:
            known: dict[int, Step | None] = {}
            while wanted.refs and (found := _makers(reader, path, wanted, known, bare)):
                found_any = True
                trail.made |= found
                further = (ref for step in found.values() if files_of(step) is None for ref in came_from(step, product))
                wanted.remove(found)
                wanted.add(ref for ref in further if ref not in trail.made)
    trail.made |= {ref: bare[ref] for ref in wanted.refs if ref in bare}
    trail.missing, trail.faults = wanted.refs - bare.keys(), reader.faults
    return trail


def forward(folder: Path, start: Collection[Ref]) -> Trail:
    """Walk from versions forward to all that was made from them, and to the decisions about them."""
    reader, trail = Reader(), Trail(tuple(start))
    reached, everything, taken = list(start), _Refs(start), set[tuple[Path, int]]()
    # How many of the reached versions a file was looked through for; what is reached later, it is again.
    done = dict.fromkeys(day_files(folder, min((first_day(ref.version) for ref in start), default=dt.date.min)), 0)
    while behind := [path for path, looked_for in done.items() if looked_for < len(reached)]:
        for path in behind:
            known: dict[int, Step | None] = {}
            while (looked_for := done[path]) < len(reached):
                fresh, done[path] = _Refs(reached[looked_for:]) if looked_for else everything, len(reached)
                for number, step in _users(reader, path, fresh, known):
                    if (path, number) not in taken:
                        taken.add((path, number))
                        trail.steps.append(step)
                    trail.made |= dict.fromkeys(step.outputs.values(), step)
                    further = [ref for ref in dict.fromkeys(step.outputs.values()) if ref not in everything.refs]
                    reached += further
                    everything.add(further)
    trail.faults = reader.faults
    return trail


def versions_like(folder: Path, version: str, tenant_id: str | None = None) -> list[Ref]:
    """Return what was made under a version: a data set, a model, or the models of one training.

    Args:
        folder: the lineage log.
        version: the whole of it, or the first letters of a hash, 8 or more.
        tenant_id: only what is this tenant's.

    Raises:
        ConfigurationError: nothing was.
    """
    reader, found = Reader(), dict[Ref, None]()
    for path in day_files(folder, first_day(version)):
        for _, step in reader.steps(path, [version]):
            for ref in step.outputs.values():
                whole = ref.version == version or (len(version) >= 8 and ref.version.startswith(version))
                if whole and (tenant_id is None or ref.name.startswith(f"{tenant_id}/")):
                    found[ref] = None
    if not found:
        whose = f" of tenant {tenant_id!r}" if tenant_id else ""
        raise ConfigurationError(
            f"no lineage tells of {version!r}{whose}: it is neither a product with a forecast, nor a version that was "
            "noted; `pipeline models list` has the versions of models"
        )
    return list(found)


@lru_cache(maxsize=4096)
def first_day(version: str) -> dt.date:
    """Return a day before which a version was not noted: a model's tells when it was made; else the first of days.

    By another system's clock, in another time zone, it may have been made the day before.
    """
    found = _MODEL_VERSION.fullmatch(version)
    try:
        return dt.date(*map(int, found.groups())) - dt.timedelta(days=1) if found else dt.date.min
    except (ValueError, OverflowError):
        return dt.date.min


class _Refs:
    """Versions of which it is known at any time which texts they are."""

    def __init__(self, refs: Iterable[Ref]) -> None:
        self.refs: set[Ref] = set()
        self._count: Counter[str] = Counter()
        self.add(refs)

    @property
    def versions(self) -> KeysView[str]:
        """The versions without their names."""
        return self._count.keys()

    def add(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            if ref not in self.refs:
                self.refs.add(ref)
                self._count[ref.version] += 1

    def remove(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            self.refs.discard(ref)
            self._count[ref.version] -= 1
            if not self._count[ref.version]:
                del self._count[ref.version]


def _makers(
    reader: Reader, path: Path, wanted: _Refs, known: dict[int, Step | None], bare: dict[Ref, Step]
) -> dict[Ref, Step]:
    """Return, of the wanted versions, the steps of a file that made them.

    One that names nothing that it was made from goes to `bare`: another may know more of the same version.
    """
    found: dict[Ref, Step] = {}
    for _, step in reader.steps(path, _needles(path, wanted.versions), known):
        if not is_decision(step):
            made = {ref: step for ref in step.outputs.values() if ref in wanted.refs}
            if made:
                (found if came_from(step) or files_of(step) is not None else bare).update(made)
    return found


def _users(reader: Reader, path: Path, refs: _Refs, known: dict[int, Step | None]) -> list[tuple[int, Step]]:
    """Return the steps of a file that used one of the versions, with their lines."""
    found = reader.steps(path, _needles(path, refs.versions), known)
    return [(number, step) for number, step in found if _used(step, refs)]


def _used(step: Step, refs: _Refs) -> bool:
    """Whether a step used one of the versions; what a forecast's models are called is found out only if need be."""
    if not refs.refs.isdisjoint(step.inputs.values()):
        return True
    by_product = _models_of(step)
    return not refs.versions.isdisjoint(by_product.values()) and not refs.refs.isdisjoint(came_from(step))


def _models_of(step: Step) -> dict[str, str]:
    """The versions of the models that a forecast was made by, by product."""
    models = step.metadata.get("models")
    if step.event_type != EventType.FORECAST or not isinstance(models, dict):
        return {}
    return {product: version for product, version in models.items() if isinstance(version, str)}


def _needles(path: Path, versions: Iterable[str]) -> set[str]:
    """The texts one of which a line must hold: versions, but for those that were not made by the file's day."""
    day = day_of(path) or dt.date.max
    return {version for version in versions if first_day(version) <= day}


def _tenant_of(step: Step) -> str:
    """Whose forecast it is: its name is TENANT/forecasts."""
    return next(iter(step.outputs.values())).name.partition("/")[0] if step.outputs else ""
