"""The tag `pipeline/progress`: what it says once the training has ended."""

from __future__ import annotations

import signal

import pytest

from pipeline.defs.training.progress import TAG
from pipeline.training.trainer import TRAINING, Trainer
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import TWIN, Finished, World


def told(world: World, run_id: str) -> str | None:
    """What the tag of a run says."""
    with world.instance() as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.tags.get(TAG)


def test_a_training_that_is_through_is_done(finished: Finished) -> None:
    """Its run says so, with the number of its products, and no time that is left."""
    assert told(finished.world, finished.runs[TWIN].run_id) == "done, 2 of 2 products"


def test_a_training_that_was_stopped_is_cancelled(copy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run says how far it had come when it was asked to stop, and not that it goes on."""

    def stopped(self: Trainer, due: object) -> None:
        self.progress(TRAINING, 1, 2)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "_train", stopped)
    result = copy.retrain(TWIN, tills.STEADY[:2])
    assert result.cancelled
    assert told(copy, result.run_id) == "cancelled, 1 of 2 products"


def test_a_training_that_failed_says_so(copy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run says that it failed, not how long it would have taken."""

    def broken(self: Trainer, due: object) -> None:
        self.progress(TRAINING, 1, 2)
        raise OSError("a test")

    monkeypatch.setattr(Trainer, "_train", broken)
    assert told(copy, copy.retrain(TWIN, tills.STEADY[:2]).run_id) == "failed, 1 of 2 products"
