"""Care for what is stored: propose what need not be kept, look at it, then delete just that.

Objects are swept, never deleted with a model: one object may serve many. What nobody refers to goes once it has lain
for two days, since a training stores a model's objects a while before it registers the model; `ArtefactStore.put`
makes an object young again. Another registry may use the same store, or have used it before, and its references are not
known here: so a store that is not the installation's own folder is swept only where MODEL_STORAGE_OWN says so; each
registry that trains leaves its mark, and only what was stored after the one and only mark is swept. The same holds for
what a killed writer left, which goes after the same two days, and for files in quarantine, which have their own time,
as have the log of accesses and that of the lineage.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.home import Home, write_atomically
from pipeline.registry.access import old_months
from pipeline.registry.contents import Kind, StoredObject
from pipeline.registry.registry import Registry
from pipeline.registry.retention import ExpiredModel, Rules
from pipeline.registry.store import MARKS, ArtefactStore
from pipeline.settings import Settings

GRACE = timedelta(days=2)


@dataclass(frozen=True)
class Proposal:
    """What would be deleted.

    `objects` are files in the store of any kind, and `before` the moment by which each kind must have been stored last;
    `access` are months of the log of accesses, `lineage` days of the lineage log. `freed` are the bytes on disk of
    `objects`; `stored` those of all that lies there, `shared` those that sharing equal objects saves, before
    compression.
    """

    at: datetime
    rules: Rules
    models: tuple[ExpiredModel, ...]
    jobs: tuple[str, ...]
    logs: int
    fits: tuple[int, ...]
    objects: tuple[StoredObject, ...]
    access: tuple[Path, ...]
    lineage: tuple[Path, ...]
    events: int
    events_before: datetime
    before: Mapping[Kind, datetime]
    stored: int
    shared: int

    @property
    def freed(self) -> int:
        """Bytes on disk that would be freed."""
        return sum(one.bytes for one in self.objects)

    @property
    def empty(self) -> bool:
        """Whether nothing would be deleted."""
        rows = self.models or self.jobs or self.logs or self.fits or self.events
        return not (rows or self.objects or self.access or self.lineage)

    def count(self, kind: Kind) -> int:
        """How many files of a kind would be deleted."""
        return sum(one.kind is kind for one in self.objects)


@dataclass(frozen=True)
class Swept:
    """What was deleted: rows by kind, files in the store by kind and their bytes on disk, months and days of logs.

    `access` are months of the log of accesses, `lineage` days of the lineage log. `events` were sent, or were messages
    that were handled.
    """

    models: int
    jobs: int
    logs: int
    fits: int
    objects: int
    quarantined: int
    remains: int
    access: int
    lineage: int
    events: int
    freed: int


@dataclass(frozen=True)
class Announced:
    """The keys of what a sweep has announced: only that is deleted by the next one."""

    models: frozenset[int] = frozenset()
    jobs: frozenset[str] = frozenset()
    fits: frozenset[int] = frozenset()
    objects: frozenset[str] = frozenset()
    access: frozenset[str] = frozenset()
    lineage: frozenset[str] = frozenset()

    @classmethod
    def of(cls, proposal: Proposal) -> Announced:
        """Return the keys of a proposal."""
        return cls(
            frozenset(one.id for one in proposal.models),
            frozenset(proposal.jobs),
            frozenset(proposal.fits),
            frozenset(one.key for one in proposal.objects),
            frozenset(one.name for one in proposal.access),
            frozenset(one.name for one in proposal.lineage),
        )

    @classmethod
    def read(cls, path: Path) -> Announced:
        """Read what was announced; nothing, where there is no such file or it cannot be read."""
        try:
            kept = json.loads(path.read_bytes())
            return cls(*(frozenset(kept.get(field.name, ())) for field in fields(cls)))
        except (OSError, ValueError, AttributeError, TypeError):
            return cls()  # It is announced again, and deleted one sweep later.

    def write(self, path: Path) -> None:
        """Keep it for the next sweep."""
        kept = {field.name: sorted(getattr(self, field.name)) for field in fields(self)}
        write_atomically(path, json.dumps(kept).encode())

    def among(self, proposal: Proposal) -> Proposal:
        """Return the part of a proposal that was announced; old lines of logs and old events always are."""
        return self._part(proposal, announced=True)

    def beside(self, proposal: Proposal) -> Proposal:
        """Return the rest of a proposal: what is to be announced now."""
        return replace(self._part(proposal, announced=False), logs=0, events=0)

    def _part(self, proposal: Proposal, *, announced: bool) -> Proposal:
        return replace(
            proposal,
            models=tuple(one for one in proposal.models if (one.id in self.models) is announced),
            jobs=tuple(one for one in proposal.jobs if (one in self.jobs) is announced),
            fits=tuple(one for one in proposal.fits if (one in self.fits) is announced),
            objects=tuple(one for one in proposal.objects if (one.key in self.objects) is announced),
            access=tuple(one for one in proposal.access if (one.name in self.access) is announced),
            lineage=tuple(one for one in proposal.lineage if (one.name in self.lineage) is announced),
        )


def rules_of(settings: Settings) -> Rules:
    """Return what the settings say is kept."""
    versions = settings.max_model_versions_per_product if settings.model_versioning_enabled else 1
    return Rules(versions, settings.model_retention_days, settings.model_backup_enabled)


def propose(
    registry: Registry, store: ArtefactStore, settings: Settings, tenant_ids: Iterable[str], at: datetime
) -> Proposal:
    """Return what need not be kept at a moment.

    Raises:
        RegistryError: the registry or the store cannot be read.
    """
    rules = rules_of(settings)
    before = {
        Kind.OBJECT: at - GRACE,
        Kind.REMAINS: at - GRACE,
        Kind.QUARANTINED: at - timedelta(days=settings.quarantine_days),
    }
    models = tuple(one for tenant in tenant_ids for one in registry.expired_models(tenant, rules, at))
    fits = tuple(registry.expired_fits(at, rules.days))
    contents = list(store.contents())
    begun = _begun(registry, store, settings)
    # Asked after the objects were listed: what is registered meanwhile is referred to.
    used, referred = registry.references([one.id for one in models], fits)
    events_before = at - timedelta(days=settings.events_kept_days)

    unfinished_mark = f"{MARKS}/.{registry.identity}."

    def needless(one: StoredObject) -> bool:
        # A mark that was never finished bears our name, and is older than the mark that came after it.
        ours = one.key.startswith(unfinished_mark) or (begun is not None and begun <= one.modified)
        return ours and one.modified < before[one.kind] and (one.kind is not Kind.OBJECT or one.sha256 not in used)

    return Proposal(
        at=at,
        rules=rules,
        models=models,
        jobs=tuple(registry.expired_jobs(at)),
        logs=registry.old_logs(at),
        fits=fits,
        objects=tuple(one for one in contents if needless(one)),
        access=old_months(Home(settings.home).access, at - timedelta(days=settings.access_log_days)),
        lineage=_old_days(Home(settings.home).lineage, at - timedelta(days=settings.lineage_kept_days)),
        events=registry.old_events(events_before),
        events_before=events_before,
        before=before,
        stored=sum(one.bytes for one in contents),
        shared=referred - sum(used.values()),
    )


def carry_out(proposal: Proposal, registry: Registry, store: ArtefactStore, actor: str) -> Swept:
    """Delete what was proposed, but for what has come into use since.

    Rows go first, so that one who is interrupted leaves objects that nobody refers to, for the next sweep.

    Raises:
        RegistryError: the registry or the store cannot be read or written.
        StorageError: a log of accesses, or of the lineage, cannot be removed.
    """
    models = registry.delete_models(proposal.models, proposal.rules, actor)
    fits = registry.delete_fits(proposal.fits)
    jobs = registry.delete_jobs(proposal.jobs)
    logs = registry.delete_logs(proposal.at)
    events = registry.delete_events(proposal.events_before)
    used, _ = registry.references()
    free = [one for one in proposal.objects if one.kind is not Kind.OBJECT or one.sha256 not in used]
    gone = [one for one in free if store.discard(one, proposal.before[one.kind])]
    for path in (*proposal.access, *proposal.lineage):
        _remove(path)
    kinds = Counter(one.kind for one in gone)
    return Swept(
        models=models,
        jobs=jobs,
        logs=logs,
        fits=fits,
        objects=kinds[Kind.OBJECT],
        quarantined=kinds[Kind.QUARANTINED],
        remains=kinds[Kind.REMAINS],
        access=len(proposal.access),
        lineage=len(proposal.lineage),
        events=events,
        freed=sum(one.bytes for one in gone),
    )


def _begun(registry: Registry, store: ArtefactStore, settings: Settings) -> datetime | None:
    """Since when the store is this registry's alone; None where it is not, or that is not known."""
    marks = store.marks()
    own = settings.model_storage_path is None or settings.model_storage_own
    return marks.get(registry.identity) if own and len(marks) == 1 else None


def _old_days(folder: Path, before: datetime) -> tuple[Path, ...]:
    """The days of the lineage log, the oldest first, that lie before a moment's."""
    kept_from = f"lineage-{before:%Y-%m-%d}.ndjson"
    return tuple(path for path in sorted(folder.glob("lineage-????-??-??.ndjson")) if path.name < kept_from)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"the log {path} cannot be removed: {error.strerror or error}") from error
