"""A training whose process is killed in the middle, with a real process and a real kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contracts import Outcome
from pipeline.registry.records import JobStatus
from pipeline.training.integrity import broken_files
from pipeline_tests.training.shop import TRAINABLE, Shop
from pipeline_tests.training.test_evaluation import kept

pytestmark = pytest.mark.long


@contextmanager
def training_process(shop: Shop) -> Iterator[subprocess.Popen[str]]:
    """Run a training of the shop in a process of its own, which is gone at the end whatever happens."""
    command = [sys.executable, "-m", "pipeline_tests.training.killed_training", str(shop.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("count", [1, 2])
def test_a_killed_training_leaves_everything_consistent(fresh: Shop, count: int) -> None:
    """After SIGKILL each registered model is whole, the next job closes the dead one and trains the rest."""
    fresh.close()
    with training_process(fresh) as process:
        assert process.stdout is not None
        trained = 0
        while trained < count:
            line = process.stdout.readline()
            assert line, "the training ended before it was killed"
            trained += line.strip().endswith(Outcome.TRAINED)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    opened, registry = fresh.installation, fresh.installation.registry
    dead = registry.jobs("bakery")[0]
    assert dead.status is JobStatus.RUNNING
    models = registry.latest("bakery")
    assert set(models) >= set(TRAINABLE[:count])
    for product, record in models.items():
        assert broken_files(registry.manifest("bakery", product, record.version), opened.store) == []
    ledger = {row.product_id for row in registry.ledger("bakery", dead.id) if row.outcome is Outcome.TRAINED}
    assert ledger <= set(models)
    files = kept(fresh)
    assert len(files) == 2
    done, _ = fresh.train()
    assert [one.ledger.product_id for one in done if one.manifest] == [p for p in TRAINABLE if p not in models]
    assert set(registry.latest("bakery")) == set(TRAINABLE)
    assert kept(fresh) == files
    closed = registry.job("bakery", dead.id)
    assert closed.status is JobStatus.FAILED
    assert closed.error is not None
    assert closed.error.startswith("interrupted")
    assert closed.trained == len(ledger)
