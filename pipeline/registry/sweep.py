"""Care for what is stored: propose what need not be kept, look at it, then delete just that.

Objects are swept, never deleted with a model: one object may serve many. What nobody refers to goes once it has lain
for two days, since a training stores a model's objects a while before it registers the model; `ArtefactStore.put`
makes an object young again. Another registry may use the same store, or have used it before, and its references are not
known here: so a store that is not the installation's own folder is swept only where MODEL_STORAGE_OWN says so; each
registry that trains leaves its mark, and only what was stored after the one and only mark is swept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.home import write_atomically
from pipeline.registry.registry import Registry
from pipeline.registry.retention import ExpiredModel, Rules
from pipeline.registry.store import ArtefactStore, StoredObject
from pipeline.settings import Settings

GRACE = timedelta(days=2)


@dataclass(frozen=True)
class Proposal:
    """What would be deleted.

    `freed` are the bytes on disk of `objects`; `stored` those of all objects, `shared` those that sharing equal objects
    saves, before compression.
    """

    at: datetime
    rules: Rules
    models: tuple[ExpiredModel, ...]
    jobs: tuple[str, ...]
    logs: int
    fits: tuple[int, ...]
    objects: tuple[StoredObject, ...]
    stored: int
    shared: int

    @property
    def freed(self) -> int:
        """Bytes on disk that would be freed."""
        return sum(one.bytes for one in self.objects)

    @property
    def empty(self) -> bool:
        """Whether nothing would be deleted."""
        return not (self.models or self.jobs or self.logs or self.fits or self.objects)


@dataclass(frozen=True)
class Swept:
    """What was deleted: rows by kind, objects and their bytes on disk."""

    models: int
    jobs: int
    logs: int
    fits: int
    objects: int
    freed: int


@dataclass(frozen=True)
class Announced:
    """The keys of what a sweep has announced: only that is deleted by the next one."""

    models: frozenset[int] = frozenset()
    jobs: frozenset[str] = frozenset()
    fits: frozenset[int] = frozenset()
    objects: frozenset[str] = frozenset()

    @classmethod
    def of(cls, proposal: Proposal) -> Announced:
        """Return the keys of a proposal."""
        return cls(
            frozenset(one.id for one in proposal.models),
            frozenset(proposal.jobs),
            frozenset(proposal.fits),
            frozenset(one.key for one in proposal.objects),
        )

    @classmethod
    def read(cls, path: Path) -> Announced:
        """Read what was announced; nothing, where there is no such file or it cannot be read."""
        try:
            kept = json.loads(path.read_bytes())
            return cls(*(frozenset(kept[field.name]) for field in fields(cls)))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()  # It is announced again, and deleted one sweep later.

    def write(self, path: Path) -> None:
        """Keep it for the next sweep."""
        kept = {field.name: sorted(getattr(self, field.name)) for field in fields(self)}
        write_atomically(path, json.dumps(kept).encode())

    def among(self, proposal: Proposal) -> Proposal:
        """Return the part of a proposal that was announced; old lines of logs always are."""
        return replace(
            proposal,
            models=tuple(one for one in proposal.models if one.id in self.models),
            jobs=tuple(one for one in proposal.jobs if one in self.jobs),
            fits=tuple(one for one in proposal.fits if one in self.fits),
            objects=tuple(one for one in proposal.objects if one.key in self.objects),
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
    models = tuple(one for tenant in tenant_ids for one in registry.expired_models(tenant, rules, at))
    fits = tuple(registry.expired_fits(at, rules.days))
    objects = list(store.objects())
    marks = store.marks()
    own = settings.model_storage_path is None or settings.model_storage_own
    begun = marks.get(registry.identity) if own and len(marks) == 1 else None
    # Asked after the objects were listed: what is registered meanwhile is referred to.
    used, referred = registry.references([one.id for one in models], fits)
    return Proposal(
        at,
        rules,
        models,
        tuple(registry.expired_jobs(at)),
        registry.old_logs(at),
        fits,
        tuple(one for one in objects if begun and one.sha256 not in used and begun <= one.modified < at - GRACE),
        sum(one.bytes for one in objects),
        referred - sum(used.values()),
    )


def carry_out(proposal: Proposal, registry: Registry, store: ArtefactStore, actor: str) -> Swept:
    """Delete what was proposed, but for what has come into use since.

    Rows go first, so that one who is interrupted leaves objects that nobody refers to, for the next sweep.
    """
    models = registry.delete_models(proposal.models, proposal.rules, actor)
    fits = registry.delete_fits(proposal.fits)
    jobs = registry.delete_jobs(proposal.jobs)
    logs = registry.delete_logs(proposal.at)
    used, _ = registry.references()
    gone = [one for one in proposal.objects if one.sha256 not in used and store.discard(one, proposal.at - GRACE)]
    return Swept(models, jobs, logs, fits, len(gone), sum(one.bytes for one in gone))
