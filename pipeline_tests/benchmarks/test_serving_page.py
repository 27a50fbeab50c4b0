"""The page of serving windows: what is read is what was written, and the worst reading is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.serving import NOW, Timed, page, write
from pipeline.monitoring.serving.assess import assess
from pipeline.settings import Settings
from pipeline_tests.test_docs import rows


def test_what_is_written_can_be_read_and_judged(tmp_path: Path) -> None:
    """Each window once, without a fault; each third deployment is slow and the others are well."""
    size = write(tmp_path, deployments=6, minutes=150)
    health = assess(tmp_path, Settings(), NOW)
    assert (len(health.read.windows), health.read.fault_count, health.read.repeats) == (900, 0, 0)
    assert [state.status.value for state in health.deployments] == ["degraded", "healthy", "healthy"] * 2
    assert size == sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl"))


@pytest.mark.parametrize(("slow", "large", "told"), [(9.9, 499, ["held"] * 2), (10.1, 501, ["**missed**"] * 2)])
def test_the_worst_reading_is_judged(slow: float, large: float, told: list[str]) -> None:
    """One slow and one large reading of several decide about their bars."""
    found = [Timed(1, 1, 100, 100_800, {"healthy": 70}), Timed(slow, 1, large, 100_800, {"healthy": 70})]
    text = page(found, 10**8).text
    assert [cells[3] for cells in rows(text) if len(cells) == 4 and cells[0].startswith("the ")] == told
