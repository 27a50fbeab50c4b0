"""A manifest in the database: its rows when it is written, its checks when it is read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from contracts import Metrics, ModelManifest
from pipeline.errors import IntegrityError
from pipeline.keys import slug
from pipeline.registry.layout import file_type, location

COMBINATION = "combination"
NAIVE = "naive"


def model_row(manifest: ModelManifest, key: bytes | None) -> dict[str, Any]:
    """Return the values of a manifest's row in `trained_models`, signed where there is a key."""
    text = manifest.model_dump_json()
    return {
        "tenant_id": manifest.tenant_id,
        "product_id": manifest.product_id,
        "product_key": slug(manifest.product_id),
        "version": manifest.version,
        "type": manifest.model_type,
        "algorithm": "+".join(member.family for member in manifest.members),
        "origin": manifest.origin,
        "terms": manifest.terms,
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
        "signature": sign(text, key) if key else None,
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
        | {"type": file_type(file.name), "location": location(file.sha256)}
        for member in manifest.members
        for file in member.files
    ]


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as its row holds it, and of which model the row is."""

    tenant_id: str
    product_id: str
    version: str
    text: str
    sha256: str
    signature: str | None

    def __str__(self) -> str:
        """Name it in a message."""
        return f"the manifest of {self.tenant_id}/{self.product_id} {self.version}"


def sign(text: str, key: bytes) -> str:
    """Return the HMAC-SHA256 of a manifest's text (RFC 2104), in hexadecimal digits."""
    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).hexdigest()


def read_manifest(stored: StoredManifest, key: bytes | None) -> ModelManifest:
    """Return the manifest that a row holds.

    Args:
        stored: the row.
        key: with one, only what was signed with it is read.

    Raises:
        IntegrityError: the text is not what was registered, was not signed with the key, or is of another model.
    """
    if _digest(stored.text) != stored.sha256:
        found = _digest(stored.text)
        raise IntegrityError(f"{stored} was changed after it was registered: expected {stored.sha256}, found {found}")
    if key is not None and stored.signature is None:
        raise IntegrityError(f"{stored} is not signed, and MODEL_SIGNING_KEY is set: train again, or `models sign`")
    if key is not None and not hmac.compare_digest(sign(stored.text, key), stored.signature or ""):
        raise IntegrityError(f"{stored} was not signed with this MODEL_SIGNING_KEY, or was changed since")
    try:
        manifest = ModelManifest.model_validate_json(stored.text)
    except ValidationError as error:
        raise IntegrityError(f"{stored} is no manifest that this code can read: {error}") from error
    names = (manifest.tenant_id, manifest.product_id, manifest.version)
    if names != (stored.tenant_id, stored.product_id, stored.version):
        raise IntegrityError(f"{stored} is that of {names[0]}/{names[1]} {names[2]}: its row was changed")
    return manifest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _figures(metrics: Metrics) -> Iterator[tuple[str, float]]:
    for name, value in metrics.model_dump().items():
        if value is not None:
            yield name, float(value)
