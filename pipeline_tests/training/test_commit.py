"""The commit that a training ran on, from a real repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipeline.training.commit import git_commit

commit_of = git_commit.__wrapped__


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    (tmp_path / "code.py").write_text("1\n")
    for words in (["init", "-q"], ["add", "code.py"], ["commit", "-q", "-m", "first"]):
        who = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True)
    return tmp_path


def test_a_checkout_has_a_commit(checkout: Path) -> None:
    """It is the head's, and a plus stands behind it once a file of it was changed."""
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert commit_of(checkout) == head.stdout.strip()
    (checkout / "notes.txt").write_text("not part of it")
    assert commit_of(checkout) == head.stdout.strip()
    (checkout / "code.py").write_text("2\n")
    assert commit_of(checkout) == head.stdout.strip() + "+"


def test_elsewhere_there_is_none(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder inside another project's checkout, a broken one, and a machine without git give no commit."""
    (checkout / "venv").mkdir()
    assert commit_of(checkout / "venv") is None
    monkeypatch.setenv("PATH", "")
    assert commit_of(checkout) is None
    monkeypatch.undo()
    (checkout / ".git" / "HEAD").write_text("nonsense")
    assert commit_of(checkout) is None
