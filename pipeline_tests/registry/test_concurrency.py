"""Real processes and threads on one registry, on every database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.compute import map_unordered
from pipeline.registry import Registry, check_schema, open_engine
from pipeline.settings import Settings
from pipeline_tests.registry import racing
from pipeline_tests.registry.builders import ledger_row, manifest, start

RUNNERS = 2


def _race(function: Callable[[Any], Any], settings: Settings, tmp_path: Path, *rest: list[str]) -> list[Any]:
    tasks = [(settings, tmp_path / "barrier", i, RUNNERS, *(column[i] for column in rest)) for i in range(RUNNERS)]
    outcomes = list(map_unordered(function, tasks, workers=RUNNERS, timeout=60))
    assert [outcome.error for outcome in outcomes] == [None] * RUNNERS
    return [outcome.value for outcome in outcomes]


def test_several_processes_may_migrate_at_once(settings: Settings, tmp_path: Path) -> None:
    """All of them succeed on an empty database, which is then at the newest schema."""
    settings.home.mkdir()
    _race(racing.upgrading, settings, tmp_path)
    engine = open_engine(settings)
    check_schema(engine)
    engine.dispose()


def test_versions_never_collide_and_promotions_are_atomic(
    registry: Registry, prepared: Settings, tmp_path: Path
) -> None:
    """Processes that want the same version get versions of their own, and their promotions form one line.

    In that line each decision starts from the champion that the one before made.
    """
    made = _race(racing.registering, prepared, tmp_path, [start(registry)] * RUNNERS)
    versions = [version for batch in made for version in batch]
    assert len(set(versions)) == RUNNERS * 10
    assert {record.version for record in registry.models("bakery")} == set(versions)
    for version in versions:
        assert registry.manifest("bakery", "baguette", version).version == version

    decisions = registry.promotions("bakery")[::-1]
    assert sorted(decision.to_version for decision in decisions) == sorted(versions)
    assert decisions[0].from_version is None
    for before, after in pairwise(decisions):
        assert after.from_version == before.to_version
    assert registry.champions("bakery")["baguette"].version == decisions[-1].to_version


def test_threads_share_a_registry(registry: Registry) -> None:
    """Threads that register and record at once lose nothing."""
    job_id = start(registry)

    def work(number: int) -> str:
        stored = registry.register(manifest(job_id))
        registry.record(ledger_row(job_id, f"product {number}", version=stored.version))
        return stored.version

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(work, range(24)))
    assert len(set(made)) == 24
    assert sorted(row.version or "" for row in registry.ledger("bakery")) == sorted(made)
