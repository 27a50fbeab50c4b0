"""Events of a small tenant, and a receiver of OpenLineage events."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from contracts import LineageEvent
from pipeline.monitoring.lineage.log import Ref, record

MOMENT = dt.datetime(2026, 11, 2, 4, tzinfo=dt.UTC)
MODEL = "20261102_040000"
SALES, FEATURES, FORECASTS = (
    Ref(f"shop/{name}", f"{number}" * 64) for number, name in enumerate(("sales", "features", "forecasts"))
)
BREAD = Ref("shop/bread", MODEL)


def event(
    kind: str, inputs: dict[str, Ref], outputs: dict[str, Ref], at: dt.datetime = MOMENT, **metadata: Any
) -> LineageEvent:
    """An event."""
    sides = [{role: ref._asdict() for role, ref in side.items()} for side in (inputs, outputs)]
    return LineageEvent.model_validate_json(
        json.dumps(
            {
                "event_type": kind,
                "event_time": at.isoformat(),
                "inputs": sides[0],
                "outputs": sides[1],
                "metadata": metadata,
            }
        )
    )


SOURCE = Ref("/exports/*.csv", "f" * 64)
SALES_BUILT = event(
    "dataset_build_completed", {"dataset": SOURCE}, {"dataset": SALES}, row_count=9, feature_count=3,
    files=[{"name": "monday.csv", "sha256": "a" * 64, "first_date": "2026-01-01", "last_date": "2026-11-01"}],
    file_count=1,
)  # fmt: skip
FEATURES_BUILT = event(
    "dataset_build_completed", {"dataset": SALES}, {"dataset": FEATURES}, row_count=8, feature_count=40
)
TRAINED = event("training_run_completed", {"dataset": FEATURES}, {"model": BREAD}, run_id="r", duration_seconds=1.5)
PROMOTED = event("model_promoted", {"model": BREAD}, {}, from_version=None, reason="good", actor="pipeline")
FORECAST = event(
    "forecast_completed",
    {"dataset": SALES},
    {"dataset": FORECASTS},
    row_count=14,
    models={"bread": MODEL},
    origin="2026-11-01",
)
CHAIN = [SALES_BUILT, FEATURES_BUILT, TRAINED, PROMOTED, FORECAST]


def written(folder: Path, events: list[LineageEvent], now: dt.datetime = MOMENT) -> Path:
    """Note events on a day; return the day's file."""
    assert record(folder, events, now)
    return folder / f"lineage-{now:%Y-%m-%d}.ndjson"


@dataclass
class Receiver:
    """A real server that takes OpenLineage events: what came in, and how it answers."""

    address: str = ""
    status: int = 201
    seconds: float = 0.0
    drops: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver on loopback."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            state.paths.append(self.path)
            state.keys.append(self.headers["Authorization"])
            time.sleep(state.seconds)
            self.send_response(state.status)
            self.send_header("Content-Length", "100" if state.drops else "0")
            self.end_headers()
            for _ in range(100 if state.drops else 0):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.2)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
