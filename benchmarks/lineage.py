"""How long the lineage of ten thousand trainings takes to note and to walk."""

from __future__ import annotations

import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.page import Choice, Page, figure, steps, table, verdict
from contracts import LineageEvent, Role, Versioned
from pipeline.keys import partition_key
from pipeline.monitoring.lineage.log import Ref, record
from pipeline.monitoring.lineage.walk import back, forward

TRAININGS, WEEKS, PRODUCTS = 10_000, 20, 500
"""Trainings in all; they are those of so many products in each of so many weeks."""
DAYS_A_WEEK = 7
TIMES = 5
MOST = 1.0
"""Seconds that a walk of all trainings may take."""
MOST_NOTED = 1.0
"""Seconds that noting 1,000 trainings, in portions of 200, may take."""
FIRST = dt.datetime(2026, 1, 5, 3, tzinfo=dt.UTC)
TENANT = "bench"
SALES, FEATURES, FORECASTS = (f"{TENANT}/{name}" for name in ("sales", "features", "forecasts"))


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the page: noting, and walks back and forward."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, steps(3) as progress:
        place = Path(folder)
        with progress.doing("1,000 trainings noted in portions of 200"):
            noting = statistics.median(_noted(place / str(number)) for number in range(TIMES))
        log = place / "lineage"
        with progress.doing(f"a log of {TRAININGS:,} trainings"):
            last = written(log)
        with progress.doing("walks"):
            found = [(name, *_timed(walk)) for name, walk in _walks(log, last)]
        size = sum(path.stat().st_size for path in log.iterdir())
    yield page(noting, found, size)


def written(log: Path) -> dict[str, Ref]:
    """Write the log: each week's training of all products, each day's sales and forecast; return the last versions."""
    last: dict[str, Ref] = {}
    for week in range(WEEKS):
        for day in range(DAYS_A_WEEK):
            moment = FIRST + dt.timedelta(days=DAYS_A_WEEK * week + day)
            events = [_built(last, SALES, moment, None, files=[{"name": "sales.csv", "sha256": "0" * 64}])]
            if day == 0:
                events.append(_built(last, FEATURES, moment, last[SALES]))
                events += trained(last, moment)
            events.append(_forecast(last, moment))
            record(log, events, moment)
    return last


def trained(last: dict[str, Ref], moment: dt.datetime, products: int = PRODUCTS) -> list[LineageEvent]:
    """Return a training's events."""
    version = f"{moment:%Y%m%d_%H%M%S}"
    last["model"] = Ref(partition_key(TENANT, "product 0"), version)
    return [
        LineageEvent(
            event_type="training_run_completed",
            event_time=moment,
            inputs={Role.DATASET: _versioned(last[FEATURES])},
            outputs={Role.MODEL: Versioned(name=partition_key(TENANT, f"product {number}"), version=version)},
            metadata={
                "run_id": "6f1c1f0e-2f86-4a5c-9b7b-8d3c3e7c9a11",
                "duration_seconds": 1.234,
                "job_id": "75a09536919f4ad7884473a1d898f9ed",
                "origin": str(moment.date()),
                "cause": "weekly",
            },
        )
        for number in range(products)
    ]


def _built(
    last: dict[str, Ref], name: str, moment: dt.datetime, made_from: Ref | None, **further: object
) -> LineageEvent:
    last[name] = Ref(name, f"{abs(hash((name, moment))):064x}")
    return LineageEvent.model_validate(
        {
            "event_type": "dataset_build_completed",
            "event_time": moment,
            "inputs": {Role.DATASET: _versioned(made_from or Ref("/sales/*.csv", "0" * 64))},
            "outputs": {Role.DATASET: _versioned(last[name])},
            "metadata": {"row_count": 500_000, "feature_count": 40, **further},
        }
    )


def _forecast(last: dict[str, Ref], moment: dt.datetime) -> LineageEvent:
    last[FORECASTS] = Ref(FORECASTS, f"{abs(hash((FORECASTS, moment))):064x}")
    models = {f"product {number}": last["model"].version for number in range(PRODUCTS)}
    return LineageEvent.model_validate(
        {
            "event_type": "forecast_completed",
            "event_time": moment,
            "inputs": {Role.DATASET: _versioned(last[SALES])},
            "outputs": {Role.DATASET: _versioned(last[FORECASTS])},
            "metadata": {"origin": str(moment.date()), "row_count": 14 * PRODUCTS, "models": models},
        }
    )


def _versioned(ref: Ref) -> Versioned:
    return Versioned(name=ref.name, version=ref.version)


def _noted(folder: Path) -> float:
    """Seconds that noting 1,000 trainings takes, in portions as a training writes them."""
    last = {FEATURES: Ref(FEATURES, "0" * 64)}
    events = trained(last, FIRST, 1000)
    begun = time.perf_counter()
    for start in range(0, len(events), 200):
        record(folder, events[start : start + 200], FIRST)
    return time.perf_counter() - begun


def _walks(log: Path, last: dict[str, Ref]) -> list[tuple[str, Callable[[], int]]]:
    """The walks, each gives how many versions it reached."""
    everything = [
        Ref(partition_key(TENANT, f"product {number}"), f"{FIRST + dt.timedelta(weeks=week):%Y%m%d_%H%M%S}")
        for week in range(WEEKS)
        for number in range(PRODUCTS)
    ]
    return [
        ("one product's forecast, back to the files", lambda: _back(log, [last[FORECASTS]], "product 7")),
        ("the whole forecast, back to the files", lambda: _back(log, [last[FORECASTS]])),
        ("every model that was ever trained, back to the files", lambda: _back(log, everything)),
        ("the first model, forward to all its forecasts", lambda: len(forward(log, everything[:1]).made)),
        ("the last features, forward to all that was made", lambda: len(forward(log, [last[FEATURES]]).made)),
        ("every model, forward to all forecasts", lambda: len(forward(log, everything).made)),
    ]


def _back(log: Path, start: list[Ref], product: str | None = None) -> int:
    trail = back(log, start, product)
    if trail.missing:
        raise ValueError(f"the walk has {len(trail.missing)} gaps")
    return len(trail.made)


def _timed(walk: Callable[[], int]) -> tuple[int, float]:
    seconds, found = [], 0
    for _ in range(TIMES):
        begun = time.perf_counter()
        found = walk()
        seconds.append(time.perf_counter() - begun)
    return found, statistics.median(seconds)


def page(noting: float, found: list[tuple[str, int, float]], size: int) -> Page:
    """Return the page of what was measured."""
    rows = [[name, f"{number:,}", figure(seconds, 3), verdict(seconds <= MOST)] for name, number, seconds in found]
    lines = [
        "# Walking the lineage",
        "",
        f"{TRAININGS:,} trainings: {PRODUCTS} products a week over {WEEKS} weeks, with each day's sales and forecast, "
        f"{WEEKS * DAYS_A_WEEK} files of {size / 1e6:.1f} MB in all. Medians of {TIMES}, the files in the system's "
        f"cache. A walk may take {MOST:g} s.",
        "",
        *table(("walk", "versions reached", "s", ""), rows),
        "",
        f"Noting 1,000 trainings, in portions of 200 that are each flushed to the disk: {figure(noting, 3)} s, "
        f"{verdict(noting <= MOST_NOTED)} of {MOST_NOTED:g} s.",
        "",
    ]
    return Page("\n".join(lines))
