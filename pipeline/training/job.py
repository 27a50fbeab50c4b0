"""One training job: lock, record, train, and whatever happens, an end that the registry knows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from contracts import Outcome, PlanRow
from pipeline.errors import RegistryError
from pipeline.installation import Installation
from pipeline.progress import report
from pipeline.registry.locks import Held
from pipeline.registry.records import JobStatus
from pipeline.tenant_data import TenantData
from pipeline.training.commit import git_commit
from pipeline.training.lock import training_lock
from pipeline.training.plan import causes
from pipeline.training.trainer import EVALUATING, TRAINING, Done, Trainer

EVALUATED_SHARE = 1 / 3
SHARE_LEFT = 1 - EVALUATED_SHARE
PLANNING = "planning"
Log = Callable[..., None]
Planner = Callable[[TenantData], Sequence[PlanRow]]


@dataclass(frozen=True)
class Order:
    """Who asks for a job, under which name and run it is known, and with which tags it is found again."""

    name: str
    requested_by: str
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class Job:
    """A running job; iterate `train` and the counts follow."""

    def __init__(self, trainer: Trainer, plan: Sequence[PlanRow], held: Held, log: Log) -> None:
        self.trainer = trainer
        self._held, self._log = held, log
        self.data = trainer.data
        self.plan = plan
        self.counts: Counter[str] = Counter()

    def train(self) -> Iterator[Done]:
        """Yield each product as it is done with.

        Raises:
            LockLostError: the tenant's lock is gone, so that another training may be at work.
        """
        for done in self.trainer.train(self.plan):
            self._held.check()
            self.counts[done.ledger.outcome] += 1
            if done.ledger.outcome is Outcome.FAILED:
                self._log("error", TRAINING, f"{done.ledger.product_id}: {done.ledger.reason}")
            yield done


@contextmanager
def training_job(installation: Installation, tenant_id: str, planner: Planner, order: Order) -> Iterator[Job]:
    """Open a job for a tenant, under the tenant's lock, and close it when the block ends.

    Sales are read and the plan is made under the lock: whoever had to wait for another training of the tenant counts
    what that one has done.

    Args:
        installation: where everything is kept.
        tenant_id: whose products are trained.
        planner: makes the plan from the tenant's data.
        order: who asks.

    Raises:
        LockedError: another training of the tenant held the lock too long.
        DataError: the tenant has no sales or no calendar yet.
    """
    with training_lock(installation, tenant_id, installation.settings.training_lock_wait_seconds) as held:
        installation.store.mark(installation.registry.identity)
        close_interrupted(installation, tenant_id)
        data = installation.data(tenant_id)
        plan = planner(data)
        job_id = installation.registry.start_job(
            tenant_id,
            name=order.name,
            cause=causes(plan),
            requested_by=order.requested_by,
            products_total=sum(row.due for row in plan),
            run_id=order.run_id,
            git_commit=git_commit(),
            tags=order.tags,
        )
        installation.registry.save_plan(job_id, plan)
        log = partial(installation.registry.log, tenant_id, job_id)
        log("info", PLANNING, causes(plan), details={"products": len(plan), "origin": str(data.origin.date())})
        recorder = _Recorder(installation, job_id, log)
        trainer = Trainer(
            data=data,
            home=installation.home,
            settings=installation.settings,
            registry=installation.registry,
            store=installation.store,
            job_id=job_id,
            workers=installation.workers,
            progress=recorder,
        )
        job = Job(trainer, plan, held, log)
        try:
            with profiled(installation, job_id):
                yield job
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            # What the job died of may be the database, or another training that took its lock and closed it.
            with suppress(RegistryError):
                log("error", recorder.step, text)
                installation.registry.finish_job(job_id, JobStatus.FAILED, counts=_counts(job), error=text)
            raise
        recorder.end_step()
        installation.registry.finish_job(job_id, JobStatus.COMPLETED, counts=_counts(job))


@contextmanager
def profiled(installation: Installation, job_id: str) -> Iterator[None]:
    """Write a profile of the block under `profiles/` where ENABLE_PROFILING asks for it; read it with pstats."""
    if not installation.settings.enable_profiling:
        yield
        return
    import cProfile

    place = installation.home.root / "profiles" / f"{job_id}.prof"
    place.parent.mkdir(parents=True, exist_ok=True)
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(place)


def close_interrupted(installation: Installation, tenant_id: str) -> None:
    """Mark the tenant's jobs that still run as failed: whoever holds its lock knows that their process is gone."""
    for job in installation.registry.jobs(tenant_id, limit=100):
        if not job.status.final:
            ledger = Counter(row.outcome for row in installation.registry.ledger(tenant_id, job.id))
            counts = {outcome.value: ledger[outcome] for outcome in Outcome}
            with suppress(RegistryError):  # another process may have closed it in this very moment
                text = "interrupted: its process ended; what it had finished is kept"
                installation.registry.finish_job(job.id, JobStatus.FAILED, counts=counts, error=text)


def _counts(job: Job) -> dict[str, int]:
    return {outcome.value: job.counts[outcome] for outcome in Outcome}


class _Recorder:
    """Passes progress on to whoever listens, writes it into the job at every whole percent, and logs ended steps."""

    def __init__(self, installation: Installation, job_id: str, log: Log) -> None:
        self._registry, self._job_id, self._log = installation.registry, job_id, log
        self._last: tuple[str, int] | None = None
        self.step, self._begun, self._done = PLANNING, time.perf_counter(), 0

    def __call__(self, step: str, done: int, total: int) -> None:
        report(step, done, total)
        if step != self.step:
            self.end_step()
            self.step, self._begun = step, time.perf_counter()
        self._done = done
        part = done / max(total, 1)
        # Origins are the first third of the work, the products the rest: one figure that never falls.
        percent = int(100 * (EVALUATED_SHARE * part if step == EVALUATING else EVALUATED_SHARE + SHARE_LEFT * part))
        if (step, percent) != self._last:
            self._last = (step, percent)
            products = done if step == TRAINING else None
            self._registry.update_job(self._job_id, step=step, percentage=percent, products_completed=products)

    def end_step(self) -> None:
        """Log what the step took."""
        if self.step != PLANNING:
            took = 1000 * (time.perf_counter() - self._begun)
            self._log("info", self.step, f"{self._done} done", milliseconds=took)
