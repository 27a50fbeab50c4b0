"""An installation with figures of every kind, and what a scraper makes of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from prometheus_client.parser import text_string_to_metric_families

from contracts import Cause, Finding, Findings, Measured, Metrics, Priority, Severity
from pipeline.home import Home
from pipeline.installation import Installation
from pipeline.monitoring.causes import findings_path
from pipeline.monitoring.metrics.collector import as_text
from pipeline.monitoring.metrics.read import Waiting, read_figures
from pipeline.registry.alerts import Subject, Trouble
from pipeline.settings import Settings
from pipeline.tables import write_table
from pipeline_tests.registry.builders import VERSION, manifest, register, start

NOTHING: Mapping[str, str] = {}
Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Scraped:
    """Every sample of an exposition, by name and labels."""
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(found: Scraped, name: str, **labels: str) -> float | None:
    """One sample; None where it is not there."""
    return found.get((name, frozenset(labels.items())))


def names(found: Scraped) -> set[str]:
    """The names of the samples."""
    return {name for name, _ in found}


def now_of(opened: Installation, queue: Iterable[Waiting] = ()) -> Scraped:
    """What a scrape of an installation finds."""
    return parsed(as_text(read_figures(opened, lambda: list(queue))).decode())


def made(home: Path, *tenants: str, **settings: Any) -> Installation:
    """An installation with tenants of these names."""
    opened = Installation(Settings(pipeline_home=home, **settings))
    opened.home.tenants.mkdir(parents=True)
    for tenant in tenants:
        (opened.home.tenants / f"{tenant}.toml").touch()
    return opened


def waited(priority: Priority, seconds: float) -> Waiting:
    """A run that has waited for so long."""
    return Waiting(priority, dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds))


def deployment(name: str, status: str) -> dict[str, Any]:
    """How a deployment was."""
    fields = ("model_name", "model_version", "bundle_id", "input_dataset_name", "input_dataset_version")
    told = {"latest_window_end": "2026-03-01T10:00:00Z", "evaluated_windows": 3, "missing_window_count": 0}
    return {"deployment_id": name, "status": status, "detail": f"{name} is so", **dict.fromkeys(fields, "x"), **told}


def find(
    home: Home,
    tenant: str = "bakery",
    accuracy: Mapping[str, str] = NOTHING,
    drift: Mapping[str, str] = NOTHING,
    **over_all: Measured,
) -> None:
    """Write what was found of a tenant: products with their reasons, and figures over all of them."""
    found = tuple(
        Finding(product_id=product, version=VERSION, cause=cause, reason=reason)
        for cause, reasons in ((Cause.LIVE_ACCURACY, accuracy), (Cause.DRIFT, drift))
        for product, reason in reasons.items()
    )
    told = Findings(tenant_id=tenant, origin=dt.date(2026, 3, 1), found=found, **over_all)
    path = findings_path(home, tenant)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(told.model_dump_json())


def trained(opened: Installation, tenant: str, *products: str) -> None:
    """Register models of products, which `find` is about."""
    for product in products:
        opened.registry.register(manifest(start(opened.registry, tenant), tenant, product))


def served(home: Home, *deployments: dict[str, Any]) -> None:
    """Write how deployments are."""
    home.monitoring.mkdir(parents=True, exist_ok=True)
    told = {"evaluated_at": "2026-03-01T10:01:00Z", "deployments": deployments, "faults": [], "conflicts": []}
    (home.monitoring / "serving_health.json").write_text(json.dumps(told))


def aged(home: Home, *rows: tuple[str, str, str, str]) -> None:
    """Write how fresh products are: tenant, product, clock, status."""
    frame = pd.DataFrame(rows, columns=["tenant_id", "product_id", "clock", "status"])
    table = frame.assign(lag=3.0, unit="days", threshold=2.0, reason="the last sale is 3 days old")
    write_table(home.monitoring / "freshness.parquet", table)


def unread(home: Home, **faults: str) -> None:
    """Write which tenants the last round of freshness could not look at."""
    home.monitoring.mkdir(parents=True, exist_ok=True)
    told = {"evaluated_at": "2026-03-01T10:01:00Z", "datasets": [], "faults": faults, "waiting": {}}
    (home.monitoring / "freshness.json").write_text(json.dumps(told))


def built(home: Home, tenant: str, hours: float) -> None:
    """Write when a tenant's training table was built."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    counts, names_ = {"row_count": 1, "feature_count": 1}, ("dataset_version", "path", "target", "entity", "event_ts")
    told = {"dataset_name": "features", "built_at": at.isoformat(), **counts, **dict.fromkeys(names_, "x")}
    home.tenant(tenant).mkdir(parents=True, exist_ok=True)
    (home.tenant(tenant) / "features.json").write_text(json.dumps(told))


def fill(opened: Installation) -> None:
    """Let something of everything happen."""
    registry, home = opened.registry, opened.home
    job_id = start(registry)
    register(registry, job_id, metrics=Metrics(n=56, mae=2.0, accuracy=81.0))
    registry.finish_job(job_id, "completed", counts={})
    registry.finish_job(start(registry), "failed", counts={})
    registry.count_predictions(8)
    registry.count_build(2.5)
    registry.count_lock_wait(70)
    registry.count_broken("artefact")
    registry.open_breaker("sales:bakery")
    trouble = Trouble(Severity.HIGH, "it is odd", "Look.")
    registry.note_trouble(Subject("run_failed", "bakery", "train"), trouble, dt.datetime.now(dt.UTC))
    aged(
        home,
        ("bakery", "rye", "data", "STALE"),
        ("bakery", "bun", "data", "FRESH"),
        ("bakery", "bun", "model", "FRESH"),
    )
    served(home, deployment("a", "healthy"), deployment("b", "unhealthy"))
    over_all = {"coverage": Measured(value=0.7, days=280), "wape": Measured(value=0.25, days=280)}
    find(home, accuracy={"rye": "worse"}, drift={"roll": "more", "bun": "less"}, **over_all)
    built(home, "bakery", 2)
