"""How fast model servers' windows are read and judged.

`python -m benchmarks.serving FOLDER NOW`: reads and judges what lies there, and prints what it cost.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fresh import cpu_seconds, in_fresh_process
from benchmarks.page import Choice, Page, figure, steps, table, verdict
from contracts import ServingMetricsWindow
from contracts.serving import HealthStatus

DEPLOYMENTS, MINUTES = 70, 1440
"""A window a minute and deployment, a day long: a little over 100,000."""
TIMES = 3
MOST_SECONDS, MOST_MB = 10.0, 500.0
NOW = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Timed:
    """What one reading took, and found."""

    wall: float
    cpu: float
    peak: float
    windows: int
    statuses: dict[str, int]


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the page of several readings, each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, steps(1 + TIMES) as progress:
        root = Path(folder) / "metrics"
        with progress.doing(f"{DEPLOYMENTS * MINUTES:,} windows"):
            size = write(root)
        found = []
        for number in range(TIMES):
            with progress.doing(f"reading {number + 1}"):
                found.append(_timed(root, Path(folder)))
    yield page(found, size)


def page(found: list[Timed], size: int) -> Page:
    """Return the page of what was measured; the slowest and the largest reading are judged."""
    rows = [
        [f"reading {number}", figure(one.wall, 2), figure(one.cpu, 2), figure(one.peak, 0)]
        for number, one in enumerate(found, 1)
    ]
    wall, peak = max(one.wall for one in found), max(one.peak for one in found)
    statuses = ", ".join(f"{count} {status}" for status, count in found[0].statuses.items())
    lines = [
        "# How fast windows of model servers are read and judged",
        "",
        f"{found[0].windows:,} windows of {DEPLOYMENTS} deployments, one a minute for a day, {size / 1e6:,.0f} MB of "
        f"JSON in {DEPLOYMENTS * 25:,} files; found: {statuses}. Each reading in a fresh process; the seconds begin "
        "when its libraries are imported, the memory is all that it has.",
        "",
        *table(("", "wall, s", "CPU, s", "peak, MB"), rows),
        *table(
            ("bar", "measured", "at most", ""),
            [
                ["the slowest reading", f"{wall:.2f} s", f"{MOST_SECONDS:g} s", verdict(wall <= MOST_SECONDS)],
                ["the largest", f"{peak:.0f} MB", f"{MOST_MB:g} MB", verdict(peak <= MOST_MB)],
            ],
        ),
    ]
    return Page("\n".join(lines))


def write(root: Path, deployments: int = DEPLOYMENTS, minutes: int = MINUTES) -> int:
    """Write windows, a file an hour and deployment, and return their bytes; each third deployment limps."""
    size = 0
    for number in range(deployments):
        for start in range(0, minutes, 60):
            for hour in {_end(minute).replace(minute=0) for minute in range(start, min(start + 60, minutes))}:
                path = root / f"{hour:%Y-%m-%d}" / f"{hour:%H}" / f"server-{number}.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="utf-8") as file:
                    for minute in range(start, min(start + 60, minutes)):
                        if _end(minute).replace(minute=0) == hour:
                            size += file.write(json.dumps(_window(number, minute)) + "\n")
    return size


def _end(minute: int) -> dt.datetime:
    return NOW - dt.timedelta(minutes=minute)


def _window(number: int, minute: int) -> dict[str, object]:
    end, slow = _end(minute), number % 3 == 0
    figures: dict[str, object] = {
        name: (number * 31 + minute * 7) % 50 for name in ServingMetricsWindow.model_fields if name.endswith("_count")
    }
    names = {
        name: f"{name}-{number}"
        for name, field in ServingMetricsWindow.model_fields.items()
        if field.annotation is str and name != "schema_version"
    }
    return {
        "schema_version": "v1",
        "window_start": (end - dt.timedelta(minutes=1)).isoformat(),
        "window_end": end.isoformat(),
        "heartbeat_emitted_at": (end + dt.timedelta(seconds=1)).isoformat(),
        **names,
        **figures,
        "request_count": 1000 + minute % 100,
        "latency_p50_ms": 20.5 + minute % 10,
        "latency_p95_ms": 900.25 if slow else 100.25 + minute % 50,
        "latency_p99_ms": 950.75 if slow else 200.75 + minute % 50,
        "feature_lookup_p95_ms": 4.5,
        "model_exec_p95_ms": 12.25,
    }


def _timed(root: Path, home: Path) -> Timed:
    fresh = in_fresh_process("benchmarks.serving", str(root), NOW.isoformat(), home=home)
    return Timed(peak=fresh.peak, **fresh.found)


def main() -> None:
    """Read and judge a folder, and print the figures as JSON."""
    from pipeline.monitoring.serving.assess import assess
    from pipeline.settings import get_settings

    settings, now = get_settings(), dt.datetime.fromisoformat(sys.argv[2])
    begun, cpu = time.perf_counter(), cpu_seconds()
    health = assess(Path(sys.argv[1]), settings, now)
    wall, cpu = time.perf_counter() - begun, cpu_seconds() - cpu
    statuses = {status.value: sum(one.status is status for one in health.deployments) for status in HealthStatus}
    print(json.dumps({"wall": wall, "cpu": cpu, "windows": len(health.read.windows), "statuses": statuses}))
    time.sleep(1)  # The memory is looked at from outside, four times a second.


if __name__ == "__main__":
    main()
