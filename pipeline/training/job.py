"""One training job: lock, record, train, and whatever happens, an end that the registry knows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from contracts import Outcome, PlanRow, Priority, TrainingTerms
from pipeline.errors import RegistryError
from pipeline.events.relay import relay_after_training
from pipeline.installation import Installation
from pipeline.logs import bound
from pipeline.registry.failures import INTERRUPTED
from pipeline.registry.locks import Held
from pipeline.registry.records import JobRecord, JobStatus
from pipeline.tenant_data import TenantData
from pipeline.training.commit import git_commit
from pipeline.training.experiment import figures, parameters
from pipeline.training.lock import training_lock
from pipeline.training.mirror import mirror
from pipeline.training.plan import causes
from pipeline.training.record import PLANNING, Record
from pipeline.training.terms import data_under, settings_under
from pipeline.training.trainer import TRAINING, Done, Trainer

WAITING = "not planned yet"
"""The cause of a job that is pending."""
PENDING_DAYS = 1
"""A job that has been pending for longer has no process any more that waits."""
Planner = Callable[[TenantData], Sequence[PlanRow]]


@dataclass(frozen=True)
class Order:
    """Who asks for a job, under which name and run it is known, and with which tags it is found again.

    `retry_count` is how many runs before tried the same; `priority` is the one that it waited in the queue with.
    `terms` are those under which it trains, and `diagnostics` asks for a profile, whatever ENABLE_PROFILING says.
    """

    name: str
    requested_by: str
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    retry_count: int = 0
    priority: Priority = Priority.NORMAL
    terms: TrainingTerms | None = None
    diagnostics: bool = False


class Job:
    """A running job; iterate `train` and the counts follow. `left` are the due products that are not done with yet."""

    def __init__(self, trainer: Trainer, plan: Sequence[PlanRow], held: Held, record: Record) -> None:
        self.trainer = trainer
        self._held, self._record = held, record
        self.data = trainer.data
        self.plan = plan
        self.counts = record.counts
        self.left = sum(row.due for row in plan)

    def train(self) -> Iterator[Done]:
        """Yield each product as it is done with.

        Raises:
            LockLostError: the tenant's lock is gone, so that another training may be at work.
        """
        for done in self.trainer.train(self.plan):
            self._held.check()
            self.counts[done.ledger.outcome] += 1
            self.left -= done.ledger.cause is not None
            if done.ledger.outcome is Outcome.FAILED:
                self._record.log("error", TRAINING, f"{done.ledger.product_id}: {done.ledger.reason}")
            yield done
        if self.left:
            minutes = self.trainer.settings.max_training_time_minutes
            text = (
                f"stopped after MAX_TRAINING_TIME_MINUTES = {minutes}: {self.left} products are left for the next run"
            )
            self._record.log("warning", TRAINING, text)


@contextmanager
def training_job(installation: Installation, tenant_id: str, planner: Planner, order: Order) -> Iterator[Job]:
    """Open a job for a tenant, under the tenant's lock, and close it when the block ends.

    It is pending until the lock is had. Sales are read and the plan is made under the lock: whoever had to wait for
    another training of the tenant counts what that one has done. Once the lock is free again its events are sent, and
    where an MLflow server is named it is mirrored there.

    Args:
        installation: where everything is kept.
        tenant_id: whose products are trained.
        planner: makes the plan from all of the tenant's data.
        order: who asks, and under which terms.

    Raises:
        LockedError: another training of the tenant held the lock too long.
        DataError: the tenant has no sales or no calendar yet, or the terms leave too few days of them.
    """
    job_id = installation.registry.start_job(
        tenant_id,
        name=order.name,
        cause=WAITING,
        requested_by=order.requested_by,
        run_id=order.run_id,
        retry_count=order.retry_count,
        priority=order.priority,
        git_commit=git_commit(),
        tags=order.tags,
        pending=True,
    )
    record = Record(installation, tenant_id, job_id)
    with bound(tenant=tenant_id, job=job_id), _recorded(installation, planner, order, record) as job:
        yield job


@contextmanager
def _recorded(installation: Installation, planner: Planner, order: Order, record: Record) -> Iterator[Job]:
    """The job under its lock, and its end on record; then others are told."""
    tenant_id = record.tenant_id
    try:
        with training_lock(installation, tenant_id, installation.settings.training_lock_wait_seconds) as held:
            try:
                job = _begun(installation, planner, order, record, held)
                with profiled(installation, record.job_id, asked=order.diagnostics):
                    yield job
            except BaseException as error:
                record.fail(error)  # While the lock is still held, so that no other training closes the job.
                raise
            record.complete(figures(job.trainer.evaluation.scored))
    except BaseException as error:
        record.fail(error)
        if isinstance(error, Exception):  # Who asks it to stop is not kept waiting.
            _tell_others(installation, tenant_id)
        raise
    _tell_others(installation, tenant_id)


def _tell_others(installation: Installation, tenant_id: str) -> None:
    """Send events and mirror the training, the lock free again; what others do with it holds nothing up for long."""
    relay_after_training(installation)
    mirror(installation, tenant_id)


def _begun(installation: Installation, planner: Planner, order: Order, record: Record, held: Held) -> Job:
    """Plan a pending job, and record that it runs: its time begins now, whatever it waited before."""
    begun, tenant_id = time.monotonic(), record.tenant_id
    installation.store.mark(installation.registry.identity)
    close_interrupted(installation, tenant_id, but=record.job_id)
    known = installation.data(tenant_id)
    data = data_under(order.terms, known, installation.settings)
    settings = settings_under(order.terms, installation.settings)
    plan = planner(known)
    record.names = {product: name for product, name in zip(data.panel.products, data.panel.name, strict=True) if name}
    installation.registry.begin_job(
        record.job_id,
        cause=causes(plan),
        products_total=sum(row.due for row in plan),
        parameters=parameters(settings, data),
    )
    installation.registry.save_plan(record.job_id, plan)
    record.log("info", PLANNING, causes(plan), products=len(plan), origin=str(data.origin.date()))
    trainer = Trainer(
        data=data,
        home=installation.home,
        settings=settings,
        registry=installation.registry,
        store=installation.store,
        job_id=record.job_id,
        workers=installation.workers,
        progress=record,
        deadline=begun + 60 * settings.max_training_time_minutes,
    )
    return Job(trainer, plan, held, record)


@contextmanager
def profiled(installation: Installation, job_id: str, *, asked: bool) -> Iterator[None]:
    """Write a profile of the block under `profiles/` where it is asked for, or always is: ENABLE_PROFILING.

    Read it with pstats.
    """
    if not (asked or installation.settings.enable_profiling):
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


def close_interrupted(installation: Installation, tenant_id: str, but: str | None = None) -> None:
    """Mark the tenant's jobs whose process is gone as failed.

    Whoever holds its lock knows that of all that still run; those that are pending may be waiting for the lock.

    Args:
        installation: knows the jobs.
        tenant_id: whose jobs.
        but: the job of this process.
    """
    for job in installation.registry.jobs(tenant_id, limit=None, unfinished=True):
        if job.id != but and (job.status is JobStatus.RUNNING or _forgotten(job)):
            ledger = Counter(row.outcome for row in installation.registry.ledger(tenant_id, job.id))
            counts = {outcome.value: ledger[outcome] for outcome in Outcome}
            with suppress(RegistryError):  # another process may have closed it in this very moment
                text = "interrupted: its process ended; what it had finished is kept"
                installation.registry.finish_job(job.id, JobStatus.FAILED, counts=counts, error=text, kind=INTERRUPTED)


def _forgotten(job: JobRecord) -> bool:
    return job.status is JobStatus.PENDING and job.started_at < datetime.now(UTC) - timedelta(days=PENDING_DAYS)
