"""Every metric that is exported: its name, its labels, what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.registry.measures import (
    ACCURACY,
    BUCKETS,
    BUILD_SECONDS,
    CHECKSUMS,
    JOB_SECONDS,
    JOBS,
    LOCK_SECONDS,
    MAE,
    MODELS,
    PREDICTIONS,
)

ALL_SECONDS = "ml_training_duration_seconds"


class Kind(StrEnum):
    """What may be done with a metric: rates are taken of counters and histograms, gauges are read as they are."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Measure:
    """One metric; a counter's name is exported with `_total` at its end."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def exported(self) -> str:
        """The name by which it is asked for."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


@dataclass
class Distribution:
    """Figures of a histogram: how many lie in each bucket alone, by its upper bound, and their sum."""

    buckets: Mapping[str, float] = field(default_factory=dict)
    sum: float = 0


Labels = tuple[str, ...]
Figures = dict[str, dict[Labels, "float | Distribution"]]
"""Values by metric and labels; a metric that is not there is not known now."""

TENANT = ("tenant_id",)


def _counter(name: str, text: str, *labels: str) -> Measure:
    return Measure(name, Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Measure:
    return Measure(name, Kind.GAUGE, text, labels)


def _histogram(name: str, text: str, *labels: str, bounds: str | None = None) -> Measure:
    return Measure(name, Kind.HISTOGRAM, text, labels, BUCKETS[bounds or name])


MEASURES: Mapping[str, Measure] = {
    one.name: one
    for one in (
        _counter(JOBS, "Trainings that ended, by how: completed, failed or cancelled.", "tenant_id", "status"),
        _histogram(JOB_SECONDS, "Seconds that completed trainings took, without waiting for their turn.", *TENANT),
        _counter(MODELS, "Models that were trained and registered.", "tenant_id", "product_category"),
        _histogram(ACCURACY, "Percent, 100 less the MAPE of each model trained, on days it had not seen.", *TENANT),
        _histogram(MAE, "Units a day that each model trained was wrong by, on days it had not seen.", *TENANT),
        _histogram(BUILD_SECONDS, "Seconds that building a tenant's training table took."),
        _histogram(ALL_SECONDS, "Seconds that completed trainings took, all tenants together.", bounds=JOB_SECONDS),
        _counter(PREDICTIONS, "Forecasts of a product that were made, each through its horizon."),
        _gauge("ml_feature_freshness_seconds", "Seconds since the oldest training table of a tenant was built."),
        _gauge("pipeline_registry_up", "1: the registry answered; 0: it did not, and what it knows is left out."),
        _gauge("pipeline_queue_up", "1: the orchestrator's queue could be read; 0: it could not."),
        _gauge("pipeline_queue_depth", "Runs that wait in the queue.", "priority"),
        _gauge("pipeline_queue_wait_seconds", "Seconds that the run that waits longest has waited.", "priority"),
        _gauge("pipeline_breaker_state", "1 for the state that a service's breaker is in.", "breaker", "state"),
        _counter(CHECKSUMS, "Stored files and manifests that were found not to be what they were.", "kind"),
        _histogram(LOCK_SECONDS, "Seconds that trainings waited for another one of the same tenant."),
        _gauge("pipeline_stale_products", "Products whose data, model or forecast is too old.", "tenant_id", "clock"),
        _gauge("pipeline_tenant_unreadable", "1: what of a tenant is late cannot be read.", *TENANT),
        _gauge("pipeline_deployments", "Deployments that serve models, by how they are.", "status"),
        _gauge("pipeline_deployment_health", "1 for the status of a deployment.", "deployment_id", "status"),
        _gauge("pipeline_live_coverage", "Share of days that came true inside the forecast's range.", *TENANT),
        _gauge("pipeline_live_wape", "Units wrong for each unit sold, of the forecasts that were issued.", *TENANT),
        _gauge("pipeline_drifting_products", "Products whose sales or errors are not what they were.", *TENANT),
        _gauge("pipeline_inaccurate_products", "Products whose forecasts are worse than was promised.", *TENANT),
        _gauge("pipeline_open_alerts", "Alerts that are open.", "kind", "severity"),
        _gauge("pipeline_unreadable_findings", "Files of the feedback layer that cannot be read."),
        _gauge("pipeline_demo", "1: all figures are made up; not there where they are not."),
    )
}
