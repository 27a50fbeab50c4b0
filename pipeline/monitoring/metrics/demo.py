"""Made-up figures of two shops, so that dashboards and rules can be looked at before there is any data."""

from __future__ import annotations

from collections.abc import Iterator

from contracts import HealthStatus, Priority
from pipeline.monitoring.metrics.catalogue import MEASURES, Distribution, Figures, Kind, Labels, Measure
from pipeline.registry.breakers import CLOSED, HALF_OPEN, OPEN
from pipeline.registry.measures import CHECKSUM_KINDS, LAST, bound_text

TENANTS = ("demo_bakery", "demo_cafe")
VALUES: dict[str, dict[str, float]] = {
    "status": {"completed": 97, "failed": 3, "cancelled": 1},
    "product_category": {"bread": 240, "pastry": 180, "other": 12},
    "priority": {priority.value: 2.0 for priority in Priority},
    "kind": dict.fromkeys(CHECKSUM_KINDS, 0.0),
    "clock": {"data": 1, "model": 3, "forecast": 0},
}
"""Values by the last label."""
SPECIAL: Figures = {
    "pipeline_breaker_state": {
        (name, state): float(state == now)
        for name, now in (("weather:demo_cafe", OPEN), ("sales:demo_bakery", CLOSED))
        for state in (CLOSED, OPEN, HALF_OPEN)
    },
    "pipeline_deployments": {(status.value,): 1 for status in HealthStatus},
    "pipeline_deployment_health": {
        (f"demo-{mine.value}", status.value): float(mine is status) for mine in HealthStatus for status in HealthStatus
    },
    "pipeline_open_alerts": {("breaker_open", "medium"): 1, ("products_stale", "medium"): 2},
    "pipeline_live_coverage": {(TENANTS[0],): 0.91, (TENANTS[1],): 0.74},
    "pipeline_live_wape": {(TENANTS[0],): 0.19, (TENANTS[1],): 0.31},
    "pipeline_queue_wait_seconds": {(priority.value,): 45.0 for priority in Priority},
    "ml_prediction": {(): 8_640},
    "ml_feature_freshness_seconds": {(): 5_400},
    "pipeline_unreadable_findings": {(): 0},
}


def demo_figures() -> Figures:
    """Return a figure of every metric; `pipeline_demo` says what they are."""
    return {name: SPECIAL.get(name) or dict(_made_up(measure)) for name, measure in MEASURES.items()}


def _made_up(measure: Measure) -> Iterator[tuple[Labels, float | Distribution]]:
    tenants: list[Labels] = [(tenant,) for tenant in TENANTS] if "tenant_id" in measure.labels else [()]
    for labels in tenants:
        if measure.kind is Kind.HISTOGRAM:
            yield labels, _bell(measure.bounds)
        elif measure.labels[len(labels) :]:
            for value, figure in VALUES[measure.labels[-1]].items():
                yield (*labels, value), figure
        else:
            yield labels, 1


def _bell(bounds: tuple[float, ...]) -> Distribution:
    """Most figures in the middle buckets, few at both ends."""
    names, last = [*map(bound_text, bounds), LAST], len(bounds)
    counts = [float(1 + min(place, last - place) ** 2) for place in range(last + 1)]
    middles = (*bounds, bounds[-1])
    return Distribution(
        dict(zip(names, counts, strict=True)), sum(n * at for n, at in zip(counts, middles, strict=True))
    )
