"""Model servers that report: windows, and the files in which they lie."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline_tests.test_metadata_contracts import WINDOW

NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)


def window(minute: float, *, now: dt.datetime = NOON, seconds: float = 60, **changes: Any) -> dict[str, Any]:
    """A window that ends so many minutes before `now`, of a server that is well; other fields as given."""
    end = now - dt.timedelta(minutes=minute)
    usual = {
        "window_start": (end - dt.timedelta(seconds=seconds)).isoformat(),
        "window_end": end.isoformat(),
        "heartbeat_emitted_at": end.isoformat(),
        "deployment_id": "shop",
        "endpoint_name": "predict",
        "request_count": 100,
        "success_count": 100,
        "latency_p50_ms": 20,
        "latency_p95_ms": 100,
        "latency_p99_ms": 200,
    }
    return {**WINDOW, **usual, **changes}


def steady(minutes: int, *, now: dt.datetime = NOON, **changes: Any) -> list[dict[str, Any]]:
    """A window a minute, the last one ending now."""
    return [window(minute, now=now, **changes) for minute in reversed(range(minutes))]


def lines(records: Iterable[object]) -> bytes:
    """The lines of a file."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def file_at(root: Path, moment: dt.datetime = NOON, name: str = "server.jsonl") -> Path:
    """The place of a file of an hour, its folders made."""
    path = root / f"{moment:%Y-%m-%d}" / f"{moment:%H}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def report(root: Path, records: Iterable[dict[str, Any]], name: str = "server.jsonl") -> None:
    """Write windows as servers do: each into the folder of the hour in which it ended."""
    for record in records:
        path = file_at(root, dt.datetime.fromisoformat(record["window_end"]).astimezone(dt.UTC), name)
        with path.open("ab") as file:
            file.write(lines([record]))
