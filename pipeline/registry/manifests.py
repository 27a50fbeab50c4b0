"""A manifest in the database: its rows when it is written, its checks when it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from contracts import Metrics, ModelManifest
from pipeline.errors import IntegrityError
from pipeline.keys import slug

COMBINATION = "combination"
NAIVE = "naive"


def model_row(manifest: ModelManifest) -> dict[str, Any]:
    """Return the values of a manifest's row in `trained_models`."""
    text = manifest.model_dump_json()
    return {
        "tenant_id": manifest.tenant_id,
        "product_id": manifest.product_id,
        "product_key": slug(manifest.product_id),
        "version": manifest.version,
        "type": manifest.model_type,
        "algorithm": "+".join(member.family for member in manifest.members),
        "origin": manifest.origin,
        "demand_class": manifest.demand_class,
        "data_fingerprint": manifest.data_fingerprint,
        "config_fingerprint": manifest.config_fingerprint,
        "code_version": manifest.code_version,
        "data_points": manifest.data_days,
        "seconds": manifest.seconds,
        "job_id": manifest.job_id,
        "created_at": manifest.created_at,
        "deployed": False,
        "manifest": text,
        "manifest_sha256": _digest(text),
    }


def metric_rows(manifest: ModelManifest, model_id: int) -> list[dict[str, Any]]:
    """Return a row for each defined figure: of every family, the combination, and the naive."""
    sources = [*((member.family, member.metrics) for member in manifest.members)]
    sources += [(COMBINATION, manifest.metrics), (NAIVE, manifest.naive_metrics)]
    return [
        {"model_id": model_id, "family": family, "metric": name, "value": value}
        for family, metrics in sources
        for name, value in _figures(metrics)
    ]


def artefact_rows(manifest: ModelManifest, model_id: int) -> list[dict[str, Any]]:
    """Return a row for each file of each family."""
    return [
        {"model_id": model_id, "family": member.family, **file.model_dump()}
        for member in manifest.members
        for file in member.files
    ]


def read_manifest(tenant_id: str, product_id: str, version: str, text: str, sha256: str) -> ModelManifest:
    """Return the manifest that `text` holds.

    Raises:
        IntegrityError: the text is not what was registered, or is of another model than its row.
    """
    where = f"the manifest of {tenant_id}/{product_id} {version}"
    if _digest(text) != sha256:
        raise IntegrityError(f"{where} was changed after it was registered: expected {sha256}, found {_digest(text)}")
    try:
        manifest = ModelManifest.model_validate_json(text)
    except ValidationError as error:
        raise IntegrityError(f"{where} is no manifest that this code can read: {error}") from error
    found = (manifest.tenant_id, manifest.product_id, manifest.version)
    if found != (tenant_id, product_id, version):
        raise IntegrityError(f"{where} is that of {found[0]}/{found[1]} {found[2]}: its row was changed")
    return manifest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _figures(metrics: Metrics) -> Iterator[tuple[str, float]]:
    for name, value in metrics.model_dump().items():
        if value is not None:
            yield name, float(value)
