"""What is counted as it happens: broken files, waits for a lock."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import IntegrityError, LockedError
from pipeline.installation import Installation
from pipeline.training.lock import training_lock
from pipeline_tests.monitoring.metrics.scraped import made, now_of, value


@pytest.fixture
def opened(tmp_path: Path) -> Installation:
    """An installation in which nothing has happened."""
    return made(tmp_path, "bakery")


def broken(opened: Installation) -> float | None:
    """Broken artefacts that were met."""
    return value(now_of(opened), "pipeline_checksum_failures_total", kind="artefact")


def test_a_flipped_bit_is_counted_each_time_that_it_is_met(opened: Installation) -> None:
    """By reading, and by verifying; storing what is new, or what is whole, counts nothing."""
    ref = opened.store.put("model.json", b"a model, as it was stored")
    opened.store.put("model.json", b"a model, as it was stored")
    opened.store.get(ref)
    assert opened.store.broken(ref) is None
    assert broken(opened) == 0
    (path,) = opened.home.models.glob("*/*.zst")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        opened.store.get(ref)
    assert broken(opened) == 1
    assert opened.store.broken(ref)
    assert broken(opened) == 2
    opened.store.put("model.json", b"a model, as it was stored")
    opened.store.get(ref)
    assert broken(opened) == 2


def test_what_cannot_be_counted_is_found_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the registry is away a broken file is told as broken, and the log says that it was not counted."""
    opened = made(tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none")
    ref = opened.store.put("model.json", b"a model")
    (path,) = opened.home.models.glob("*/*.zst")
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        opened.store.get(ref)
    assert "could not be counted" in caplog.text


def test_a_wait_for_another_training_is_counted(opened: Installation) -> None:
    """With its seconds, whether the lock was had in the end or not; who need not wait is not counted."""
    held, free = threading.Event(), threading.Event()

    def other() -> None:
        with training_lock(opened, "bakery", 0):
            held.set()
            free.wait()

    training = threading.Thread(target=other)
    training.start()
    held.wait()
    with pytest.raises(LockedError), training_lock(opened, "bakery", 0.3):
        pass
    found = now_of(opened)
    assert value(found, "pipeline_lock_wait_seconds_count") == 1
    assert value(found, "pipeline_lock_wait_seconds_sum") == pytest.approx(0.3, abs=2)
    threading.Timer(0.5, free.set).start()
    begun = time.monotonic()
    with training_lock(opened, "bakery", 30):
        took = time.monotonic() - begun
    training.join()
    found = now_of(opened)
    assert value(found, "pipeline_lock_wait_seconds_count") == 2
    assert (value(found, "pipeline_lock_wait_seconds_sum") or 0) >= 0.3 + min(took, 0.5) * 0.5
    with training_lock(opened, "bakery", 0):
        pass
    assert value(now_of(opened), "pipeline_lock_wait_seconds_count") == 2
