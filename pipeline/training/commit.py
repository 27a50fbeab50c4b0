"""Which commit of this code a training ran on."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import pipeline

CHANGED = "+"
"""Stands after a commit whose files were changed since."""
GIT_SECONDS = 10


@lru_cache(maxsize=1)
def git_commit(root: Path = Path(pipeline.__file__).parent.parent) -> str | None:
    """Return the commit of the checkout that this code runs from; None where it was installed without one.

    A checkout further up is another project's: this one may be installed in its environment.
    """
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + (CHANGED if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None  # Git is not installed, or does not trust the folder's owner.


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS)  # noqa: S603 -- ours
    return done.stdout.strip()
