"""Valid instances of the metadata contracts, and the plain forms that files hold."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import strategies as st

import contracts
from contracts import Contract, HealthStatus, Role, ServingMetricsWindow

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = TEXT.filter(lambda text: bool(text.strip()))
COUNT = st.integers(0, 10**6)
AMOUNT = st.floats(0, 1e9)
MOMENT = st.datetimes(
    dt.datetime(2000, 1, 1),
    dt.datetime(2100, 1, 1),
    timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=9))]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
CHECK = st.builds(contracts.CheckResult, check=NAME, passed=st.booleans(), detail=TEXT)
VERSIONED = st.dictionaries(st.sampled_from(Role), st.builds(contracts.Versioned, name=NAME, version=NAME), max_size=2)


@st.composite
def trainings(draw: st.DrawFn) -> contracts.TrainingMetadata:
    """Trainings that end after they begin."""
    started, seconds = draw(MOMENT), draw(st.integers(0, 10**6))
    return contracts.TrainingMetadata(
        run_id=draw(NAME), model_name=draw(NAME), model_version=draw(NAME), input_dataset_name=draw(NAME),
        input_dataset_version=draw(NAME), started_at=started, completed_at=started + dt.timedelta(seconds=seconds),
        metrics=contracts.TrainingErrors(rmse=draw(AMOUNT), mae=draw(AMOUNT)), artifact_path=draw(NAME),
    )  # fmt: skip


@st.composite
def windows(draw: st.DrawFn) -> ServingMetricsWindow:
    """Windows that end after they begin."""
    start, seconds = draw(MOMENT), draw(st.integers(1, 3600))
    end = start + dt.timedelta(seconds=seconds)
    fields: dict[str, Any] = {
        name: draw(COUNT if name.endswith("_count") else AMOUNT if name.endswith("_ms") else NAME)
        for name in ServingMetricsWindow.model_fields
    }
    moments = {"window_start": start, "window_end": end, "heartbeat_emitted_at": end}
    return ServingMetricsWindow.model_validate({**fields, **moments, "schema_version": "v1"})


PRODUCT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
VERSION = st.integers(0, 235959).map(lambda second: f"20240101_{second:06d}")
SHARE = st.floats(0, 1)
DAY = st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1))
FINDING = st.builds(
    contracts.Finding, product_id=PRODUCT, version=VERSION, cause=st.sampled_from(contracts.Cause), reason=TEXT
)

METADATA: dict[type[Contract], st.SearchStrategy[Contract]] = {
    contracts.AccuracyRow: st.builds(
        contracts.AccuracyRow, tenant_id=st.just("sol"), product_id=st.none() | PRODUCT, horizon=NAME, model_age=NAME,
        n=COUNT, wape=st.none() | AMOUNT, mase=st.none() | AMOUNT, bias=st.none() | AMOUNT, coverage=st.none() | SHARE,
        mape=st.none() | AMOUNT, grade=st.none() | st.sampled_from(contracts.Grade), naive_wape=st.none() | AMOUNT,
        promised_wape=st.none() | AMOUNT, version=st.none() | VERSION, new_days=COUNT, new_wape=st.none() | AMOUNT,
        p=st.none() | SHARE, verdict=st.none() | st.sampled_from(contracts.AccuracyVerdict), reason=TEXT,
    ),
    contracts.DriftRow: st.builds(
        contracts.DriftRow, tenant_id=st.just("sol"), product_id=PRODUCT, kind=st.sampled_from(contracts.DriftKind),
        version=VERSION, origin=DAY, days=COUNT, sold=st.none() | AMOUNT, expected=st.none() | AMOUNT,
        change=st.none() | st.floats(-1, 1e6), shared=st.floats(-1, 1e6), p=st.none() | SHARE,
        drifting=st.booleans(), reason=TEXT,
    ),
    contracts.Findings: st.builds(
        contracts.Findings, tenant_id=st.just("sol"), origin=DAY, found=st.lists(FINDING, max_size=2).map(tuple)
    ),
    contracts.DatasetMetadata: st.builds(
        contracts.DatasetMetadata, dataset_name=NAME, dataset_version=NAME, path=NAME, built_at=MOMENT,
        row_count=COUNT, feature_count=COUNT, target=NAME, entity=NAME, event_ts=NAME,
    ),
    contracts.TrainingMetadata: trainings(),
    contracts.FreshnessResult: st.builds(
        contracts.FreshnessResult, dataset_name=NAME, dataset_version=NAME, freshness_seconds=AMOUNT,
        status=st.sampled_from(contracts.Freshness),
    ),
    contracts.CheckReport: st.lists(CHECK, min_size=1, max_size=4).flatmap(
        lambda found: st.builds(
            contracts.CheckReport, metadata_path=NAME, results=st.just(tuple(found)),
            all_passed=st.just(all(one.passed for one in found)),
        )
    ),
    contracts.LineageEvent: st.builds(
        contracts.LineageEvent, event_type=NAME, event_time=MOMENT, inputs=VERSIONED, outputs=VERSIONED,
        metadata=st.dictionaries(TEXT, JSON, max_size=3),
    ),
    ServingMetricsWindow: windows(),
    contracts.DeploymentHealthState: st.builds(
        contracts.DeploymentHealthState, deployment_id=NAME, model_name=NAME, model_version=NAME, bundle_id=NAME,
        input_dataset_name=NAME, input_dataset_version=NAME, status=st.sampled_from(HealthStatus),
        evaluated_windows=COUNT, latest_window_end=MOMENT, missing_window_count=COUNT, detail=NAME,
    ),
}  # fmt: skip
