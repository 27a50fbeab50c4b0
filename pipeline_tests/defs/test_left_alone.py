"""`pipeline dev` on the sample tenants, left alone: nobody presses a button.

The settings only make it look more often, and its nights begin now; what a night must have passed for, the daily
forecast, is brought about by forecasts that look as if they were of the day before yesterday.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from contracts import Tenant
from contracts.tenants import QuietHours
from pipeline.sample import write_sample
from pipeline.tenants import save_tenant
from pipeline_tests.defs.server import Server, serving
from pipeline_tests.defs.test_dev import ENDED
from pipeline_tests.defs.world import World

OFTEN = {
    "WATCH_INTERVAL_SECONDS": "5",
    "EVENTS_INTERVAL_SECONDS": "5",
    "CLOCK_CRON": "* * * * *",
    "RETRAIN_WEEKDAY": "every",
    "RETRAIN_AFTER_NEW_DAYS": "3",
}
PRODUCTS = 3
CHANGED = "maison_perrache"
NEW_DAYS = 4

pytestmark = pytest.mark.long


def at_night(tenant: Tenant) -> Tenant:
    """The tenant, its quiet hours an hour old and three to go."""
    now = dt.datetime.now(ZoneInfo(tenant.timezone)).replace(second=0, microsecond=0, tzinfo=None)
    hours = QuietHours(start=(now - dt.timedelta(hours=1)).time(), end=(now + dt.timedelta(hours=3)).time())
    return tenant.model_copy(update={"quiet_hours": hours})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The sample tenants with a few products each, and `pipeline dev`."""
    folder = tmp_path_factory.mktemp("alone")
    world = World(folder / "world")
    world.root.mkdir()
    for tenant in write_sample(world.home.sample, products_per_tenant=PRODUCTS).tenants:
        save_tenant(world.home, at_night(tenant))
    with serving(world, folder / "dev.log", **OFTEN) as server:
        yield server


def ended(server: Server, cause: str, tenant: str, number: int = 1) -> dict[str, Any]:
    """The newest run of a tenant with a cause, once there are so many and that one has ended."""

    def look() -> dict[str, Any] | None:
        runs = [
            run for run in server.runs() if (run["tags"].get("cause"), run["tags"].get("tenant")) == (cause, tenant)
        ]
        return runs[0] if len(runs) >= number and runs[0]["status"] in ENDED else None

    return server.wait(f"run {number} of {tenant} for {cause!r} ends", look, seconds=600)


def tenants(server: Server) -> list[str]:
    """Ids of the sample tenants."""
    return sorted(path.stem for path in server.world.home.tenants.glob("*.toml"))


def sales_file(server: Server) -> Path:
    """The file of the tenant whose sales change."""
    return server.world.home.sample / CHANGED / "sales.csv"


def events(server: Server, kind: str) -> list[dict[str, Any]]:
    """What other systems were told, of one kind."""
    lines = [line for path in sorted(server.world.home.events.glob("*.ndjson")) for line in path.open(encoding="utf-8")]
    return [event for event in map(json.loads, lines) if event["event_type"] == kind]


def told(server: Server, kind: str) -> dict[str, Any]:
    """The newest event of a kind, once there is one."""
    return server.wait(f"an event {kind}", lambda: (events(server, kind) or [None])[-1])


def test_every_tenant_is_trained_checked_and_retrained_in_its_night(server: Server) -> None:
    """New sales lead to models and forecasts, the night to a check of the data and the weekly retraining."""
    for tenant in tenants(server):
        for cause in ("new sales", "nightly check", "schedule"):
            run = ended(server, cause, tenant)
            assert run["status"] == "SUCCESS", server.tail()
        ledger = pd.read_parquet(server.world.home.table(tenant, "training_ledger"))
        assert len(ledger) == PRODUCTS
        with server.world.entered() as installation:
            assert len(installation.registry.champions(tenant)) == PRODUCTS
    assert {event["tenant_id"] for event in events(server, "training_completed")} == set(tenants(server))


def test_a_day_without_forecast_gets_one(server: Server) -> None:
    """Once the forecasts are of an earlier day a daily forecast is made, with the standing models."""
    path = server.world.home.table(CHANGED, "forecasts")
    earlier = time.time() - dt.timedelta(days=2).total_seconds()
    os.utime(path, (earlier, earlier))
    run = ended(server, "daily forecast", CHANGED)
    assert run["status"] == "SUCCESS", server.tail()
    assert run["jobName"] == "daily_forecast"
    assert path.stat().st_mtime > earlier + 1


def test_new_days_lead_to_retraining_with_cause(server: Server) -> None:
    """Some days more in the file, and every product that sold is trained for `new_data`, and forecast from there."""
    with_more_days(sales_file(server))
    run = ended(server, "new sales", CHANGED, 2)
    assert run["status"] == "SUCCESS", server.tail()
    with server.world.entered() as installation:
        (job,) = installation.registry.jobs(CHANGED, run_id=run["runId"])
    assert (job.cause, job.trained) == (f"new_data {PRODUCTS}", PRODUCTS)


def with_more_days(place: Path) -> None:
    """Add days to a file: what was sold a week before each of them."""
    sales = pd.read_csv(place, dtype=str)
    dates = pd.to_datetime(sales["date"])
    week_before = dates.between(dates.max() - pd.Timedelta(days=6), dates.max() - pd.Timedelta(days=7 - NEW_DAYS))
    later = (dates[week_before] + pd.Timedelta(days=7)).dt.strftime("%Y-%m-%d")
    written = place.with_suffix(".new")
    pd.concat([sales, sales[week_before].assign(date=later)]).to_csv(written, index=False)
    written.replace(place)


def test_a_failure_raises_an_alert_which_ends(server: Server) -> None:
    """A file that turns to garbage fails its run, raises an alert and leaves the forecast; once mended that ends."""
    place = sales_file(server)
    table = server.world.home.table(CHANGED, "forecasts")
    good, before = place.read_bytes(), pd.read_parquet(table)
    place.write_bytes(b"\x00\x01 this is no table")
    run = ended(server, "new sales", CHANGED, 3)
    assert run["status"] == "FAILURE"
    raised = told(server, "alert_raised")
    assert (raised["tenant_id"], raised["subject"], raised["severity"]) == (CHANGED, "train_and_forecast", "medium")
    assert "sales: UnreadableFileError: file 'sales.csv' is not text" in raised["message"]
    standing = pd.read_parquet(table)
    assert standing["stale"].all()
    assert standing["y_hat"].tolist() == before["y_hat"].tolist()
    place.write_bytes(good)
    assert ended(server, "new sales", CHANGED, 4)["status"] == "SUCCESS", server.tail()
    assert told(server, "alert_ended")["alert_id"] == raised["alert_id"]
    assert not pd.read_parquet(table)["stale"].any()
