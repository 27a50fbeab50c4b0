"""Artefacts of other systems, written as these write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

NO_FEATURES = ("station_id", "obs_ts", "feature_cutoff_ts", "label_window_end", "target_empty_next_hour")
STAMP = "20260302_040506"
METADATA: dict[str, Any] = {
    "run_id": "r7", "candidate_name": "boosted", "model_type": "lightgbm", "created_at": "2026-03-02T04:05:06Z",
}  # fmt: skip
DATASET: dict[str, Any] = {
    "dataset_name": "features", "dataset_version": "1", "path": "features.parquet",
    "built_at": "2026-03-02T04:05:06Z", "row_count": 3, "feature_count": 2, "target": "quantity",
    "entity": "product_id", "event_ts": "date", "schema_version": "1",
}  # fmt: skip


def parquet(path: Path, features: int = 2, **schema: str | None) -> Path:
    """A table of features as a station's system builds it; `schema` replaces or, None, takes out metadata."""
    names = [*NO_FEATURES, *(f"feature_{number}" for number in range(features))]
    texts = {"build_timestamp": STAMP, "row_count": "3", **schema}
    table = pa.table({name: [1, 2, 3] for name in names})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({k: v for k, v in texts.items() if v is not None}), path)
    return path


def bundle(folder: Path, metrics: Mapping[str, Any] | None = None, uri: str | None = None, **more: Any) -> Path:
    """A training's bundle; `more` replaces or, None, takes out what metadata.json says."""
    folder.mkdir(parents=True)
    said = {name: value for name, value in {**METADATA, **more}.items() if value is not None}
    (folder / "metadata.json").write_text(json.dumps(said))
    (folder / "metrics.json").write_text(json.dumps(metrics or {"test_rmse": 2.5, "test_mae": 1.5, "val_rmse": 9.0}))
    if uri is not None:
        (folder / "model_uri.txt").write_text(uri)
    return folder


def document(path: Path, values: Mapping[str, Any] = DATASET, **changes: Any) -> Path:
    """A metadata file; `changes` replace fields or, None, take them out."""
    kept = {name: value for name, value in {**values, **changes}.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept))
    return path
