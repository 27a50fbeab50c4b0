"""What makes a training an experiment."""

from __future__ import annotations

import datetime as dt
import threading

import numpy as np
import pytest

from pipeline.engine.evaluate import score
from pipeline.errors import DataError, LockedError
from pipeline.registry.records import JobStatus
from pipeline.training.job import PENDING_DAYS, Order, training_job
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.shop import ORDER, Shop
from pipeline_tests.training.test_job import nothing


def test_a_training_keeps_its_parameters(training: Training) -> None:
    """Settings, families with what they are given, trials and libraries are in its job."""
    registry = training.shop.installation.registry
    known = registry.job("bakery", training.job.trainer.job_id).parameters
    assert (known["horizon_days"], known["evaluation_origins"]) == (7, 2)
    assert "linear" in str(known["families"]).split("+")
    assert (known["linear.weekly"], known["trials.high"]) == ("auto", 6)
    assert known["origin"] == str(training.job.data.origin.date())
    assert {"library.pandas", "code_version", "config_fingerprint"} <= set(known)


def test_a_training_keeps_its_figures_over_all_products(training: Training) -> None:
    """Those of the evaluation: overall and at each past origin, of the combination, the naive and each family."""
    registry, scored = training.shop.installation.registry, training.job.trainer.evaluation.scored
    figures = registry.figures("bakery", training.job.trainer.job_id)
    told = {(one.step, one.family, one.metric): one.value for one in figures}
    assert told[0, "combination", "wape"] == pytest.approx(score(scored).wape)
    assert told[0, "naive", "mae"] == pytest.approx(score(scored, "seasonal_naive").mae)
    for step, one in enumerate(scored, 1):
        assert told[step, "linear", "rmse"] == pytest.approx(score([one], "linear").rmse)
    assert {(one.step, one.origin) for one in figures} == {
        (0, None),
        *((step, one.origin.date()) for step, one in enumerate(scored, 1)),
    }
    assert np.isfinite([*told.values()]).all()
    (seen,) = registry.experiments("bakery")
    assert (seen.models, seen.value) == (5, told[0, "combination", "wape"])


def test_a_training_that_waits_is_pending(fresh: Shop) -> None:
    """While another holds the tenant's lock it is pending; then it runs."""
    registry = fresh.installation.registry
    seen: list[JobStatus] = []

    def second() -> None:
        with training_job(fresh.installation, "bakery", nothing, Order("second", "t")) as job:
            seen.append(registry.job("bakery", job.trainer.job_id).status)

    other = threading.Thread(target=second)
    with training_job(fresh.installation, "bakery", nothing, Order("first", "t")):
        other.start()
        while len(waiting := registry.jobs("bakery")) < 2:
            pass
        seen += [job.status for job in waiting if job.name == "second"]
        with pytest.raises(LockedError, match="'first'"):
            _locked_out(fresh)
    other.join(30)
    assert seen == [JobStatus.PENDING, JobStatus.RUNNING]
    ends = {job.name: job.status for job in registry.jobs("bakery")}
    assert ends["second"] == JobStatus.COMPLETED


def _locked_out(shop: Shop) -> None:
    impatient = Shop(shop.root)
    impatient.configure(training_lock_wait_seconds=0)
    with training_job(impatient.installation, "bakery", nothing, ORDER):
        pass


def test_one_that_was_killed_while_it_waited_is_closed_a_day_later(
    fresh: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that has been pending for more than a day is closed as failed by the next training, a younger one not."""
    registry = fresh.installation.registry
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=PENDING_DAYS, minutes=1)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.registry.jobs.now", lambda: long_ago)
        old = registry.start_job("bakery", name="old", cause="c", requested_by="t", pending=True)
    young = registry.start_job("bakery", name="young", cause="c", requested_by="t", pending=True)
    with training_job(fresh.installation, "bakery", nothing, ORDER):
        pass
    assert registry.job("bakery", old).status is JobStatus.FAILED
    assert registry.job("bakery", young).status is JobStatus.PENDING


def test_a_training_without_sales_fails_on_record(fresh: Shop) -> None:
    """What cannot be planned is a failed job that says why, and never a pending one."""
    (fresh.installation.home.table("bakery", "calendar")).unlink()
    with pytest.raises(DataError), fresh.job():
        pass
    (job,) = fresh.installation.registry.jobs("bakery")
    assert job.status is JobStatus.FAILED
    assert "DataError" in str(job.error)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), JobStatus.CANCELLED),
        (SystemExit(1), JobStatus.CANCELLED),
        (OSError("disk"), JobStatus.FAILED),
    ],
)
def test_who_stops_a_training_cancels_it(fresh: Shop, error: BaseException, status: JobStatus) -> None:
    """Asked to stop it is cancelled, of a fault it has failed; both keep what was done and say what it was."""

    def stopped() -> None:
        with training_job(fresh.installation, "bakery", nothing, Order("test", "t", retry_count=2)):
            raise error

    with pytest.raises(type(error)):
        stopped()
    (job,) = fresh.installation.registry.jobs("bakery")
    assert (job.status, job.retry_count) == (status, 2)
    assert str(job.error).startswith(type(error).__name__)
