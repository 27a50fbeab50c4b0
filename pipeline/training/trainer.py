"""The trainer: takes the products that are due from evaluation to a registered model, one after the other.

A product is done when its model is stored and its ledger row committed; it is yielded at that moment. What
is done stays done when the run dies, and one product's failure touches no other.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from contracts import DemandClass, LedgerRow, ModelManifest, Outcome, PlanRow
from pipeline.compute import Crew, worker_memory
from pipeline.compute import Outcome as TaskOutcome
from pipeline.engine.closing import closed_ahead
from pipeline.engine.combination import Weights
from pipeline.engine.evaluate import OriginForecasts, Task, bands_of, weights_of
from pipeline.engine.families import FAMILIES, Scope
from pipeline.engine.intervals import lay, product_scale, spread
from pipeline.engine.metrics import seasonal_scales
from pipeline.engine.panel import Bools, Floats
from pipeline.engine.parts import Parts, combined
from pipeline.engine.tuning import Tuned
from pipeline.errors import ComputeError, EngineError, InsufficientDataError, PipelineError
from pipeline.home import Home
from pipeline.logs import bound
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.contest import Contest
from pipeline.training.evaluation import Evaluation, Origins
from pipeline.training.fitting import (
    EXPLAINED_DAYS,
    Fits,
    PooledFit,
    PooledTask,
    ProductTask,
    SearchTask,
    fit_product,
    prepare,
)
from pipeline.training.manifest import ManifestMaker, Stored
from pipeline.training.pooled import PooledFits
from pipeline.training.recipes import recipes
from pipeline.training.rivals import Rivals, refit
from pipeline.training.searches import Searches

PRODUCTS_A_TIMEOUT = 500
"""Products up to which TASK_TIMEOUT_SECONDS holds for a task over all of them; with more it grows alike."""
EVALUATING, COMPARING, TRAINING = "evaluating past origins", "comparing with champions", "training products"
Shared = Task | PooledTask | SearchTask
SharedResult = OriginForecasts | PooledFit | Tuned
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Done:
    """One product that the trainer is through with.

    `manifest` is None unless it was trained; `ahead` holds its (levels, h) quantiles and `y_hat` its (h,) mean; `why`
    the (1, 1) parts of the first day's mean.
    """

    ledger: LedgerRow
    manifest: ModelManifest | None = None
    y_hat: Floats | None = None
    ahead: Floats | None = None
    why: Parts | None = None


@dataclass
class Trainer:
    """Trains the due products of one tenant's plan.

    Attributes:
        data: the tenant's sales and outlook as of the origin.
        home, settings, registry, store: where things are kept, and how they are done.
        job_id: the running job.
        workers: processes; 0 for none.
        progress: called with (step, done, total).
        deadline: moment of `time.monotonic` after which no product is begun but the first few.
    """

    data: TenantData
    home: Home
    settings: Settings
    registry: Registry
    store: ArtefactStore
    job_id: str
    workers: int
    progress: Progress
    deadline: float = math.inf
    evaluation: Evaluation = field(default_factory=lambda: Evaluation(()))
    tuned: Tuned = field(default_factory=Tuned)
    _notes: list[str] = field(default_factory=list)
    _untuned: Mapping[DemandClass, tuple[str, ...]] = field(default_factory=dict)
    _pooled: PooledFits = field(init=False)
    _contest: Contest = field(init=False)

    def train(self, plan: Sequence[PlanRow]) -> Iterator[Done]:
        """Yield every product of the plan as it is done with: first those that are not due, then the trained.

        Raises:
            ComputeError: every past origin was lost; no product is trained then.
        """
        for row in plan:
            if not row.due:
                yield self._settle_idle(row)
        due = {row.product_id: row for row in plan if row.due}
        if due:
            yield from self._train(due)
        elif not (origins := self._origins()).missing:
            self.evaluation = origins.evaluation()

    def _origins(self) -> Origins:
        # Of their own under terms: only what the next training may ask for again is kept.
        kept = "evaluated" if self.data.terms is None else "evaluated_under_terms"
        return Origins(self.data, self.home.tenant(self.data.tenant.id) / kept, self.settings)

    def _train(self, due: Mapping[str, PlanRow]) -> Iterator[Done]:
        """First what concerns many products: past origins, searches, pooled fits; then product after product."""
        origins = self._origins()
        searches = Searches(self.data, self.registry, self.store, self.settings)
        self._pooled = PooledFits(self.data, self.registry, self.store, self.settings)
        self.progress(EVALUATING, *origins.progress)
        shared: list[Shared] = [*origins.missing, *searches.tasks(), *self._pooled.tasks(due)]
        timeout = self.settings.task_timeout_seconds * max(1.0, len(self.data.panel.products) / PRODUCTS_A_TIMEOUT)
        with Crew(self.workers, worker_memory(self.settings, self.workers)) as crew:
            for prepared in crew.map_unordered(prepare, shared, timeout=timeout):
                self._take(prepared, origins, searches)
            self.evaluation, self.tuned = origins.evaluation(), searches.tuned
            self._notes += searches.notes
            self._untuned = {one: searches.lost(one) for one in DemandClass}
            self._hold_against_champions(crew, due, timeout)
            fitted = crew.map_unordered(fit_product, self._in_time(self._product_tasks(due)), timeout=timeout)
            for done, outcome in enumerate(fitted, start=1):
                with bound(product=outcome.task.product):
                    finished = self._finish(due[outcome.task.product], outcome)
                yield finished
                self.progress(TRAINING, done, len(due))

    def _in_time(self, tasks: Iterable[ProductTask]) -> Iterator[ProductTask]:
        """Yield tasks until the time is over, so that what was begun is finished; the first, whatever the time."""
        for number, task in enumerate(tasks):
            if number and time.monotonic() >= self.deadline:
                return
            yield task

    def _hold_against_champions(self, crew: Crew, due: Collection[str], timeout: float) -> None:
        """Fit what differs from the champions' recipes at the same origins: nothing, where no recipe has changed."""
        rivals = Rivals(self.data, self.registry, self.settings, due)
        classes = dict(zip(self.data.panel.products, self.data.demand.classes, strict=True))
        self._contest = Contest(rivals, self.evaluation.scored, self._weights, classes, self.settings.promotion_metric)
        refits = rivals.refits(self.evaluation.origins, self.tuned)
        for done, outcome in enumerate(crew.map_unordered(refit, refits, timeout=timeout), start=1):
            self._contest.keep(outcome)
            self.progress(COMPARING, done, len(refits))

    def _take(self, outcome: TaskOutcome[Shared, SharedResult], origins: Origins, searches: Searches) -> None:
        """Put an outcome where it belongs; what was lost is noted and done without."""
        if isinstance(outcome.task, PooledTask) and isinstance(outcome.value, PooledFit):
            self._pooled.keep(outcome.task, outcome.value)
        elif isinstance(outcome.task, PooledTask):
            self._pooled.lose(outcome.task, outcome.error)
        elif isinstance(outcome.task, SearchTask) and isinstance(outcome.value, Tuned):
            searches.keep(outcome.task, outcome.value, outcome.seconds)
        elif isinstance(outcome.task, SearchTask):
            searches.lose(outcome.task, outcome.error)
        elif isinstance(outcome.value, OriginForecasts):
            origins.add(outcome.value)
            self.progress(EVALUATING, *origins.progress)
        else:
            fault = f"{type(outcome.error).__name__}: {outcome.error}"
            self._notes.append(f"past origin {outcome.task.origin.date()} was lost: {fault}")
            origins.give_up(outcome.task.origin)
            if not origins.progress[1]:
                raise ComputeError(f"every past origin was lost, nothing can be judged; the last: {fault}")

    def _product_tasks(self, due: Mapping[str, PlanRow]) -> Iterator[ProductTask]:
        row_of = self.data.panel.row
        own = {
            name: recipe
            for name, recipe in self.tuned.applied(recipes(self.settings)).items()
            if FAMILIES[name].scope is Scope.PRODUCT and not FAMILIES[name].gatekeeper
        }
        for product, row in due.items():
            panel, outlook = self.data.held.panel.take([row_of[product]]), self.data.outlook.take([product])
            able = {name: recipe for name, recipe in own.items() if FAMILIES[name].intermittent or not row.restricted}
            yield ProductTask(panel, outlook, able, self.settings.horizon_days)

    def _finish(self, row: PlanRow, outcome: TaskOutcome[ProductTask, Fits]) -> Done:
        """Store, register and settle one product, whatever became of its fit."""
        started = time.perf_counter()
        lost = {"fit": f"{type(outcome.error).__name__}: {outcome.error}"}
        fits = outcome.value if isinstance(outcome.value, Fits) else Fits({}, {}, {}, lost, outcome.seconds)
        pooled = {} if row.restricted else self._pooled.serving(row.product_id)
        try:
            files = {
                name: tuple(self.store.put(file, content) for file, content in contents.items())
                for name, contents in fits.files.items()
            }
            files |= {name: fit.files for name, fit in pooled.items()}
            if not files and not row.restricted:
                raise EngineError(
                    f"no family could be fitted: {'; '.join([*fits.faults.values(), *self._pooled.lost])}"
                )
            seconds = outcome.seconds + time.perf_counter() - started
            made = self._makes.make(
                row, Stored(files, fits.faults, (*self._pooled.lost, *self._notes_on(row))), seconds
            )
            ledger = self._ledger(row, Outcome.TRAINED, self._trained_reason(row, fits), seconds=seconds)
            category = self.data.panel.category[self.data.panel.row[row.product_id]]
            manifest = self.registry.register(made, ledger, category)
        except (PipelineError, OSError) as error:
            return self._settle(row, Outcome.FAILED, str(error), error_type=type(error).__name__)
        own = {name: fit.forecasts[row.product_id] for name, fit in pooled.items()} | dict(fits.forecasts)
        y_hat, ahead = self._ahead(manifest, own)
        why = self._why(manifest, {name: fit.parts[row.product_id] for name, fit in pooled.items()} | dict(fits.parts))
        return Done(ledger.model_copy(update={"version": manifest.version}), manifest, y_hat, ahead, why)

    def _trained_reason(self, row: PlanRow, fits: Fits) -> str:
        """Why it was trained, and what it had to do without."""
        lost = () if row.restricted else self._pooled.lost
        without = [*(f"{name}: {fault}" for name, fault in sorted(fits.faults.items())), *lost]
        return "; ".join([row.reason, *(f"without {one}" for one in without), *self._notes_on(row)])

    def _notes_on(self, row: PlanRow) -> tuple[str, ...]:
        """What the whole training, or the product's demand class, had to do without."""
        demand_class = self.data.demand.classes[self.data.panel.row[row.product_id]]
        return (*self._notes, *self._untuned.get(demand_class, ()))

    def _ahead(self, manifest: ModelManifest, forecasts: Mapping[str, Floats]) -> tuple[Floats | None, Floats | None]:
        """The model's own forecast from its origin, to be looked at: (h,) mean and (levels, h) quantiles."""
        members = [m.weight * forecasts[m.family] for m in manifest.members if m.family in forecasts]
        if not members:
            return None, None
        closed = self._closed[self.data.panel.row[manifest.product_id]]
        y_hat = np.where(closed, 0.0, np.sum(members, axis=0))
        unit = spread(np.array([manifest.scale]), y_hat[None])[0]
        return y_hat, np.where(closed, 0.0, lay(y_hat, unit, manifest.bands))

    def _why(self, manifest: ModelManifest, parts: Mapping[str, Parts]) -> Parts | None:
        """The (1, 1) parts of the first day's mean; None where the model fitted nothing."""
        members = [(m.weight, parts[m.family]) for m in manifest.members if m.family in parts]
        if not members:
            return None
        row = self.data.panel.row[manifest.product_id]
        return combined(members, self._closed[row : row + 1, :EXPLAINED_DAYS])

    def _settle_idle(self, row: PlanRow) -> Done:
        if row.data_days < self.settings.min_training_data_days:
            return self._settle(row, Outcome.INSUFFICIENT, row.reason, error_type=InsufficientDataError.__name__)
        return self._settle(row, Outcome.SKIPPED, row.reason)

    def _settle(self, row: PlanRow, outcome: Outcome, reason: str, error_type: str | None = None) -> Done:
        ledger = self._ledger(row, outcome, reason, error_type=error_type)
        self.registry.record(ledger, self.data.panel.name[self.data.panel.row[row.product_id]])
        return Done(ledger)

    def _ledger(
        self, row: PlanRow, outcome: Outcome, reason: str, *, seconds: float = 0.0, error_type: str | None = None
    ) -> LedgerRow:
        return LedgerRow(
            tenant_id=row.tenant_id,
            product_id=row.product_id,
            job_id=self.job_id,
            outcome=outcome,
            cause=row.cause,
            reason=reason,
            data_days=row.data_days,
            data_fingerprint=row.data_fingerprint,
            origin=self.data.origin.date(),
            seconds=seconds,
            error_type=error_type,
        )

    @cached_property
    def _closed(self) -> Bools:
        return closed_ahead(self.data.panel, self.data.outlook, self.settings.horizon_days)

    @cached_property
    def _weights(self) -> Weights:
        return weights_of(self.evaluation.scored)

    @cached_property
    def _makes(self) -> ManifestMaker:
        data = self.data
        difference, _ = seasonal_scales(data.held.panel)
        return ManifestMaker(
            data=data,
            settings=self.settings,
            job_id=self.job_id,
            evaluation=self.evaluation,
            tuned=self.tuned,
            weights=self._weights,
            contest=self._contest,
            bands=bands_of(self.evaluation.scored),
            scale=dict(zip(data.panel.products, product_scale(difference, data.demand.level), strict=True)),
            version=dt.datetime.now(dt.UTC).strftime("%Y%m%d_%H%M%S"),
        )
