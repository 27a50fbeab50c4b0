"""A disk that fills, a run that is killed, two runs at once: what was stored is never lost or mixed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pipeline.errors import StorageError
from pipeline.home import Home
from pipeline.sources import store
from pipeline.sources.extract import load_sales
from pipeline_tests.sources.builders import days, extract, make_tenant, write_rows

_SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def many_rows() -> pd.DataFrame:
    """Return rows whose table does not fit on the small disk."""
    rng = np.random.default_rng(1)
    size = 60_000
    dates = pd.date_range("2020-01-01", periods=1000).strftime("%Y-%m-%d").to_numpy()
    return pd.DataFrame(
        {
            "date": np.repeat(dates, size // 1000),
            "product_id": [f"product {number % 60}" for number in range(size)],
            "quantity": rng.random(size),
        }
    )


def test_a_full_disk_keeps_the_old_table(folder: Path, small_disk: Path) -> None:
    """When the disk fills, the error says so, the old table stands, and no temporary file is left."""
    home = Home(small_disk)
    path = write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    first = extract(make_tenant(folder), home)
    write_rows(folder / "b.csv", many_rows())
    before = sorted(file.name for file in home.tenant("shop").iterdir())
    with pytest.raises(StorageError, match=r"sales\.parquet.*No space left.*is kept"):
        extract(make_tenant(folder), home)
    assert sorted(file.name for file in home.tenant("shop").iterdir()) == before
    assert_frame_equal(load_sales(home, "shop"), first.daily)
    (folder / "b.csv").unlink()
    assert not extract(make_tenant(path), home).changed


def test_a_failing_flush_keeps_the_old_table(folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses to flush, the error says so and the old table stands."""
    write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    first = extract(make_tenant(folder), home)
    write_rows(folder / "b.csv", days("2024-01-03", [3]))

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StorageError, match="No space left"):
            extract(make_tenant(folder), home)
    assert_frame_equal(load_sales(home, "shop"), first.daily)
    assert len(extract(make_tenant(folder), home).daily) == 3


@pytest.mark.parametrize("overlap", ["replace", "add"])
@pytest.mark.parametrize("writes", range(5))
def test_a_kill_between_two_writes_is_harmless(
    folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch, overlap: str, writes: int
) -> None:
    """However many of the files were written when a run died, the next run ends as if it had not."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1, 2, 3, 8]))
    tenant = make_tenant(folder, overlap=overlap)
    extract(tenant, home)
    write_rows(path, days("2024-01-01", [1, 5, 3, 8]).drop(2), age_minutes=30)
    write_rows(folder / "b.csv", days("2024-01-02", [4, 6]), age_minutes=5)
    write, done = store.write_atomically, []

    def die(target: Path, content: bytes) -> None:
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(target)
        write(target, content)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_atomically", die)
        if writes < (4 if overlap == "add" else 3):
            with pytest.raises(KeyboardInterrupt):
                extract(tenant, home)
    found = extract(tenant, home)
    day_two = 4.0 if overlap == "replace" else 9.0
    assert list(found.daily["quantity"]) == [1.0, day_two, 6.0, 8.0]


def _extract_for_ever(folder: Path, root: Path) -> None:
    (root / "begun").touch()
    while True:
        (root / "data" / "shop" / "extraction_state.json").unlink(missing_ok=True)
        extract(make_tenant(folder), Home(root))


def test_a_kill_at_any_moment_leaves_a_whole_table(folder: Path, home: Home) -> None:
    """A process killed at a random moment leaves a table that can be read and is complete."""
    write_rows(folder / "a.csv", many_rows().head(5000))
    first = extract(make_tenant(folder), home)
    for pause in (0.05, 0.11):
        process = _SPAWN.Process(target=_extract_for_ever, args=(folder, home.root))
        process.start()
        while not (home.root / "begun").exists():
            time.sleep(0.01)
        time.sleep(pause)
        (home.root / "begun").unlink()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert_frame_equal(load_sales(home, "shop"), first.daily)
    (home.tenant("shop") / ".sales.parquet.left.tmp").touch()
    assert_frame_equal(extract(make_tenant(folder), home).daily, first.daily)
    assert list(home.tenant("shop").glob(".*.tmp")) == []


def _extract_once(folder: Path, root: Path) -> None:
    extract(make_tenant(folder), Home(root))


def test_two_extractions_at_once_lose_nothing(folder: Path, home: Home) -> None:
    """Processes that extract the same tenant while files arrive end with every file in the table."""
    processes = []
    for number in range(3):
        write_rows(folder / f"{number}.csv", days("2024-01-01", [1], f"p{number}"))
        processes.append(_SPAWN.Process(target=_extract_once, args=(folder, home.root)))
        processes[-1].start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(extract(make_tenant(folder), home).daily) == 3
