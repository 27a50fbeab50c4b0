"""What starts runs by itself: the sensor on sales, wherever they lie."""

from __future__ import annotations

import datetime as dt
import logging
import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from contracts import Tenant
from pipeline.commands.dagster_runs import register_tenants
from pipeline.defs.resources import InstallationResource
from pipeline.sources import looking
from pipeline.sources.extract import extract_sales, remember, remember_plan, source_fingerprint
from pipeline.tenants import save_tenant
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import QUICK, TWIN, World, definitions
from pipeline_tests.services.server import server
from pipeline_tests.sources.places import over_http


def tick(world: World) -> dg.SensorResult:
    """Let the sensor look once."""
    sensor = definitions().resolve_sensor_def("new_sales")
    with world.instance() as instance:
        resources = {"installation": InstallationResource()}
        found = sensor(dg.build_sensor_context(instance=instance, resources=resources))
    assert isinstance(found, dg.SensorResult)
    return found


def reason(found: dg.SensorResult) -> str:
    """Why a tick asks for nothing."""
    skipped = found.skip_reason
    return (skipped.skip_message if isinstance(skipped, dg.SkipReason) else skipped) or ""


def asked(found: dg.SensorResult) -> dict[str, str]:
    """Run key by partition of what a tick asks for."""
    return {request.partition_key or "": request.run_key or "" for request in found.run_requests or ()}


def added(found: dg.SensorResult) -> list[str]:
    """The tenants that a tick registers."""
    return [key for request in found.dynamic_partitions_requests or () for key in request.partition_keys]


def till(world: World, name: str, *, days: int = 40) -> Path:
    """A tenant's file, and the tenant, not yet registered with Dagster."""
    place = tills.write(tills.steady("Bun", days=days), world.root / "exports" / f"{name}.csv")
    world.add(name, place, register=False)
    return place


def taken(world: World, name: str) -> None:
    """Note that a tenant's files have been taken in, as the asset `sales` does."""
    with world.entered() as installation:
        found = source_fingerprint(installation.tenant(name), world.home, installation.settings)
        remember(world.home, name, found)
        remember_plan(world.home, name, found)


def later(place: Path) -> None:
    """Let a file look as if it was written a minute later."""
    stat = place.stat()
    os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns + 60 * 10**9))


def test_the_sensor_asks_for_a_new_tenant_and_registers_it(empty: World):
    """A tenant that was added as a file alone becomes a partition, and its run is asked for once."""
    till(empty, "bakery")
    found = tick(empty)
    assert added(found) == ["bakery"]
    assert list(asked(found)) == ["bakery"]
    (request,) = found.run_requests or ()
    assert request.tags["tenant"] == "bakery"
    assert request.tags["cause"] == "new sales"


def test_a_replayed_tick_asks_with_the_same_run_key(empty: World):
    """Before the run has taken the files in, every tick asks with the same key, which Dagster runs once."""
    till(empty, "bakery")
    assert asked(tick(empty)) == asked(tick(empty)) != {}


def test_the_sensor_rests_once_the_files_are_taken_in(copy: World):
    """After the runs nothing is asked for, and the skip reason says so."""
    found = tick(copy)
    assert asked(found) == {}
    assert added(found) == []
    assert reason(found) == "no sales of 2 tenants have changed"


def test_what_a_nightly_check_has_taken_in_is_still_planned_with(copy: World):
    """New sales that came in without a training plan lead to a run all the same: a product may have come of age."""
    copy.add(TWIN, copy.root / "exports" / "twin.csv", country="FR")
    assert copy.run(TWIN, "check_data").success
    assert list(asked(tick(copy))) == [TWIN]
    assert copy.run(TWIN).success
    assert asked(tick(copy)) == {}


def test_what_was_asked_for_by_hand_is_no_plan_for_the_rest(copy: World):
    """New sales of which only chosen products were trained are still to be planned with."""
    place = copy.root / "exports" / "twin.csv"
    copy.add(TWIN, place, country="FR")
    sales = pd.read_csv(place)
    tills.write(pd.concat([sales, sales[sales["product_id"] == tills.STEADY[0]].assign(product_id="Novelty")]), place)
    assert copy.retrain(TWIN, tills.STEADY[:1]).success
    assert list(asked(tick(copy))) == [TWIN]
    assert copy.run(TWIN).success
    assert asked(tick(copy)) == {}


def test_a_run_that_is_on_its_way_is_not_asked_for_again(empty: World, monkeypatch: pytest.MonkeyPatch):
    """While a database's run is there no other is asked for, an hour later neither; once it has failed, one is."""
    database(empty, "base")
    (request,) = tick(empty).run_requests or ()
    with empty.instance() as instance:
        job = definitions().resolve_job_def("train_and_forecast")
        run = instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert asked(tick(empty)) == {}
    with empty.instance() as instance:
        instance.report_run_failed(run)
    assert list(asked(tick(empty))) == ["base"]


def test_the_sensor_asks_again_when_a_file_changes(copy: World):
    """A touched file of one tenant asks for that tenant's run, with a key of its own."""
    later(copy.root / "exports" / "twin.csv")
    copy.add(TWIN, copy.root / "exports" / "twin.csv", country="FR")
    taken(copy, TWIN)
    later(copy.root / "exports" / "twin.csv")
    first = asked(tick(copy))
    assert list(first) == [TWIN]
    later(copy.root / "exports" / "twin.csv")
    assert asked(tick(copy))[TWIN] != first[TWIN]


def test_a_file_that_is_put_back_is_taken_in_again(empty: World):
    """Dagster remembers run keys for ever: a file restored with its old time stamp must not meet its old key."""
    place = till(empty, "bakery")
    content, stat = place.read_bytes(), place.stat()
    first = asked(tick(empty))["bakery"]
    taken(empty, "bakery")
    place.write_bytes(b"date,product_id,quantity\n")
    second = asked(tick(empty))["bakery"]
    taken(empty, "bakery")
    place.write_bytes(content)
    os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    third = asked(tick(empty))["bakery"]
    assert len({first, second, third}) == 3


def test_an_unreadable_tenant_is_named_and_stops_no_other(empty: World):
    """A tenant whose file is gone, and one whose own TOML is broken, are named; a sound one is asked for."""
    till(empty, "gone").unlink()
    empty.home.tenants.joinpath("torn.toml").write_text("id = [", encoding="utf-8")
    message = reason(tick(empty))
    assert "2 cannot be looked at" in message
    assert "gone: " in message
    assert "gone.csv" in message
    assert "torn: tenant file" in message
    till(empty, "bakery")
    found = tick(empty)
    assert list(asked(found)) == ["bakery"]
    assert sorted(added(found)) == ["bakery", "gone"]


def database(world: World, name: str) -> Path:
    """A tenant whose sales lie in a SQLite file, and that file."""
    place = world.root / f"{name}.db"
    place.parent.mkdir(exist_ok=True)
    rows = [(str(dt.date(2024, 5, 1) + dt.timedelta(days=n)), "Bun", 10 + n % 7) for n in range(40)]
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("CREATE TABLE sales (date DATE, product_id TEXT, quantity INT)")
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", rows)
    save(world, name, {"kind": "sql", "url": f"sqlite:///{place}", "query": "sales"})
    return place


def save(world: World, name: str, source: dict[str, str]) -> Tenant:
    """Write a tenant's file, not yet registered with Dagster."""
    made = {"id": name, "name": name, "country": "ES", "timezone": "Europe/Madrid", "source": source}
    tenant = Tenant.model_validate(made)
    with world.entered():
        save_tenant(world.home, tenant, replace=True)
    return tenant


def test_the_sensor_watches_databases(empty: World):
    """A tenant's database is taken in by a run, then left alone until it says something new."""
    place = database(empty, "bakery")
    assert list(asked(tick(empty))) == ["bakery"]
    with empty.entered() as installation:
        register_tenants(installation)
    run = empty.run("bakery")
    assert empty.metadata(run.run_id, "sales")["products"] == 1
    assert reason(tick(empty)) == "no sales of 1 tenants have changed"
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("INSERT INTO sales VALUES ('2024-06-10', 'Bun', 3)")
    assert list(asked(tick(empty))) == ["bakery"]


def test_a_place_that_failed_is_tried_again_within_the_hour(empty: World, monkeypatch: pytest.MonkeyPatch):
    """A database may have been down: its tenant is asked for again an hour later; a tenant of files is not."""
    database(empty, "base")
    till(empty, "files")
    first = asked(tick(empty))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    second = asked(tick(empty))
    assert first["base"] != second["base"]
    assert first["files"] == second["files"]


def test_a_place_that_hangs_holds_up_nobody(empty: World, monkeypatch: pytest.MonkeyPatch):
    """A tick waits for hanging services for SOURCE_LOOK_SECONDS, names them, and asks for the others."""
    place = till(empty, "bakery")
    released = threading.Event()
    with over_http(stamps=True) as shop:
        shop.put(pd.DataFrame({"date": ["2024-05-01"], "product_id": ["Bun"], "quantity": [3]}))
        for name in ("hung", "stuck"):
            tenant = save(empty, name, shop.source)
            with empty.entered() as installation:
                found = extract_sales(tenant, empty.home, installation.settings).fingerprint
                remember(empty.home, name, found)
                remember_plan(empty.home, name, found)
        taken(empty, "bakery")
        assert reason(tick(empty)) == "no sales of 3 tenants have changed"
        shop.put(pd.DataFrame({"date": ["2024-05-02"], "product_id": ["Bun"], "quantity": [3]}))
        shop.service.instead = lambda _: b"{}" if released.wait(30) else None
        monkeypatch.setitem(QUICK, "SOURCE_LOOK_SECONDS", "1")
        begun = time.monotonic()
        found = tick(empty)
        later(place)
        again = tick(empty)
        assert time.monotonic() - begun < 8
        released.set()
    assert asked(found) == {}
    assert "2 cannot be looked at: hung: " in reason(found)
    assert "stuck: " in reason(found)
    assert list(asked(again)) == ["bakery"]


def test_whom_a_tick_does_not_reach_is_counted(empty: World, monkeypatch: pytest.MonkeyPatch):
    """A tick whose time is over says how many tenants it has not seen; the next one asks for them."""
    till(empty, "bakery")
    with monkeypatch.context() as patch:
        patch.setattr(looking, "TOGETHER_SECONDS", 0.0)
        hurried = tick(empty)
    assert asked(hurried) == {}
    assert reason(hurried).endswith("1 not reached within 40 s, first at the next tick")
    assert list(asked(tick(empty))) == ["bakery"]


def test_the_sensor_without_tenants_says_what_to_do(empty: World):
    """With nobody to watch, the skip reason names the command that adds a tenant."""
    assert "pipeline tenants add" in reason(tick(empty))


def test_a_run_outlasts_an_outage_and_says_why_it_waits(empty: World, monkeypatch: pytest.MonkeyPatch):
    """A service that is down for a second delays a run by its breaker's time; the run's own log says what it does."""
    fast = {"RETRY_HTTP_MIN_SECONDS": "0.001", "RETRY_HTTP_MAX_SECONDS": "0.002", "BREAKER_SALES_SECONDS": "0.5"}
    for name, value in fast.items():
        monkeypatch.setitem(QUICK, name, value)
    rows = tills.steady("Bun", days=40).to_dict("records")
    with server({"/sales": lambda _: {"rows": rows, "next_page": None}}) as shop:
        save(empty, "bakery", {"kind": "http", "url": f"{shop.url}/sales"})
        with empty.entered() as installation:
            register_tenants(installation)
        shop.misbehave("503", left=6)
        done = empty.run("bakery", "daily_forecast")
    assert done.success
    told = empty.metadata(done.run_id, "sales")
    assert (told["calls"], told["attempts"]) == (4, 7)
    assert told["seconds_left_alone"] == pytest.approx(1.0, abs=0.5)
    with empty.instance() as instance:
        said = [entry.user_message for entry in instance.all_logs(done.run_id) if entry.level == logging.WARNING]
    assert any("sales:bakery is left alone since" in text and "waiting 0.5 s to ask again" in text for text in said)


def test_a_service_that_fails_is_asked_again_and_then_left_alone(empty: World, monkeypatch: pytest.MonkeyPatch):
    """A run tells what it repeated; a service that stays down stops the run, and the sensor names its breaker."""
    fast = {"RETRY_HTTP_MIN_SECONDS": "0.001", "RETRY_HTTP_MAX_SECONDS": "0.002", "OUTAGE_WAIT_SECONDS": "0"}
    for name, value in fast.items():
        monkeypatch.setitem(QUICK, name, value)
    rows = tills.steady("Bun", days=40).to_dict("records")
    with server({"/sales": lambda _: {"rows": rows, "next_page": None}}) as shop:
        save(empty, "bakery", {"kind": "http", "url": f"{shop.url}/sales"})
        with empty.entered() as installation:
            register_tenants(installation)
        shop.misbehave("503", left=2)
        told = empty.metadata(empty.run("bakery", "daily_forecast").run_id, "sales")
        assert (told["calls"], told["attempts"]) == (1, 3)
        assert told["seconds_waited"] > 0
        assert "HTTP 503" in told["last_fault"]
        shop.misbehave("503")
        failed = empty.run("bakery", "daily_forecast")
    assert not failed.success
    with empty.instance() as instance:
        events = instance.all_logs(failed.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    assert "ServiceUnavailableError" in str(events[0].dagster_event)
    assert "the service sales:bakery" in reason(tick(empty))
    assert "the service sales:bakery is left alone since" in reason(tick(empty))
