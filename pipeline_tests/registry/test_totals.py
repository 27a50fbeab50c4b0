"""Totals: they grow with what they count, in its transaction, and what is deleted later is still counted."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update

from contracts import Metrics
from pipeline.errors import IntegrityError, RegistryError
from pipeline.registry import JobStatus, Registry, open_engine, open_registry, upgrade
from pipeline.registry.database import _alembic, writer
from pipeline.registry.measures import BUCKETS, LAST, MAE, MOST_CATEGORIES, SUM, Key, bound_text, observed
from pipeline.registry.tables import TrainedModel
from pipeline.settings import Settings
from pipeline_tests.registry.builders import manifest, register, start

NOTHING: dict[str, int] = {}
FAR = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def of(registry: Registry, name: str) -> dict[tuple[str, str, str], float]:
    """The totals of one measure."""
    return {(key.tenant_id, key.label, key.bucket): v for key, v in registry.totals().items() if key.name == name}


def test_each_end_of_a_job_is_counted(registry: Registry) -> None:
    """By tenant and status; how long it took counts where it completed."""
    for tenant, status in [("bakery", "completed"), ("bakery", "failed"), ("cafe", "cancelled"), ("bakery", "failed")]:
        registry.finish_job(start(registry, tenant), status, counts=NOTHING)
    assert of(registry, "training_jobs") == {
        ("bakery", "completed", ""): 1,
        ("bakery", "failed", ""): 2,
        ("cafe", "cancelled", ""): 1,
    }
    seconds = of(registry, "training_duration_seconds")
    assert seconds["bakery", "", "10.0"] == 1
    assert 0 <= seconds["bakery", "", SUM] < 10
    assert {tenant for tenant, _, _ in seconds} == {"bakery"}


def test_an_end_that_is_refused_is_not_counted(registry: Registry) -> None:
    """A job ends once, and counts once."""
    job_id = start(registry)
    registry.finish_job(job_id, JobStatus.COMPLETED, counts=NOTHING)
    with pytest.raises(RegistryError, match="has ended"):
        registry.finish_job(job_id, JobStatus.FAILED, counts=NOTHING)
    assert of(registry, "training_jobs") == {("bakery", "completed", ""): 1}


def test_each_model_is_counted(registry: Registry) -> None:
    """By category, with its errors where it was scored; a figure on a bound lies in that bound's bucket."""
    job_id = start(registry)
    registry.register(manifest(job_id, metrics=Metrics(n=9, mae=10.0, accuracy=75.5)), category="bread")
    registry.register(manifest(job_id, metrics=Metrics(n=0)), category="bread")
    registry.register(manifest(job_id, metrics=Metrics(n=9, mae=1000.0)))
    assert of(registry, "models_trained") == {("bakery", "bread", ""): 2, ("bakery", "none", ""): 1}
    assert of(registry, "model_mae") == {("bakery", "", "10.0"): 1, ("bakery", "", LAST): 1, ("bakery", "", SUM): 1010}
    assert of(registry, "model_accuracy_percentage") == {("bakery", "", "80.0"): 1, ("bakery", "", SUM): 75.5}


def test_categories_are_bounded(registry: Registry) -> None:
    """A tenant whose categories have no end has twenty and `other`; those that are known still count as theirs."""
    job_id = start(registry)
    for number in range(MOST_CATEGORIES + 5):
        registry.register(manifest(job_id), category=f"category {number} " + "x" * 200)
    registry.register(manifest(job_id), category="category 0 " + "x" * 200)
    registry.register(manifest(job_id), category="  ")
    found = {label: count for (_, label, _), count in of(registry, "models_trained").items()}
    assert len(found) == MOST_CATEGORIES + 2
    assert (found["other"], found["none"]) == (5, 1)
    assert max(map(len, found)) == 60
    assert sorted(found.values())[-2:] == [2, 5]


def test_what_is_deleted_stays_counted(registry: Registry) -> None:
    """Retention takes old jobs away; no total ever falls."""
    job_id = start(registry)
    registry.finish_job(job_id, JobStatus.COMPLETED, counts=NOTHING)
    before = registry.totals()
    assert registry.delete_jobs(registry.expired_jobs(FAR)) == 1
    assert registry.totals() == before


def test_many_at_once_lose_nothing(registry: Registry) -> None:
    """Threads that add to the same totals, in transactions with others of theirs, wait for each other and all count."""
    jobs = [start(registry) for _ in range(4)]

    def work(number: int) -> None:
        registry.register(manifest(jobs[number % 4], product_id=f"p{number}"), category="bread")
        registry.count_lock_wait(number)
        registry.count_predictions(3)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(40)))
    assert of(registry, "models_trained") == {("bakery", "bread", ""): 40}
    assert of(registry, "ml_prediction") == {("", "", ""): 120}
    assert of(registry, "pipeline_lock_wait_seconds")["", "", SUM] == sum(range(40))


def test_a_changed_manifest_is_counted(registry: Registry) -> None:
    """Each time that it is read and found to be another than was registered."""
    version = register(registry, start(registry))
    with registry._writing() as connection:
        connection.execute(update(TrainedModel).values(manifest="{}"))
    for _ in range(2):
        with pytest.raises(IntegrityError):
            registry.manifest("bakery", "baguette", version)
    assert of(registry, "pipeline_checksum_failures") == {("", "manifest", ""): 2}


def test_an_upgrade_counts_what_is_there(settings: Settings) -> None:
    """After the migration the totals are those that counting from the start would have given, but for categories."""
    from alembic import command

    with open_registry(settings) as registry:
        job_id = start(registry)
        for error in (0.5, 10.0, 400.0):
            registry.register(manifest(job_id, metrics=Metrics(n=9, mae=error, accuracy=60 + error / 10)))
        registry.finish_job(job_id, JobStatus.COMPLETED, counts=NOTHING)
        registry.finish_job(start(registry, "cafe"), JobStatus.FAILED, counts=NOTHING)
        start(registry)
        counted = registry.totals()
    engine = open_engine(settings)
    with writer(engine).begin() as connection:
        config = _alembic()
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
        assert "metric_totals" not in connection.dialect.get_table_names(connection)
    upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM metric_totals")) == len(counted)
    engine.dispose()
    with open_registry(settings) as registry:
        assert registry.totals() == pytest.approx(counted)


@given(value=st.floats(0, 2000))
def test_a_figure_lies_in_the_first_bucket_that_holds_it(value: float) -> None:
    """Its bucket's bound is the least that is not below it; the sum takes the figure itself."""
    added = observed(MAE, value, "bakery")
    (bucket,) = [key.bucket for key, amount in added.items() if key.bucket != SUM]
    bounds = [bound for bound in BUCKETS[MAE] if bound >= value]
    assert bucket == (bound_text(min(bounds)) if bounds else LAST)
    assert added[Key(MAE, "bakery", "", SUM)] == value
