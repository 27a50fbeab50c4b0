"""Whether registered models are whole: their manifests, and every stored file once, however many models share it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from contracts import ArtefactRef, ModelManifest
from pipeline.errors import IntegrityError, RegistryError
from pipeline.registry.records import Action, ModelRecord
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore


class Verifies(Protocol):
    """Says of a stored file what is wrong with it, None where nothing is."""

    def broken(self, ref: ArtefactRef) -> str | None:
        """Check one file against its size and SHA-256; raises where the place does not answer."""


class VerifiedOnce:
    """Reads and hashes each stored file once, however many models share it: one booster serves a whole tenant.

    A place that does not answer is asked again for the next model.
    """

    def __init__(self, store: Verifies) -> None:
        self.broken = cache(store.broken)


def broken_files(manifest: ModelManifest, store: Verifies) -> list[str]:
    """Return what is wrong with a model's stored files, each fault naming its file.

    Raises:
        RegistryError: the place that holds them does not answer, so that nobody knows.
    """
    faults = ((ref.name, store.broken(ref)) for member in manifest.members for ref in member.files)
    return [f"{name}: {fault}" for name, fault in faults if fault]


@dataclass(frozen=True)
class Fault:
    """What is wrong with one model: with one of its files, or with its manifest where `ref` is None.

    `silent` says that the place did not answer: nothing is known to be broken then.
    """

    model: ModelRecord
    fault: str
    ref: ArtefactRef | None = None
    silent: bool = False


@dataclass
class Verifier:
    """Reads and hashes each distinct object once; `verdicts` holds what came of it, by content and size."""

    registry: Registry
    store: ArtefactStore
    verdicts: dict[tuple[str, int], tuple[str | None, bool]] = field(default_factory=dict)

    def faults(self, model: ModelRecord) -> Iterator[Fault]:
        """Yield what is wrong with a model.

        Raises:
            RegistryError: the registry cannot be read.
        """
        try:
            manifest = self.registry.manifest(model.tenant_id, model.product_id, model.version)
        except IntegrityError as error:
            yield Fault(model, str(error))
            return
        for member in manifest.members:
            for ref in member.files:
                key = (ref.sha256, ref.bytes)
                if key not in self.verdicts:
                    self.verdicts[key] = self._verdict(ref)
                fault, silent = self.verdicts[key]
                if fault is not None:
                    yield Fault(model, f"{ref.name}: {fault}", ref, silent)

    def _verdict(self, ref: ArtefactRef) -> tuple[str | None, bool]:
        try:
            return self.store.broken(ref), False
        except RegistryError as error:
            return str(error), True


def standing(registry: Registry, tenant_id: str) -> list[ModelRecord]:
    """Return a tenant's models that forecast, or may next: champions, those that they replaced, each product's newest.

    What is older is used by nothing, and there may be ten times as much of it.
    """
    found = (registry.champions(tenant_id), registry.previous_champions(tenant_id), registry.latest(tenant_id))
    return list({model.id: model for models in found for model in models.values()}.values())


def unusable(
    registry: Registry, store: ArtefactStore, tenant_id: str, products: Collection[str] | None = None
) -> dict[str, str]:
    """Return the products that have no whole model where one is in use or newest, and what is wrong with it.

    A place that does not answer breaks no model; a newer model that is whole, and waits to be decided about or
    deployed, is no reason to train.

    Args:
        registry: knows the models.
        store: holds their files.
        tenant_id: whose products.
        products: that are asked about; None: all.
    """
    verifier, found = Verifier(registry, store), {}
    latest, champions = registry.latest(tenant_id), registry.champions(tenant_id)
    for product, newest in latest.items():
        if products is not None and product not in products:
            continue
        model = champions.get(product, newest)
        fault = next((one.fault for one in verifier.faults(model) if not one.silent), None)
        waits = newest.version > model.version and not any(verifier.faults(newest))
        if fault is not None and not waits:
            found[product] = f"version {model.version}: {fault}"
    return found


def set_aside(faults: Iterable[Fault], registry: Registry, store: ArtefactStore, actor: str) -> tuple[str, ...]:
    """Move broken files into quarantine, each once, and audit it; return where they lie now.

    Raises:
        RegistryError: one cannot be moved.
    """
    refs = {fault.ref.sha256: fault for fault in faults if fault.ref is not None and not fault.silent}
    moved: list[str] = []
    for sha256, fault in refs.items():
        assert fault.ref is not None
        places = store.quarantine(fault.ref)
        if places:
            reason, details = fault.fault, {"moved_to": list(places)}
            registry.record_action(
                fault.model.tenant_id, Action.QUARANTINE, sha256, actor=actor, reason=reason, details=details
            )
        moved += places
    return tuple(moved)
