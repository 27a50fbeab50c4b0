"""What model servers report of a minute of their work, and what is concluded from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.base import Count, UtcDatetime
from contracts.datasets import MetadataContract, Name

Milliseconds = Annotated[float, Field(ge=0)]


class ServingMetricsWindow(MetadataContract):
    """What one endpoint of one deployment did in one window of time, by its own count; a line of JSON."""

    schema_version: Literal["v1"]
    window_start: UtcDatetime
    window_end: UtcDatetime
    heartbeat_emitted_at: UtcDatetime
    service_name: Name
    service_version: Name
    environment: Name
    deployment_id: Name
    endpoint_name: Name
    model_name: Name
    model_version: Name
    bundle_id: Name
    input_dataset_name: Name
    input_dataset_version: Name
    request_count: Count
    success_count: Count
    failure_count: Count
    rejected_count: Count
    timeout_count: Count
    validation_error_count: Count
    feature_lookup_error_count: Count
    model_load_error_count: Count
    inference_runtime_error_count: Count
    dependency_error_count: Count
    internal_error_count: Count
    input_schema_failure_count: Count
    missing_required_field_count: Count
    invalid_type_count: Count
    domain_violation_count: Count
    prediction_count: Count
    prediction_null_count: Count
    prediction_non_finite_count: Count
    prediction_out_of_range_count: Count
    fallback_prediction_count: Count
    latency_p50_ms: Milliseconds
    latency_p95_ms: Milliseconds
    latency_p99_ms: Milliseconds
    feature_lookup_p95_ms: Milliseconds | None = None
    model_exec_p95_ms: Milliseconds | None = None
    missing_feature_count: Count | None = None
    default_imputed_feature_count: Count | None = None
    stale_feature_count: Count | None = None
    feature_vector_build_failure_count: Count | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.window_end <= self.window_start:
            raise ValueError(f"window_end {self.window_end} is not after window_start {self.window_start}")
        return self


class HealthStatus(StrEnum):
    """How a deployment is; the thresholds are settings."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class DeploymentHealthState(MetadataContract):
    """How a deployment is, by its windows: the first rule that holds gives status and detail."""

    deployment_id: Name
    model_name: Name
    model_version: Name
    bundle_id: Name
    input_dataset_name: Name
    input_dataset_version: Name
    status: HealthStatus
    evaluated_windows: Count
    latest_window_end: UtcDatetime
    missing_window_count: Count
    detail: Name = Field(description="The rule that holds, with its figures; `all checks passed` when healthy.")
