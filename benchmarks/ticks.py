"""What a tick of each sensor and schedule costs where there are ten thousand products."""

from __future__ import annotations

import datetime as dt
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from sqlalchemy import insert

from benchmarks.page import Choice, Page, figure, steps, table, verdict
from benchmarks.registry import small_manifest
from contracts import Cause, FileSource, Finding, Findings, Freshness, LedgerRow, Outcome, PlanRow, Tenant
from contracts.tenants import QuietHours
from pipeline.commands.dagster_runs import opened_instance, register_tenants
from pipeline.commands.shared import prepared
from pipeline.defs.resources import InstallationResource
from pipeline.home import write_atomically
from pipeline.installation import Installation
from pipeline.keys import partition_key, slug
from pipeline.monitoring.causes import findings_path
from pipeline.monitoring.product_freshness import CLOCKS
from pipeline.registry import open_engine
from pipeline.registry.database import writer
from pipeline.registry.manifests import model_row
from pipeline.registry.records import JobStatus
from pipeline.registry.tables import TrainedModel, TrainingLedger
from pipeline.settings import get_settings
from pipeline.sources.extract import remember_plan, source_fingerprint
from pipeline.tables import write_table
from pipeline.tenants import save_tenant

TENANTS, PRODUCTS = 200, 50
RUNS_A_TENANT, FAILED = 2, 20
"""Runs of the last day, and how many of all these failed."""
TIMES = 5
MOST = 1.0
"""Seconds that a tick may take."""
HASH = "0" * 64
MADE = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
VERSION = MADE.strftime("%Y%m%d_%H%M%S")
SENSORS = (
    "new_sales",
    "unfinished_trainings",
    "watched_models",
    "conditions",
    "long_waits",
    "failed_runs",
    "event_relay",
    "messages",
)
SCHEDULES = ("weekly_retraining", "daily_forecasts", "nightly_data_check")


@dataclass(frozen=True)
class Tick:
    """What one sensor or schedule took, seconds: where nothing was to be done, and at its busiest."""

    name: str
    idle: float
    busy: float | None = None
    asked: int = 0


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the table of ticks, and whether each keeps within the bar."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        steps(2 + len(SENSORS) + len(SCHEDULES)) as progress,
        _home(Path(folder)) as installation,
    ):
        with progress.doing(f"{TENANTS} tenants with {PRODUCTS} products each"):
            tenants = [_tenant(installation, number) for number in range(TENANTS)]
            for tenant in tenants:
                _trained(installation, tenant)
        with opened_instance() as instance:
            with progress.doing("their partitions and runs"):
                _history(installation, instance, tenants)
            found = list(_ticks(installation, instance, tenants, progress.doing))
    yield page(found)


def page(found: list[Tick]) -> Page:
    """Return the page of what was measured."""
    rows = []
    for one in found:
        slowest = max(one.idle, one.busy or 0)
        busy = "" if one.busy is None else figure(one.busy, 3)
        rows.append([one.name, figure(one.idle, 3), busy, str(one.asked or ""), verdict(slowest <= MOST)])
    lines = [
        "# What a tick costs",
        "",
        f"{TENANTS} tenants with {PRODUCTS} products each, {TENANTS * PRODUCTS:,} in all, their sales in files; "
        f"{RUNS_A_TENANT * TENANTS} runs of the last day, {FAILED} of them failed. Medians of {TIMES} in one process; "
        "the daemon's own call adds to them. Busy: the sales of all tenants have changed; accuracy and drift found all "
        "models failing, and every product is stale; it is the night of all tenants and nothing was asked for yet; a "
        f"first look at the failed runs. A tick may take {MOST:g} s.",
        "",
        *table(("", "idle, s", "busy, s", "runs asked for", ""), rows),
    ]
    return Page("\n".join(lines))


@contextmanager
def _home(root: Path) -> Iterator[Installation]:
    """An installation of its own, as the environment describes it meanwhile."""
    names = ("PIPELINE_HOME", "DAGSTER_HOME", "DATABASE_URL", "DAGSTER_DATABASE_URL", "RETRAIN_WEEKDAY")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ |= {"PIPELINE_HOME": str(root), "RETRAIN_WEEKDAY": "every"}
    get_settings.cache_clear()
    try:
        yield prepared()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        get_settings.cache_clear()


def _tenant(installation: Installation, number: int) -> Tenant:
    """A tenant with a small file of sales, whose night is now."""
    place = installation.home.root / "exports" / f"tenant-{number}.csv"
    place.parent.mkdir(exist_ok=True)
    rows = "".join(f"2026-01-01,product {product},5\n" for product in range(PRODUCTS))
    place.write_text(f"date,product_id,quantity\n{rows}", encoding="utf-8")
    now = dt.datetime.now(dt.UTC)
    tenant = Tenant(
        id=f"tenant-{number}",
        name=f"Tenant {number}",
        country="ES",
        timezone="UTC",
        source=FileSource(path=str(place)),
        quiet_hours=QuietHours(
            start=(now - dt.timedelta(hours=2)).time().replace(microsecond=0),
            end=(now + dt.timedelta(hours=2)).time().replace(microsecond=0),
        ),
    )
    save_tenant(installation.home, tenant)
    return tenant


def _trained(installation: Installation, tenant: Tenant) -> None:
    """A training of all products that has just ended, after which nothing is new."""
    registry, today = installation.registry, dt.datetime.now(dt.UTC).date()
    job = registry.start_job(tenant.id, name="bench", cause="bench", requested_by="bench")
    shared = {"tenant_id": tenant.id, "reason": "bench", "data_days": 500, "data_fingerprint": HASH}
    products = [f"product {number}" for number in range(PRODUCTS)]
    registry.save_plan(job, [PlanRow(product_id=product, due=True, importance=1, **shared) for product in products])
    rows = [
        LedgerRow(product_id=product, job_id=job, outcome=Outcome.SKIPPED, origin=today, seconds=1, **shared)
        for product in products
    ]
    model = model_row(small_manifest(job, "product 0", MADE), None)
    named = [{"tenant_id": tenant.id, "product_id": one, "product_key": slug(one)} for one in products]
    engine = open_engine(installation.settings)
    with writer(engine).begin() as connection:  # Ten thousand transactions would take minutes.
        connection.execute(insert(TrainedModel), [model | one for one in named])
        connection.execute(
            insert(TrainingLedger), [{**row.model_dump(), "product_key": slug(row.product_id)} for row in rows]
        )
    engine.dispose()
    registry.finish_job(job, JobStatus.COMPLETED, counts={Outcome.SKIPPED.value: PRODUCTS})
    _planned(installation, tenant)


def _watched(installation: Installation, tenants: list[Tenant], *, well: bool) -> None:
    """Leave what the monitoring leaves: all models hold and no product is stale, or none and all."""
    today = dt.datetime.now(dt.UTC).date()
    rows = []
    for tenant in tenants:
        names = [f"product {number}" for number in range(PRODUCTS)]
        found = [
            Finding(product_id=name, version=VERSION, cause=Cause.DRIFT, reason="sales shifted")
            for name in ([] if well else names)
        ]
        told = Findings(tenant_id=tenant.id, origin=today, found=tuple(found))
        write_atomically(findings_path(installation.home, tenant.id), told.model_dump_json().encode())
        rows += [(tenant.id, name, clock, 90_000.0) for name in names for clock in CLOCKS]
    status = Freshness.FRESH if well else Freshness.STALE
    table = pd.DataFrame(rows, columns=["tenant_id", "product_id", "clock", "lag"])
    path = installation.home.monitoring / "freshness.parquet"
    path.parent.mkdir(exist_ok=True)
    write_table(path, table.assign(status=status.value, reason="its last day lies 25 hours back"))


def _planned(installation: Installation, tenant: Tenant) -> None:
    """Say that a training plan has seen the sales as they are."""
    seen = source_fingerprint(tenant, installation.home, installation.settings, installation.services)
    remember_plan(installation.home, tenant.id, seen)


def _history(installation: Installation, instance: dg.DagsterInstance, tenants: list[Tenant]) -> None:
    """The partitions, and runs that have ended, the last ones badly."""
    register_tenants(installation)
    keys = [partition_key(tenant.id, f"product {number}") for tenant in tenants for number in range(PRODUCTS)]
    instance.add_dynamic_partitions("products", keys)
    for number in range(RUNS_A_TENANT * TENANTS):
        tags = {"tenant": tenants[number % TENANTS].id, "dagster/partition": tenants[number % TENANTS].id}
        run = _run(instance, tags)
        if number < RUNS_A_TENANT * TENANTS - FAILED:
            kind = dg.DagsterEventType.RUN_SUCCESS
            instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name, message="done"), run.run_id)
        else:
            instance.report_run_failed(run, "bench")


def _run(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.DagsterRun:
    """A run with these tags; of a job without assets, which Dagster makes the fastest."""
    return instance.create_run_for_job(_definitions().resolve_job_def("purge_dagster_history"), tags=tags)


def _ticks(
    installation: Installation, instance: dg.DagsterInstance, tenants: list[Tenant], doing: Callable[[str], Any]
) -> Iterator[Tick]:
    """Each sensor's and schedule's tick, first at its busiest where that can be told, then with nothing to do."""
    for name in SENSORS:
        with doing(name):
            busy, asked = None, 0
            if name == "new_sales":
                for tenant in tenants:
                    os.utime(str(tenant.source.path))  # type: ignore[union-attr]  # its source is a file
                busy, asked = _sensor(instance, name)
                for tenant in tenants:
                    _planned(installation, tenant)
            if name in ("watched_models", "conditions"):
                _watched(installation, tenants, well=False)
            if name in ("watched_models", "conditions", "failed_runs"):
                busy, asked = _sensor(instance, name)
            if name in ("watched_models", "conditions"):
                _watched(installation, tenants, well=True)
            yield Tick(name, statistics.median(_sensor(instance, name)[0] for _ in range(TIMES)), busy, asked)
    for name in SCHEDULES:
        with doing(name):
            busy, asked, requests = _schedule(instance, name)
            for request in requests:
                _run(instance, dict(request.tags))
            idle = statistics.median(_schedule(instance, name)[0] for _ in range(TIMES))
            yield Tick(name, idle, busy if asked else None, asked)


def _sensor(instance: dg.DagsterInstance, name: str) -> tuple[float, int]:
    """Seconds of one look, and how many runs it asks for."""
    sensor = _definitions().resolve_sensor_def(name)
    resources = {"installation": InstallationResource(pipeline_home=None)}
    context = dg.build_sensor_context(instance=instance, resources=resources, cursor=_CURSORS.get(name))
    begun = time.perf_counter()
    found = sensor(context)
    asked = found.run_requests if isinstance(found, dg.SensorResult) else list(_listed(found))
    seconds = time.perf_counter() - begun
    if context.cursor is not None:
        _CURSORS[name] = context.cursor
    return seconds, len(asked or ())


_CURSORS: dict[str, str] = {}


def _listed(found: object) -> Iterator[dg.RunRequest]:
    """The runs that are asked for, of whatever a sensor or a schedule gives."""
    for one in found if isinstance(found, Iterator) else [found]:
        if isinstance(one, dg.RunRequest):
            yield one


def _schedule(instance: dg.DagsterInstance, name: str) -> tuple[float, int, list[dg.RunRequest]]:
    """Seconds of one tick, and the runs that it asks for."""
    schedule = _definitions().resolve_schedule_def(name)
    resources = {"installation": InstallationResource(pipeline_home=None)}
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=dt.datetime.now(dt.UTC),
        resources=resources,
        repository_def=_definitions().get_repository_def(),
    )
    begun = time.perf_counter()
    requests = list(schedule.evaluate_tick(context).run_requests or ())
    return time.perf_counter() - begun, len(requests), requests


@cache
def _definitions() -> dg.Definitions:
    """All definitions, loaded once."""
    from pipeline.definitions import defs

    return defs()
