"""A training job: locked, recorded, ended."""

from __future__ import annotations

import pstats
import threading
from collections import Counter

import pandas as pd
import pytest

from contracts import PlanRow
from pipeline.errors import ConfigurationError
from pipeline.progress import listening
from pipeline.registry.records import JobStatus
from pipeline.tenant_data import TenantData
from pipeline.training import job as jobs
from pipeline.training.job import training_job
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


def test_one_training_of_a_tenant_at_a_time(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another holds the tenant's lock a training waits, then says who is in the way; other tenants go on."""
    monkeypatch.setattr(jobs, "LOCK_WAIT_SECONDS", 0.2)
    with training_lock(fresh.installation.home, "bakery", 1):
        with (
            pytest.raises(ConfigurationError, match=r"'bakery' is being trained by another process.*for 0\.2 s"),
            training_job(fresh.installation, "bakery", nothing, ORDER),
        ):
            pass
        with training_lock(fresh.installation.home, "cafe", 0.2):
            pass
    assert fresh.installation.registry.jobs("bakery") == []
    with training_job(fresh.installation, "bakery", nothing, ORDER):
        pass


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
