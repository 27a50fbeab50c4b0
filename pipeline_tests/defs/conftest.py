"""Fixtures: a world that has been run once, and copies of it to change."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline_tests.defs import world
from pipeline_tests.defs.world import Finished, World


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two tenants after their first run; not to be changed."""
    return world.finished(tmp_path_factory.getbasetemp() / "finished")


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> World:
    """The finished world again, to be changed."""
    return finished.world.copied(tmp_path / "world")


@pytest.fixture
def empty(tmp_path: Path) -> World:
    """A world without tenants."""
    return World(tmp_path / "world")


@pytest.fixture(autouse=True)
def _nothing_left_over() -> Iterator[None]:
    """Clear away what a test leaves of Dagster's contexts before the next one begins.

    A context of a sensor enters its instance once more, and what that leaves is closed whenever it is collected: within
    a later test that would point definitions that are being loaded at an instance that is gone.
    """
    yield
    gc.collect()
