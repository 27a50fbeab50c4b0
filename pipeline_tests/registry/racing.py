"""What the processes of the concurrency tests do."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.registry import open_engine, open_registry, upgrade
from pipeline.settings import Settings
from pipeline_tests.registry.builders import manifest


def _wait_for_all(barrier: Path, name: str, runners: int) -> None:
    barrier.mkdir(exist_ok=True)
    (barrier / name).touch()
    while len(list(barrier.iterdir())) < runners:
        time.sleep(0.001)


def upgrading(task: tuple[Settings, Path, int, int]) -> None:
    """Migrate the database at the same moment as the others."""
    settings, barrier, number, runners = task
    engine = open_engine(settings)
    _wait_for_all(barrier, str(number), runners)
    upgrade(engine)
    engine.dispose()


def registering(task: tuple[Settings, Path, int, int, str]) -> list[str]:
    """Register ten models, all wanting the same version, and promote each; return their versions."""
    settings, barrier, number, runners, job_id = task
    with open_registry(settings) as registry:
        _wait_for_all(barrier, str(number), runners)
        versions = [registry.register(manifest(job_id)).version for _ in range(10)]
        for version in versions:
            registry.promote("bakery", "baguette", version, reason="race", actor=str(number), figures={})
        return versions
