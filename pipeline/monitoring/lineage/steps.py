"""The steps of our own that lineage tells of: built data sets, trainings, decisions, forecasts."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import pandas as pd
from pydantic import JsonValue

from contracts import DatasetMetadata, LineageEvent, ModelManifest, Role, Tenant, TrainingMetadata, Versioned
from pipeline.home import Home
from pipeline.keys import partition_key
from pipeline.places import redacted
from pipeline.registry.records import Decision, Promotion
from pipeline.sources.extract import sources_of

FILES = 500
"""Files of a tenant's sales that an event names, the latest first; with more it says how many there are."""


class EventType(StrEnum):
    """What happened."""

    DATASET_BUILD = "dataset_build_completed"
    TRAINING = "training_run_completed"
    PROMOTED = "model_promoted"
    ROLLED_BACK = "model_rolled_back"
    WITHDRAWN = "model_withdrawn"
    FORECAST = "forecast_completed"
    MARKED_STALE = "forecast_marked_stale"


_CHANGED = {
    Decision.PROMOTED: EventType.PROMOTED,
    Decision.ROLLED_BACK: EventType.ROLLED_BACK,
    Decision.WITHDRAWN: EventType.WITHDRAWN,
}


def version_of(metadata: DatasetMetadata) -> Versioned:
    """Return a data set as a part of a step."""
    return Versioned(name=metadata.dataset_name, version=metadata.dataset_version)


def dataset_built(metadata: DatasetMetadata, made_from: Versioned | None, **further: JsonValue) -> LineageEvent:
    """Return the event of a built data set; `further` goes into its metadata."""
    return LineageEvent(
        event_type=EventType.DATASET_BUILD,
        event_time=metadata.built_at,
        inputs={} if made_from is None else {Role.DATASET: made_from},
        outputs={Role.DATASET: version_of(metadata)},
        metadata={"row_count": metadata.row_count, "feature_count": metadata.feature_count, **further},
    )


def sales_built(home: Home, tenant: Tenant, metadata: DatasetMetadata) -> LineageEvent:
    """Return the event of a tenant's daily table: made from the files, or the answers, that gave its rows."""
    _, files = sources_of(home, tenant.id)
    contents = sorted((name, file.sha256) for name, file in files.items())
    latest = sorted(files.items(), key=lambda one: (one[1].last_date or dt.date.min, one[0]), reverse=True)
    named: list[JsonValue] = [
        {
            "name": redacted(name),
            "sha256": file.sha256,
            "bytes": file.size,
            "first_date": None if file.first_date is None else str(file.first_date),
            "last_date": None if file.last_date is None else str(file.last_date),
        }
        for name, file in latest[:FILES]
    ]
    version = hashlib.sha256(repr(contents).encode("utf-8", "backslashreplace")).hexdigest()
    source = Versioned(name=redacted(tenant.source.place), version=version)
    return dataset_built(metadata, source, files=named, file_count=len(files))


def model_trained(manifest: ModelManifest, made_from: Versioned | None, run_id: str, cause: str | None) -> LineageEvent:
    """Return the event of one trained model."""
    return LineageEvent(
        event_type=EventType.TRAINING,
        event_time=manifest.created_at,
        inputs={} if made_from is None else {Role.DATASET: made_from},
        outputs={Role.MODEL: _model(manifest.tenant_id, manifest.product_id, manifest.version)},
        metadata={
            "run_id": run_id,
            "duration_seconds": round(manifest.seconds, 3),
            "job_id": manifest.job_id,
            "origin": str(manifest.origin),
            "cause": cause,
        },
    )


def training_told(training: TrainingMetadata) -> LineageEvent:
    """Return the event of a training that a metadata file describes."""
    made_from = Versioned(name=training.input_dataset_name, version=training.input_dataset_version)
    return LineageEvent(
        event_type=EventType.TRAINING,
        event_time=training.completed_at,
        inputs={Role.DATASET: made_from},
        outputs={Role.MODEL: Versioned(name=training.model_name, version=training.model_version)},
        metadata={
            "run_id": training.run_id,
            "duration_seconds": (training.completed_at - training.started_at).total_seconds(),
            **training.metrics.model_dump(),
            "artifact_path": redacted(training.artifact_path),
        },
    )


def champion_changed(decisions: Iterable[Promotion]) -> list[LineageEvent]:
    """Return an event for each decision that changed which model is in use; a refusal changes nothing.

    Nor does putting the model in use that is in use.
    """
    return [
        LineageEvent(
            event_type=_CHANGED[one.decision],
            event_time=one.decided_at,
            inputs={Role.MODEL: _model(one.tenant_id, one.product_id, one.to_version)},
            outputs={},
            metadata={"from_version": one.from_version, "reason": one.reason, "actor": one.actor},
        )
        for one in decisions
        if one.decision in _CHANGED and (one.decision is Decision.WITHDRAWN or one.from_version != one.to_version)
    ]


def forecast_made(
    metadata: DatasetMetadata, sales: Versioned | None, frame: pd.DataFrame, origin: dt.date
) -> LineageEvent:
    """Return the event of a tenant's forecast: from its sales, and of each product the model, where one made it."""
    first = frame.drop_duplicates("product_id").set_index("product_id")["model_version"].dropna()
    models: Mapping[str, Any] = {str(product): str(version) for product, version in first.items()}
    return LineageEvent(
        event_type=EventType.FORECAST,
        event_time=metadata.built_at,
        inputs={} if sales is None else {Role.DATASET: sales},
        outputs={Role.DATASET: version_of(metadata)},
        metadata={"origin": str(origin), "row_count": metadata.row_count, "models": dict(models)},
    )


def marked_stale(before: DatasetMetadata, after: DatasetMetadata) -> LineageEvent:
    """Return the event of a forecast that was marked as stale, which makes another version of it."""
    return LineageEvent(
        event_type=EventType.MARKED_STALE,
        event_time=after.built_at,
        inputs={Role.DATASET: version_of(before)},
        outputs={Role.DATASET: version_of(after)},
        metadata={"row_count": after.row_count},
    )


def _model(tenant_id: str, product_id: str, version: str) -> Versioned:
    return Versioned(name=partition_key(tenant_id, product_id), version=version)
