"""The figures of now: from the registry, the queue, and the files of the feedback layer."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts import Cause, Freshness, HealthStatus, Priority
from pipeline.errors import MetadataError, PipelineError, RegistryError
from pipeline.home import Home
from pipeline.installation import Installation
from pipeline.keys import label
from pipeline.monitoring.causes import findings, open_findings
from pipeline.monitoring.dataset_freshness import unreadable_tenants
from pipeline.monitoring.found import features_built_at, read_freshness, read_serving_health
from pipeline.monitoring.metrics.catalogue import ALL_SECONDS, MEASURES, Distribution, Figures, Kind, Labels
from pipeline.registry.breakers import CLOSED, HALF_OPEN, OPEN
from pipeline.registry.measures import CHECKSUM_KINDS, CHECKSUMS, JOB_SECONDS, JOBS, PREDICTIONS, SUM, Key
from pipeline.registry.records import JobStatus
from pipeline.registry.registry import Registry
from pipeline.tenants import tenant_ids

MOST_DEPLOYMENTS = 200
"""Deployments that are told apart, the worst first; all of them are counted."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """A run in the queue, and since when, UTC."""

    priority: Priority
    since: dt.datetime


Queue = Callable[[], Sequence[Waiting]]
"""Reads the orchestrator's queue; it may raise any of our errors."""


def read_figures(opened: Installation, queue: Queue) -> Figures:
    """Return all figures; what cannot be read is left out, and said to be by a figure of its own."""
    now = dt.datetime.now(dt.UTC)
    tenants = tenant_ids(opened.home)
    figures: Figures = {"pipeline_registry_up": {(): 1}, "pipeline_queue_up": {(): 1}}
    registry: Registry | None = None
    try:
        figures |= registry_figures(opened.registry, tenants)
        registry = opened.registry
    except RegistryError as error:
        logger.warning("metrics without the registry: %s", error)
        figures["pipeline_registry_up"] = {(): 0}
    try:
        figures |= queue_figures(queue(), now)
    except PipelineError as error:
        logger.warning("metrics without the queue: %s", error)
        figures["pipeline_queue_up"] = {(): 0}
    return figures | found_figures(opened, registry, tenants, now)


def registry_figures(registry: Registry, tenants: Sequence[str]) -> Figures:
    """Return what the registry knows: totals, breakers, open alerts.

    Raises:
        RegistryError: it cannot be read.
    """
    figures: Figures = _totals(registry.totals(), tenants)
    figures["pipeline_breaker_state"] = {
        (one.name, state): float(one.state == state)
        for one in registry.breakers()
        for state in (CLOSED, OPEN, HALF_OPEN)
    }
    raised = Counter((one.kind, one.severity.value) for one in registry.alerts(limit=None))
    figures["pipeline_open_alerts"] = {labels: float(count) for labels, count in raised.items()}
    return figures


def _totals(totals: dict[Key, float], tenants: Sequence[str]) -> Figures:
    """The totals by metric; a tenant whose first training fails has had a zero before, so that a rate shows it."""
    figures: Figures = defaultdict(dict)
    statuses = [status.value for status in JobStatus if status.final]
    figures[JOBS] = {(tenant, status): 0.0 for tenant in tenants for status in statuses}
    figures[CHECKSUMS] = {(kind,): 0.0 for kind in CHECKSUM_KINDS}
    figures[PREDICTIONS] = {(): 0.0}
    spread: dict[tuple[str, Labels], dict[str, float]] = defaultdict(dict)
    for key, value in totals.items():
        if key.name not in MEASURES:  # A later release counts more.
            continue
        labels = tuple(label for label in (key.tenant_id, key.label) if label)
        if MEASURES[key.name].kind is Kind.HISTOGRAM:
            spread[key.name, labels][key.bucket] = value
        else:
            figures[key.name][labels] = value
    for (name, labels), buckets in spread.items():
        figures[name][labels] = Distribution(buckets, buckets.pop(SUM, 0))
    figures[ALL_SECONDS] = {(): _together(figures[JOB_SECONDS])}
    for name, measure in MEASURES.items():
        if measure.kind is Kind.HISTOGRAM and not measure.labels:
            figures[name] = figures[name] or {(): Distribution()}
    return dict(figures)


def _together(parts: dict[Labels, float | Distribution]) -> Distribution:
    whole, buckets = Distribution(), Counter[str]()
    for part in parts.values():
        assert isinstance(part, Distribution)
        buckets.update(part.buckets)
        whole.sum += part.sum
    return Distribution(buckets, whole.sum)


def queue_figures(waiting: Sequence[Waiting], now: dt.datetime) -> Figures:
    """Return how many runs wait, and for how long the first of them has, by priority."""
    depth = Counter(one.priority for one in waiting)
    waits = {
        priority: max((now - one.since).total_seconds() for one in waiting if one.priority is priority)
        for priority in depth
    }
    return {
        "pipeline_queue_depth": {(one.value,): depth[one] for one in Priority},
        "pipeline_queue_wait_seconds": {(one.value,): max(waits.get(one, 0.0), 0.0) for one in Priority},
    }


def found_figures(opened: Installation, registry: Registry | None, tenants: Sequence[str], now: dt.datetime) -> Figures:
    """Return what the feedback layer last found; files that cannot be read are counted, and told in the log.

    Without a registry findings that a training may have answered count on.
    """
    home = opened.home
    figures: Figures = defaultdict(dict)
    faults = 0
    sources: list[Callable[[], None]] = [
        lambda: _freshness(home, figures),
        lambda: _unreadable(home, figures),
        lambda: _serving(home, figures),
        *(lambda tenant=one: _findings(opened, registry, tenant, figures) for one in tenants),
        *(lambda tenant=one: _features(home, tenant, figures, now) for one in tenants),
    ]
    for source in sources:
        try:
            source()
        except MetadataError as error:
            logger.warning("metrics without a file: %s", error)
            faults += 1
    figures["pipeline_unreadable_findings"] = {(): faults}
    return dict(figures)


def _freshness(home: Home, figures: Figures) -> None:
    frame = read_freshness(home, ("tenant_id", "clock", "status"))
    if frame is not None:
        is_stale = frame["status"] == Freshness.STALE.value
        found = is_stale.groupby([frame["tenant_id"], frame["clock"]]).sum().reset_index(name="products")
        columns = (found["tenant_id"], found["clock"], found["products"])
        figures["pipeline_stale_products"] = {
            (str(tenant), str(clock)): float(products) for tenant, clock, products in zip(*columns, strict=True)
        }


def _unreadable(home: Home, figures: Figures) -> None:
    if tenants := unreadable_tenants(home):
        figures["pipeline_tenant_unreadable"] = {(tenant,): 1.0 for tenant in tenants}


def _serving(home: Home, figures: Figures) -> None:
    health = read_serving_health(home)
    if health is None:
        return
    states = list(HealthStatus)
    count = Counter(one.status for one in health.deployments)
    figures["pipeline_deployments"] = {(status.value,): count[status] for status in states}
    worst_first = sorted(health.deployments, key=lambda one: (-states.index(one.status), one.deployment_id))
    figures["pipeline_deployment_health"] = {
        (label(one.deployment_id), status.value): float(one.status is status)
        for one in worst_first[:MOST_DEPLOYMENTS]
        for status in states
    }


def _findings(opened: Installation, registry: Registry | None, tenant: str, figures: Figures) -> None:
    """What holds still: a finding that a training has answered counts no more, nor does a share of a few days."""
    found = findings(opened.home, tenant)
    if found is None:
        return
    causes = Counter(one.cause for one in (found.found if registry is None else open_findings(found, registry)))
    figures["pipeline_drifting_products"][tenant,] = causes[Cause.DRIFT]
    figures["pipeline_inaccurate_products"][tenant,] = causes[Cause.LIVE_ACCURACY]
    for name, measured in (("pipeline_live_coverage", found.coverage), ("pipeline_live_wape", found.wape)):
        if measured is not None and measured.days >= opened.settings.alert_coverage_days:
            figures[name][tenant,] = measured.value


def _features(home: Home, tenant: str, figures: Figures, now: dt.datetime) -> None:
    built_at = features_built_at(home, tenant)
    if built_at is not None:
        name, age = "ml_feature_freshness_seconds", (now - built_at).total_seconds()
        before = figures[name].get((), 0.0)
        assert not isinstance(before, Distribution)
        figures[name][()] = max(age, before)
