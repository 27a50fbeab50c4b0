"""Fixtures of the tests of sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An installation's home, empty."""
    return Home(tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for sales files."""
    path = tmp_path / "exports"
    path.mkdir()
    return path
