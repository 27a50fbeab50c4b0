"""The lock files can be installed anywhere, and install what was resolved."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LOCKS = sorted((Path(__file__).parent.parent).glob("requirements*.lock"))


def packages(lock: Path) -> dict[str, set[str]]:
    """The versions of each package that a lock names; there are several where they differ by Python's version."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9][\w.-]*)(?:\[[\w,]+\])?==([^\s;]+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_name_no_index_and_hash_everything(lock: Path) -> None:
    """No address stands in a lock, and every package has the hashes of its files."""
    text = lock.read_text()
    assert "://" not in text
    assert "index-url" not in text
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())


def test_locks_agree() -> None:
    """A package has the same versions in every lock that names it: tests and benchmarks measure what is run."""
    runtime = packages(next(lock for lock in LOCKS if lock.name == "requirements.lock"))
    assert len(LOCKS) == 3
    assert len(runtime) > 50
    for lock in LOCKS:
        found = packages(lock)
        assert {name: found[name] for name in runtime if name in found} == {
            name: versions for name, versions in runtime.items() if name in found
        }, lock.name
        assert set(runtime) <= set(found), lock.name
