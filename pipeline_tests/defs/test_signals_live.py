"""Weather and traffic in whole runs: seen by models, told in metadata, and stopping nobody when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd
import pytest

from contracts import SignalSource
from pipeline.tenants import save_tenant
from pipeline_tests.defs.world import TWIN, World
from pipeline_tests.services.server import Request, Server, server

FAST = {"RETRY_EXTERNAL_MIN_SECONDS": "0.001", "RETRY_EXTERNAL_MAX_SECONDS": "0.002", "SIGNAL_FRESH_HOURS": "0"}
NAMES = {"weather (warmth)", "traffic (passers)"}


def days(request: Request) -> object:
    """What a service tells of the days that it is asked for."""
    rows = [
        {"date": str(day.date()), "t": 20 + day.dayofyear % 7, "n": 100 + day.day}
        for day in pd.date_range(request.query["from"], request.query["to"])
    ]
    return {"issued_at": datetime.now(UTC).isoformat(), "rows": rows}


@pytest.fixture
def sky() -> Iterator[Server]:
    """A service of weather and traffic."""
    with server({"/weather": days, "/traffic": days}) as made:
        yield made


def told(world: World, run_id: str) -> tuple[object, object]:
    """What the calendar and the forecasts of a run say is wrong with signals."""
    return (
        world.metadata(run_id, "calendar")["degraded_signals"],
        world.metadata(run_id, "forecasts")["degraded_signals"],
    )


def test_a_run_has_signals_and_outlives_their_service(copy: World, sky: Server):
    """One request a signal and run; with the service gone the same values forecast the same, and it is said.

    Without a value of any day champions forecast on, and nothing becomes due for that.
    """
    made = copy.add(TWIN, copy.root / "exports" / "twin.csv", country="FR")
    signals = tuple(
        SignalSource.model_validate({"kind": kind, "url": f"{sky.url}/{kind}", "columns": columns})
        for kind, columns in (("weather", {"warmth": "t"}), ("traffic", {"passers": "n"}))
    )
    with copy.entered():
        save_tenant(copy.home, made.model_copy(update={"signals": signals}), replace=True)
    first = copy.run(TWIN, **FAST)
    assert first.success
    assert [sky.count(f"/{kind}") for kind in ("weather", "traffic")] == [1, 1]
    assert told(copy, first.run_id) == ({}, {})
    calendar = pd.read_parquet(copy.home.table(TWIN, "calendar"))
    assert calendar[["warmth", "passers"]].notna().all(axis=None)
    with copy.entered() as installation:
        assert set(installation.data(TWIN).outlook.covariates) == {"warmth"}
    before = pd.read_parquet(copy.home.table(TWIN, "forecasts"))

    sky.misbehave("503")
    again = copy.run(TWIN, "daily_forecast", **FAST)
    assert again.success
    for degraded in told(copy, again.run_id):
        assert isinstance(degraded, dict)
        assert set(degraded) == NAMES
        assert all("stand" in fault for fault in degraded.values())
    assert pd.read_parquet(copy.home.table(TWIN, "calendar")).equals(calendar)
    after = pd.read_parquet(copy.home.table(TWIN, "forecasts"))
    assert set(after["rung"]) == {"champion"}
    assert after["y_hat"].to_numpy() == pytest.approx(before["y_hat"].to_numpy())

    for path in copy.home.signals(TWIN).rglob("*.parquet"):
        path.unlink()
    sky.misbehave("garbage")
    bare = copy.run(TWIN, **FAST)
    assert bare.success
    assert pd.read_parquet(copy.home.table(TWIN, "calendar"))[["warmth", "passers"]].isna().all(axis=None)
    assert set(pd.read_parquet(copy.home.table(TWIN, "forecasts"))["rung"]) == {"champion"}
    assert copy.metadata(bare.run_id, "training_plan")["due"] == 0
