"""The trainer's own time limit: it stops between products, keeps what is done, and leaves the rest to the next run."""

from __future__ import annotations

import datetime as dt

import pytest

from contracts import Cause, JobProgress, Outcome
from pipeline.progress import duration, in_words
from pipeline_tests.training.shop import Inline, Shop

LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def hurried(shop: Shop) -> None:
    """Give the shop's trainings no time at all."""
    shop.installation = Inline(shop.installation.settings.model_copy(update={"max_training_time_minutes": 0}))


def test_what_was_begun_is_kept_and_the_rest_is_known(fresh: Shop) -> None:
    """The most important product is trained whatever the time; the job is completed and says what is left."""
    due = [row.product_id for row in fresh.plan() if row.due]
    hurried(fresh)
    done, job = fresh.train()
    trained = [one.ledger.product_id for one in done if one.ledger.outcome is Outcome.TRAINED]
    assert trained == due[:1]
    assert job.left == len(due) - 1
    registry = fresh.installation.registry
    (record,) = registry.jobs("bakery")
    assert record.status == "completed"
    assert registry.left(LONG_AGO) == {("bakery", record.id): due[1:]}
    (line,) = [line for line in registry.logs("bakery", record.id) if line.level == "warning"]
    assert f"{job.left} products are left" in line.message


def test_run_after_run_comes_to_the_end(fresh: Shop) -> None:
    """Each run takes at least one product more, so that what is left over gets less until nothing is."""
    due = [row.product_id for row in fresh.plan() if row.due]
    hurried(fresh)
    for trained in range(1, len(due) + 1):
        fresh.train()
        assert len(fresh.installation.registry.latest("bakery")) == trained
    assert not [row for row in fresh.plan() if row.cause is Cause.NEVER_TRAINED]
    assert len(fresh.installation.registry.left(LONG_AGO)) == len(due) - 1


def test_a_training_within_its_time_leaves_nothing(trained: Shop) -> None:
    """Products that are too short or failed were come to: they are not the rest of a job."""
    assert trained.installation.registry.left(LONG_AGO) == {}


def test_old_jobs_are_not_taken_up_again(fresh: Shop) -> None:
    """What a job of yesterday left over is the schedule's business."""
    hurried(fresh)
    fresh.train()
    assert fresh.installation.registry.left(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)) == {}


def test_progress_is_reckoned_from_what_is_done(trained: Shop) -> None:
    """Half of the work done in a minute means another minute; before anything is done nobody knows."""
    (record,) = trained.installation.registry.jobs("bakery")
    assert record.progress(record.started_at).estimated_time_remaining == 0
    running = {"status": type(record.status)("running"), "finished_at": None}
    half = type(record)(**{**vars(record), **running, "percentage": 50.0})
    minute = record.started_at + dt.timedelta(minutes=1)
    assert half.progress(minute).estimated_time_remaining == pytest.approx(60)
    begun = type(record)(**{**vars(record), **running, "percentage": 0.0})
    assert begun.progress(minute).estimated_time_remaining is None


def test_progress_is_said_in_words() -> None:
    """A person reads how far it is and how long it takes yet."""
    progress = JobProgress(
        job_id="j",
        percentage=42,
        current_step="training products",
        products_completed=8,
        products_total=20,
        estimated_time_remaining=65,
        started_at=LONG_AGO,
    )
    said = in_words("training products", 8, 20, progress)
    assert said == "42 %: training products, 8 of 20; about 1 min 5 s left"
    assert in_words("planning", 0, 1, progress.model_copy(update={"estimated_time_remaining": None})).endswith("0 of 1")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, said: str) -> None:
    """Seconds below a minute, minutes below an hour."""
    assert duration(seconds) == said
