"""Real forecasts, made as a model server would make them, and the window of figures that it would report."""

from __future__ import annotations

import datetime as dt
import math
import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from contracts import ForecastRequest, ModelType, Role, Rung, ServingMetricsWindow
from pipeline import __version__
from pipeline.appending import append_lines
from pipeline.errors import DataError, PipelineError, StorageError
from pipeline.forecasting.asked import forecast_asked
from pipeline.installation import Installation
from pipeline.keys import partition_key, slug
from pipeline.monitoring.lineage.log import Ref
from pipeline.monitoring.lineage.walk import back
from pipeline.registry.records import ModelRecord

SERVICE, ENDPOINT = "pipeline", "forecast"
PERCENTILES = (50, 95, 99)
COUNTS = [name for name in ServingMetricsWindow.model_fields if name.endswith("_count")]


@dataclass
class Served:
    """What became of some requests; latencies in milliseconds."""

    begun: dt.datetime
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    null: int = 0
    non_finite: int = 0
    out_of_range: int = 0
    fallback: int = 0
    faults: list[str] = field(default_factory=list)


def predict(opened: Installation, request: ForecastRequest, count: int) -> Served:
    """Make the same forecast of one product some times; one that fails is counted, and the next is made.

    One before them is not counted: a server has loaded its libraries and its model before it is sent requests.
    """
    with suppress(PipelineError):  # What is wrong is told of those that are counted.
        forecast_asked(opened, request)
    served = Served(dt.datetime.now(dt.UTC))
    for _ in range(count):
        begun = time.perf_counter()
        try:
            _look(served, forecast_asked(opened, request))
        except PipelineError as error:
            served.failures += 1
            served.faults.append(f"{type(error).__name__}: {error}")
        served.latencies.append(1000 * (time.perf_counter() - begun))
    return served


def window_of(opened: Installation, request: ForecastRequest, served: Served, deployment: str) -> ServingMetricsWindow:
    """Return the window that a server would report of what it served since it began.

    Raises:
        DataError: the product has no model in use.
        RegistryError: the registry cannot be read.
    """
    product, now = request.products[0], dt.datetime.now(dt.UTC)
    champion = opened.registry.champions(request.tenant, ModelType.FORECAST).get(product)
    if champion is None:
        raise DataError(f"product {product!r} of tenant {request.tenant!r} has no model in use: train it first")
    made_from = _made_from(opened, champion)
    succeeded = len(served.latencies) - served.failures
    counted = dict.fromkeys(COUNTS, 0) | {
        "request_count": len(served.latencies),
        "success_count": succeeded,
        "failure_count": served.failures,
        "internal_error_count": served.failures,
        "prediction_count": succeeded,
        "prediction_null_count": served.null,
        "prediction_non_finite_count": served.non_finite,
        "prediction_out_of_range_count": served.out_of_range,
        "fallback_prediction_count": served.fallback,
    }
    latencies = {f"latency_p{p}_ms": float(np.percentile(served.latencies, p)) for p in PERCENTILES}
    names = {
        "service_name": SERVICE,
        "service_version": __version__,
        "environment": "simulation",
        "deployment_id": deployment,
        "endpoint_name": ENDPOINT,
        "model_name": partition_key(request.tenant, product),
        "model_version": champion.version,
        "bundle_id": champion.manifest_sha256,
        "input_dataset_name": made_from.name,
        "input_dataset_version": made_from.version,
    }
    moments = {
        "window_start": served.begun,
        "window_end": max(now, served.begun + dt.timedelta(milliseconds=1)),
        "heartbeat_emitted_at": now,
    }
    return ServingMetricsWindow.model_validate({"schema_version": "v1", **names, **moments, **counted, **latencies})


def _made_from(opened: Installation, champion: ModelRecord) -> Ref:
    """The data set that a model was trained on, as its lineage tells; by its fingerprint where that tells nothing."""
    model = Ref(partition_key(champion.tenant_id, champion.product_id), champion.version)
    step = back(opened.home.lineage, [model]).made.get(model)
    told = None if step is None else step.inputs.get(Role.DATASET)
    return told or Ref(f"{champion.tenant_id}/sales", champion.data_fingerprint)


def write_window(folder: Path, window: ServingMetricsWindow) -> Path:
    """Add a window where a server would: a folder a day and hour (UTC), a file a host and deployment.

    Raises:
        StorageError: it cannot be written.
    """
    at = window.window_end
    name = f"{slug(f'{platform.node()}-{window.deployment_id}')}.jsonl"
    path = folder / f"{at:%Y-%m-%d}" / f"{at:%H}" / name
    try:
        append_lines(path, f"{window.model_dump_json()}\n".encode())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _look(served: Served, frame: pd.DataFrame) -> None:
    """Count what is odd of one forecast."""
    values: Iterable[float] = frame["y_hat"].to_numpy(float)
    served.null += bool(frame["y_hat"].isna().any())
    served.non_finite += any(math.isinf(value) for value in values)
    served.out_of_range += any(value < 0 for value in values)
    served.fallback += bool((frame["rung"] != Rung.CHAMPION.value).any())
