"""The metadata contracts refuse what would mislead whoever reads them, in words that name the fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import (
    CheckReport,
    Contract,
    DatasetMetadata,
    DeploymentHealthState,
    FreshnessResult,
    LineageEvent,
    ServingMetricsWindow,
    TrainingMetadata,
)
from pipeline_tests.metadata import JSON, METADATA

MOMENT = "2026-03-02T04:05:06Z"
NAMES = {
    name: name
    for name in (
        "service_name", "service_version", "environment", "deployment_id", "endpoint_name", "model_name",
        "model_version", "bundle_id", "input_dataset_name", "input_dataset_version",
    )
}  # fmt: skip
WINDOW: dict[str, Any] = {
    "schema_version": "v1", "window_start": "2026-03-02T04:04:00Z", "window_end": "2026-03-02T04:05:00Z",
    "heartbeat_emitted_at": MOMENT, **NAMES,
    **{name: 0 for name, field in ServingMetricsWindow.model_fields.items() if name.endswith(("_count", "_ms"))},
}  # fmt: skip
DATASET: dict[str, Any] = {
    "dataset_name": "features", "dataset_version": "1", "path": "features.parquet", "built_at": MOMENT,
    "row_count": 1, "feature_count": 1, "target": "quantity", "entity": "product_id", "event_ts": "date",
    "schema_version": "1",
}  # fmt: skip
TRAINING: dict[str, Any] = {
    "run_id": "r", "model_name": "m", "model_version": "1", "input_dataset_name": "features",
    "input_dataset_version": "1", "started_at": "2026-03-02T04:05:06Z", "completed_at": "2026-03-02T04:06:06Z",
    "metrics": {"rmse": 2, "mae": 1.5}, "artifact_path": "models/m",
}  # fmt: skip
FRESHNESS: dict[str, Any] = {
    "dataset_name": "features", "dataset_version": "1", "freshness_seconds": 12.5, "status": "FRESH",
}  # fmt: skip
REPORT: dict[str, Any] = {
    "metadata_path": "a.json", "all_passed": True, "results": [{"check": "file_exists", "passed": True, "detail": ""}],
}  # fmt: skip
HEALTH: dict[str, Any] = {
    **{name: name for name in NAMES if name in DeploymentHealthState.model_fields}, "status": "healthy",
    "evaluated_windows": 1, "latest_window_end": MOMENT, "missing_window_count": 0, "detail": "all checks passed",
}  # fmt: skip
EVENT: dict[str, Any] = {
    "event_type": "dataset_build_completed", "event_time": MOMENT, "inputs": {},
    "outputs": {"dataset": {"name": "features", "version": "1"}}, "metadata": {"row_count": 1, "feature_count": 1},
}  # fmt: skip
BAD: list[tuple[type[Contract], dict[str, Any], dict[str, Any], str]] = [
    (DatasetMetadata, DATASET, {"built_at": "2026-03-02T04:05:06"}, "timezone"),
    (DatasetMetadata, DATASET, {"built_at": "0001-01-01T00:00:00+14:00"}, "lies outside the years 1 to 9999"),
    (DatasetMetadata, DATASET, {"built_at": "9999-12-31T23:59:59-14:00"}, "lies outside the years 1 to 9999"),
    (DatasetMetadata, DATASET, {"built_at": "1772424306"}, "ISO 8601"),
    (DatasetMetadata, DATASET, {"built_at": 1772424306}, "ISO 8601"),
    (DatasetMetadata, DATASET, {"row_count": -1}, "row_count"),
    (DatasetMetadata, DATASET, {"row_count": "1"}, "row_count"),
    (DatasetMetadata, DATASET, {"dataset_name": ""}, "dataset_name"),
    (DatasetMetadata, DATASET, {"dataset_version": " "}, "dataset_version"),
    (DatasetMetadata, DATASET, {"dataset_version": 1}, "dataset_version"),
    (TrainingMetadata, TRAINING, {"completed_at": "2026-03-02T04:05:05Z"}, "is before started_at"),
    (TrainingMetadata, TRAINING, {"metrics": {"rmse": -1, "mae": 1}}, "rmse"),
    (TrainingMetadata, TRAINING, {"metrics": {"rmse": 1}}, "mae"),
    (TrainingMetadata, TRAINING, {"metrics": {"rmse": float("nan"), "mae": 1}}, "finite"),
    (FreshnessResult, FRESHNESS, {"freshness_seconds": -1}, "freshness_seconds"),
    (FreshnessResult, FRESHNESS, {"status": "fresh"}, "status"),
    (CheckReport, REPORT, {"all_passed": False}, "not what the results say"),
    (CheckReport, REPORT, {"results": []}, "results"),
    (LineageEvent, EVENT, {"outputs": {"table": {"name": "features", "version": "1"}}}, "outputs"),
    (LineageEvent, EVENT, {"outputs": {"dataset": {"name": "features", "version": ""}}}, "version"),
    (LineageEvent, EVENT, {"metadata": {"a": [{"b": float("inf")}]}}, "not JSON compliant"),
    (LineageEvent, EVENT, {"event_time": "2026-03-02"}, "event_time"),
    (ServingMetricsWindow, WINDOW, {"schema_version": "v2"}, "schema_version"),
    (ServingMetricsWindow, WINDOW, {"window_end": WINDOW["window_start"]}, "is not after window_start"),
    (ServingMetricsWindow, WINDOW, {"window_start": "2026-03-02T04:04:00"}, "timezone"),
    (ServingMetricsWindow, WINDOW, {"request_count": -1}, "request_count"),
    (ServingMetricsWindow, WINDOW, {"request_count": 1.5}, "request_count"),
    (ServingMetricsWindow, WINDOW, {"request_count": True}, "request_count"),
    (ServingMetricsWindow, WINDOW, {"latency_p95_ms": float("nan")}, "finite"),
    (ServingMetricsWindow, WINDOW, {"latency_p95_ms": None}, "latency_p95_ms"),
    (ServingMetricsWindow, WINDOW, {"deployment_id": ""}, "deployment_id"),
    (DeploymentHealthState, HEALTH, {"status": "well"}, "status"),
    (DeploymentHealthState, HEALTH, {"missing_window_count": -1}, "missing_window_count"),
    (DeploymentHealthState, HEALTH, {"detail": ""}, "detail"),
]


@pytest.mark.parametrize(("contract", "whole", "change", "words"), BAD)
def test_bad_metadata_is_refused(
    contract: type[Contract], whole: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    """The file is valid without the change, and with it refused in words that name the fault."""
    contract.model_validate_json(json.dumps(whole))
    with pytest.raises(ValidationError, match=words):
        contract.model_validate_json(json.dumps({**whole, **change}))


def test_what_a_server_may_leave_out_is_optional() -> None:
    """A window without the figures that not every server has is as good."""
    optional = {name for name, field in ServingMetricsWindow.model_fields.items() if not field.is_required()}
    assert optional == {
        "feature_lookup_p95_ms", "model_exec_p95_ms", "missing_feature_count", "default_imputed_feature_count",
        "stale_feature_count", "feature_vector_build_failure_count",
    }  # fmt: skip
    bare = {name: value for name, value in WINDOW.items() if name not in optional}
    assert ServingMetricsWindow.model_validate_json(json.dumps(bare)).missing_feature_count is None


@pytest.mark.parametrize("contract", METADATA, ids=lambda contract: contract.__name__)
@given(text=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: json.dumps(text).encode()))
def test_garbage_is_refused_and_never_more(contract: type[Contract], text: bytes) -> None:
    """Whatever bytes stand in a file, they end in a validation error and in nothing else."""
    with pytest.raises(ValidationError):
        contract.model_validate_json(text)


ODD = JSON | st.sampled_from(
    ["", " ", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-02T04:05:06", "0", "NaN", "1e999"]
)


@pytest.mark.parametrize("contract", METADATA, ids=lambda contract: contract.__name__)
@given(data=st.data())
def test_a_record_with_odd_values_is_refused_or_is_right(contract: type[Contract], data: st.DataObject) -> None:
    """Of a valid record any fields may hold anything: it is a valid instance still, or a validation error."""
    record = json.loads(data.draw(METADATA[contract]).model_dump_json())
    changes = data.draw(st.dictionaries(st.sampled_from([*record, "further"]), ODD, min_size=1, max_size=3))
    try:
        found = contract.model_validate_json(json.dumps({**record, **changes}))
    except ValidationError:
        return
    assert contract.model_validate_json(found.model_dump_json()) == found
