"""A training job: locked, recorded, ended."""

from __future__ import annotations

import pstats
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import pytest

from contracts import PlanRow
from pipeline.errors import LockedError, LockLostError
from pipeline.progress import listening
from pipeline.registry.records import JobStatus
from pipeline.tenant_data import TenantData
from pipeline.training import lock
from pipeline.training.job import Order, training_job
from pipeline.training.lock import training_lock
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.shop import FIRST, LENGTH, ORDER, TRAINABLE, Shop, sales_of


def nothing(_data: TenantData) -> list[PlanRow]:
    """A plan without rows."""
    return []


def test_a_job_ends_completed_with_its_counts(training: Training) -> None:
    """A job that ran to its end is completed at 100 percent, with a count for each outcome."""
    registry = training.shop.installation.registry
    job = registry.job("bakery", training.job.trainer.job_id)
    assert (job.status, job.percentage, job.error) == (JobStatus.COMPLETED, 100.0, None)
    assert (job.trained, job.insufficient, job.skipped, job.failed) == (5, 1, 1, 0)
    assert (job.products_total, job.products_completed) == (5, 5)
    assert (job.name, job.cause, job.requested_by) == (ORDER.name, "never_trained 5", ORDER.requested_by)
    assert job.finished_at is not None


def test_a_plan_without_work_is_a_job_all_the_same(trained: Shop) -> None:
    """Where nothing is due every product is settled as skipped, and the job is completed."""
    done, job = trained.train()
    assert {one.ledger.outcome.value for one in done} == {"skipped", "insufficient"}
    record = trained.installation.registry.job("bakery", job.trainer.job_id)
    assert (record.status, record.trained, record.products_total) == (JobStatus.COMPLETED, 0, 0)
    assert record.cause == "nothing due"


def test_progress_reaches_the_job_and_its_listeners(fresh: Shop) -> None:
    """Whoever listens hears every step; the job's row follows."""
    heard: list[tuple[str, int, int]] = []
    registry = fresh.installation.registry
    with (
        listening(lambda *step: heard.append(step)),
        fresh.job() as job,
    ):
        seen = [registry.job("bakery", job.trainer.job_id).products_completed for _ in job.train()]
    assert heard[0] == ("evaluating past origins", 0, 2)
    assert heard[-1] == ("training products", 5, 5)
    assert seen == [0, 0, 0, 1, 2, 3, 4]


def test_one_training_of_a_tenant_at_a_time(fresh: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """While another trains the tenant a training waits, and says for whom before and after; other tenants go on."""
    fresh.configure(training_lock_wait_seconds=0.2)
    first = Order("nightly", "the schedule", "run-7")
    with training_job(fresh.installation, "bakery", nothing, first) as job:
        by_whom = rf"by 'nightly' for 'the schedule' since .* UTC \(job {job.trainer.job_id}, Dagster run run-7\)"
        with (
            pytest.raises(LockedError, match=rf"'bakery' is being trained {by_whom}, which was not done after 0\.2 s"),
            training_job(fresh.installation, "bakery", nothing, ORDER),
        ):
            pass
        (told,) = [record.getMessage() for record in caplog.records if record.name == "pipeline.training.lock"]
        assert re.search(rf"'bakery' is being trained already, {by_whom}; waiting for up to 0\.2 s", told)
        with training_lock(fresh.installation, "cafe", 0.2):
            pass
    told = [(job.name, job.status, job.percentage) for job in fresh.installation.registry.jobs("bakery")]
    assert told == [("test", JobStatus.FAILED, 0), ("nightly", JobStatus.COMPLETED, 100)]
    with training_job(fresh.installation, "bakery", nothing, ORDER):
        pass


def test_a_training_without_its_lock_stops(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lock is lost the job fails after the product at hand; what was finished is kept, the rest is due."""

    @contextmanager
    def hold(*_args: object) -> Iterator[object]:
        class Held:
            checks = 0

            def check(self) -> None:
                self.checks += 1
                if self.checks > 2:
                    raise LockLostError("the connection is gone")

        yield Held()

    monkeypatch.setattr(lock, "hold", hold)
    with pytest.raises(LockLostError), fresh.job() as job:
        list(job.train())
    monkeypatch.undo()
    (record,) = fresh.installation.registry.jobs("bakery")
    assert (record.status, record.error) == (JobStatus.FAILED, "LockLostError: the connection is gone")
    ledger = {row.product_id for row in fresh.installation.registry.ledger("bakery", record.id)}
    _, again = fresh.train()
    assert {row.product_id for row in again.plan if row.due} == set(TRAINABLE) - ledger


def test_who_waited_trains_nothing_twice(fresh: Shop) -> None:
    """Of two trainings of a tenant the second plans when the first is through, on the sales of then."""
    waiting = threading.Event()
    outcomes: list[Counter[str]] = []

    def second() -> None:
        waiting.set()
        with fresh.job() as job:
            assert job.data.origin == FIRST + pd.Timedelta(days=LENGTH)
            outcomes.append(Counter(one.ledger.outcome.value for one in job.train()))

    other = threading.Thread(target=second)
    with fresh.job() as job:
        other.start()
        assert waiting.wait(10)
        fresh.sell(sales_of(LENGTH + 1))
        assert sum(one.manifest is not None for one in job.train()) == len(TRAINABLE)
    other.join(60)
    assert outcomes == [Counter(skipped=6, insufficient=1)]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_profile_is_written_where_it_is_asked_for(fresh: Shop, wanted: bool) -> None:
    """With profiling on, a job leaves a profile that can be read; without, none."""
    fresh.configure(enable_profiling=wanted)
    with training_job(fresh.installation, "bakery", nothing, ORDER) as job:
        list(job.train())
    profiles = list((fresh.installation.home.root / "profiles").glob("*.prof"))
    assert [path.stem for path in profiles] == ([job.trainer.job_id] if wanted else [])
    assert all(pstats.Stats(str(path)).total_calls for path in profiles)


def test_a_lost_lock_is_told_though_another_closed_the_job(fresh: Shop) -> None:
    """Where another training took the lock and closed this job, its error is still the lock that was lost."""

    def lost() -> None:
        with fresh.job() as job:
            list(job.train())
            fresh.installation.registry.finish_job(job.trainer.job_id, JobStatus.FAILED, counts={}, error="closed")
            raise LockLostError("the connection is gone")

    with pytest.raises(LockLostError, match="the connection is gone"):
        lost()


def test_a_job_keeps_a_log(training: Training) -> None:
    """Its lines tell the plan, and of each step how much was done and how long it took."""
    registry, job_id = training.shop.installation.registry, training.job.trainer.job_id
    plan, *steps = registry.logs("bakery", job_id)
    assert (plan.step, plan.message, plan.details["products"]) == ("planning", "never_trained 5", 7)
    assert [(line.step, line.message) for line in steps] == [
        ("evaluating past origins", "2 done"),
        ("training products", "5 done"),
    ]
    assert all(line.milliseconds and line.milliseconds > 0 for line in steps)


def test_a_job_that_fails_says_so_in_its_log(fresh: Shop) -> None:
    """The last line of its log is the error, with the step that it was at."""

    def torn() -> None:
        with fresh.job() as job:
            list(job.train())
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        torn()
    (job,) = fresh.installation.registry.jobs("bakery")
    last = fresh.installation.registry.logs("bakery", job.id)[-1]
    assert (last.level, last.message) == ("error", "ZeroDivisionError: division by zero")
    assert last.step == "training products"


def test_a_job_knows_its_tags(fresh: Shop) -> None:
    """Tags of an order stand in its job."""
    with training_job(fresh.installation, "bakery", nothing, Order("test", "a test", tags={"idea": "fewer trees"})):
        pass
    (job,) = fresh.installation.registry.jobs("bakery")
    assert job.tags == {"idea": "fewer trees"}
