"""What memory a worker may have, and what becomes of a task that wants more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline import compute
from pipeline.compute import LEAST_MEMORY, MEGABYTE, Crew, map_unordered, worker_memory
from pipeline.errors import TaskMemoryError
from pipeline.settings import Settings
from pipeline_tests import compute_tasks as tasks


def test_workers_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may have a core's share of the machine's memory, less where there are more workers than cores."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    monkeypatch.setattr(compute, "_CONTAINER", Path("/nowhere"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))
    assert worker_memory(Settings(), 2) == machine // 8
    assert worker_memory(Settings(), 16) == machine // 16
    assert worker_memory(Settings(worker_memory_mb=700), 2) == 700 * MEGABYTE
    assert worker_memory(Settings(), 10**6) == LEAST_MEMORY


@pytest.mark.parametrize(("limit", "whose"), [("1048576000\n", 1_048_576_000), ("max\n", None), ("none", None)])
def test_a_containers_limit_counts(
    limit: str, whose: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a container with less memory than its machine, that is what there is to share."""
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(compute, "_CONTAINER", tmp_path / "memory.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0})
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert worker_memory(Settings(), 1) == (whose or machine)


def test_a_task_that_wants_too_much_memory_is_refused_it() -> None:
    """It fails with the limit and what to do about it; the worker goes on, and without a limit the task is done."""
    with Crew(1, 600 * MEGABYTE) as crew:
        (refused,) = crew.map_unordered(tasks.take, [1000 * MEGABYTE], timeout=60)
        (one, other) = (outcome.value for outcome in crew.map_unordered(tasks.process, [1, 2], timeout=60))
        (granted,) = crew.map_unordered(tasks.take, [100 * MEGABYTE], timeout=60)
    assert isinstance(refused.error, TaskMemoryError)
    assert "more memory than a worker may have, 600 MB" in str(refused.error)
    assert "raise WORKER_MEMORY_MB or lower WORKERS" in str(refused.error)
    assert one == other
    assert granted.value == 100 * MEGABYTE
    (done,) = map_unordered(tasks.take, [1000 * MEGABYTE], workers=1, timeout=60)
    assert done.value == 1000 * MEGABYTE
