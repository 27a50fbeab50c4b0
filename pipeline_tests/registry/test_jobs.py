"""Training jobs, on every database."""

from __future__ import annotations

import datetime as dt

import pytest

from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.registry import JobStatus, Registry
from pipeline_tests.registry.builders import start


def test_a_job_is_recorded_from_start_to_end(registry: Registry) -> None:
    """Start, progress and end are read back as they were given, with UTC times."""
    before = dt.datetime.now(dt.UTC)
    job_id = registry.start_job(
        "bakery", name="weekly", cause="schedule", requested_by="cron", products_total=9, run_id="run-1"
    )
    registry.update_job(job_id, step="fitting", percentage=40, products_completed=4)
    running = registry.job("bakery", job_id)
    assert (running.status, running.step, running.percentage) == (JobStatus.RUNNING, "fitting", 40)
    assert (running.products_total, running.products_completed, running.run_id) == (9, 4, "run-1")
    assert (running.finished_at, running.error) == (None, None)

    registry.finish_job(job_id, "completed", counts={"trained": 5, "skipped": 2, "insufficient": 1, "failed": 1})
    [ended] = registry.jobs("bakery")
    assert (ended.status, ended.percentage) == (JobStatus.COMPLETED, 100)
    assert (ended.trained, ended.skipped, ended.insufficient, ended.failed) == (5, 2, 1, 1)
    assert ended.finished_at is not None
    assert before <= ended.started_at <= ended.finished_at <= dt.datetime.now(dt.UTC)
    assert ended.started_at.tzinfo == dt.UTC


def test_what_is_not_given_stays(registry: Registry) -> None:
    """An update changes only what it names; an update of nothing changes nothing."""
    job_id = start(registry)
    registry.update_job(job_id, step="fitting", percentage=40, products_completed=4)
    before = registry.job("bakery", job_id)
    registry.update_job(job_id)
    assert registry.job("bakery", job_id) == before
    registry.update_job(job_id, percentage=0, products_completed=0)
    after = registry.job("bakery", job_id)
    assert (after.step, after.percentage, after.products_completed) == ("fitting", 0, 0)


def test_only_an_ended_job_has_an_end(registry: Registry) -> None:
    """Neither a pending job nor one that begins and goes on has one, so that both are told from those that ended."""
    job_id = registry.start_job("bakery", name="weekly", cause="schedule", requested_by="tests", pending=True)
    assert registry.job("bakery", job_id).finished_at is None
    registry.begin_job(job_id, cause="schedule", products_total=3, parameters={})
    registry.update_job(job_id, percentage=30)
    running = registry.job("bakery", job_id)
    assert (running.status, running.finished_at) == (JobStatus.RUNNING, None)
    registry.finish_job(job_id, "failed", counts={})
    assert registry.job("bakery", job_id).finished_at is not None


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_does_not_complete_keeps_its_progress_and_error(registry: Registry, status: str) -> None:
    """Only a completed job stands at 100 percent."""
    job_id = start(registry)
    registry.update_job(job_id, percentage=30)
    registry.finish_job(job_id, status, counts={"failed": 1}, error="disk \0 full")
    [job] = registry.jobs("bakery")
    assert (job.status, job.percentage, job.failed) == (status, 30, 1)
    assert job.error == "disk \ufffd full"


def test_a_job_that_has_ended_cannot_be_changed(registry: Registry) -> None:
    """Neither its end nor its progress is overwritten."""
    job_id = start(registry)
    registry.finish_job(job_id, "cancelled", counts={})
    with pytest.raises(RegistryError, match="has ended as cancelled"):
        registry.finish_job(job_id, "completed", counts={})
    with pytest.raises(RegistryError, match="has ended as cancelled"):
        registry.update_job(job_id, step="more")


@pytest.mark.parametrize("status", ["running", "pending", "done"])
def test_an_end_has_one_of_three_names(registry: Registry, status: str) -> None:
    """Anything else is refused, and the error lists the three."""
    with pytest.raises(RegistryError, match="completed, failed or cancelled"):
        registry.finish_job(start(registry), status, counts={})


def test_wrong_figures_are_refused(registry: Registry) -> None:
    """Unknown counts and impossible percentages are errors that name the value."""
    job_id = start(registry)
    with pytest.raises(RegistryError, match="exploded"):
        registry.finish_job(job_id, "completed", counts={"exploded": 1})
    with pytest.raises(RegistryError, match="percentage is 101"):
        registry.update_job(job_id, percentage=101)
    assert registry.job("bakery", job_id).status == JobStatus.RUNNING


def test_an_unknown_job_is_an_error(registry: Registry) -> None:
    """Every operation on a job that was never started says so."""
    with pytest.raises(NotRegisteredError, match="'nope'"):
        registry.job("bakery", "nope")
    with pytest.raises(NotRegisteredError, match="'nope'"):
        registry.update_job("nope", step="x")
    with pytest.raises(NotRegisteredError, match="'nope'"):
        registry.finish_job("nope", "failed", counts={})


def test_jobs_come_newest_first_and_by_tenant(registry: Registry) -> None:
    """One tenant's jobs hold none of another's, nor is one found by its id; `limit` cuts the oldest."""
    mine = [start(registry) for _ in range(3)]
    other = start(registry, "cafe")
    assert [job.id for job in registry.jobs("bakery")] == mine[::-1]
    assert [job.id for job in registry.jobs("bakery", limit=2)] == mine[:0:-1]
    assert [job.id for job in registry.jobs("cafe")] == [other]
    assert registry.job("cafe", other).tenant_id == "cafe"
    with pytest.raises(NotRegisteredError, match=f"{other!r} of tenant 'bakery'"):
        registry.job("bakery", other)
