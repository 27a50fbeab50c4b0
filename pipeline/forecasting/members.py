"""Stored members of models brought back to forecast: verified, grouped, and spread over workers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contracts import Member, ModelManifest, TrainingTerms
from pipeline.compute import map_unordered, worker_memory
from pipeline.engine.explain import explain
from pipeline.engine.families import FAMILIES, Scope
from pipeline.engine.faults import borne
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import Parts
from pipeline.errors import EngineError, PipelineError
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData

CHUNK = 25
"""Products a task: enough that a task outlasts its way to the worker."""
FEW_PRODUCTS = 150
"""Up to so many products are forecast in this process: workers would take longer to start than to work."""


@dataclass(frozen=True)
class PredictTask:
    """A family's stored files and the products that they forecast."""

    family: str
    files: tuple[Mapping[str, bytes], ...]
    panel: Panel
    outlook: Outlook
    horizon: int


@dataclass
class Predictions:
    """(h,) units by (product, family), and faults by product."""

    made: dict[tuple[str, str], Floats] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def predict(task: PredictTask) -> tuple[dict[str, Floats], dict[str, str]]:
    """Forecast in a worker: one set of files for all products of the panel, or one set a product."""
    family = FAMILIES[task.family]
    if len(task.files) == 1 and family.scope is Scope.TENANT:
        block = family.from_files(task.files[0]).predict(task.panel, task.outlook, task.horizon)
        return dict(zip(task.panel.products, block, strict=True)), {}
    made, faults = {}, {}
    for row, product in enumerate(task.panel.products):
        alone = task.panel.take([row])
        try:
            made[product] = family.from_files(task.files[row]).predict(
                alone, task.outlook.take([product]), task.horizon
            )[0]
        except borne(task.family) as error:
            faults[product] = f"{task.family}: {type(error).__name__}: {error}"
    return made, faults


def predict_all(
    manifests: Sequence[ModelManifest], data: TenantData, store: ArtefactStore, settings: Settings, workers: int
) -> Predictions:
    """Return what each member of each model forecasts from the tenant's origin."""
    found = Predictions()
    if len(manifests) <= FEW_PRODUCTS:
        workers = 0
    tasks, memory = _tasks(manifests, data, store, settings, found), worker_memory(settings, workers)
    for outcome in map_unordered(predict, tasks, workers=workers, timeout=settings.task_timeout_seconds, memory=memory):
        products, family = outcome.task.panel.products, outcome.task.family
        if outcome.error is not None or outcome.value is None:
            found.faults |= dict.fromkeys(products, f"{family}: {type(outcome.error).__name__}: {outcome.error}")
            continue
        made, faults = outcome.value
        found.made |= {(product, family): units for product, units in made.items()}
        found.faults |= faults
    return found


def explain_members(
    manifest: ModelManifest, data: TenantData, store: ArtefactStore, settings: Settings
) -> dict[str, Parts]:
    """Return the parts, (1, horizon) units, of what each member of a model forecasts from the tenant's origin.

    Raises:
        EngineError: a member's files are not whole, or it cannot forecast.
    """
    found = Predictions()
    told = {
        task.family: explain(
            task.family, FAMILIES[task.family].from_files(task.files[0]), task.panel, task.outlook, task.horizon
        )
        for task in _tasks((manifest,), data, store, settings, found)
    }
    for product, fault in found.faults.items():
        raise EngineError(f"version {manifest.version} of {product!r} cannot be explained: {fault}")
    return told


def _tasks(
    manifests: Sequence[ModelManifest], data: TenantData, store: ArtefactStore, settings: Settings, found: Predictions
) -> Iterator[PredictTask]:
    groups: dict[tuple[str, tuple[str, ...], dt.date | None], list[tuple[str, Member]]] = {}
    for manifest in manifests:
        first = manifest.terms.start if manifest.terms else None
        for member in manifest.members:
            shared = tuple(ref.sha256 for ref in member.files) if member.scope == Scope.TENANT else ()
            groups.setdefault((member.family, shared, first), []).append((manifest.product_id, member))
    row_of = data.panel.row
    # A member that is solved anew each day must see no more of the past than its model was trained and scored on.
    seen = {first: data.under(TrainingTerms(start=first) if first else None) for *_, first in groups}
    for (family, shared, first), users in groups.items():
        size = len(users) if shared else CHUNK
        for chunk in (users[start : start + size] for start in range(0, len(users), size)):
            read = list(_read(chunk[:1] if shared else chunk, store, found, [product for product, _ in chunk]))
            able = [product for product, _ in chunk if product not in found.faults]
            if able:
                panel = seen[first].held.panel.take([row_of[product] for product in able])
                outlook = data.outlook.take(able)
                yield PredictTask(family, tuple(read), panel, outlook, settings.horizon_days)


def _read(
    chunk: Iterable[tuple[str, Member]], store: ArtefactStore, found: Predictions, users: Sequence[str]
) -> Iterator[dict[str, bytes]]:
    """Yield each member's verified files; where they are not whole, every product that needs them has a fault."""
    for product, member in chunk:
        shared = member.scope == Scope.TENANT
        if not shared and product in found.faults:
            continue
        try:
            yield {ref.name: store.get(ref) for ref in member.files}
        except PipelineError as error:
            found.faults |= dict.fromkeys(users if shared else [product], f"{member.family}: {error}")
