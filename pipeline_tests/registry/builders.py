"""Valid rows and manifests, made short."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from contracts import ArtefactRef, Cause, DemandClass, LedgerRow, Member, Metrics, ModelManifest, Outcome, PlanRow
from pipeline.registry import ModelRecord, Registry

MOMENT = dt.datetime(2026, 3, 2, 4, 5, 6, tzinfo=dt.UTC)
VERSION = "20260302_040506"
FINGERPRINT = hashlib.sha256(b"data").hexdigest()


def ref(content: bytes = b"model", name: str = "model.json") -> ArtefactRef:
    """Reference to some content."""
    return ArtefactRef(name=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def member(family: str, weight: float = 0.5) -> Member:
    """A family's part, with one file."""
    return Member(
        family=family,
        weight=weight,
        scope="product",
        parameters={"prior": 0.1},
        files=(ref(family.encode()),),
        metrics=Metrics(n=56, mae=2.5, wape=0.2),
    )


def manifest(job_id: str, tenant_id: str = "bakery", product_id: str = "baguette", **changes: object) -> ModelManifest:
    """A product's manifest; `changes` replace fields."""
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "product_id": product_id,
        "version": VERSION,
        "created_at": MOMENT,
        "job_id": job_id,
        "origin": dt.date(2026, 3, 1),
        "horizon": 14,
        "demand_class": DemandClass.HIGH,
        "data_days": 700,
        "data_fingerprint": FINGERPRINT,
        "config_fingerprint": FINGERPRINT,
        "members": (member("linear"), member("lightgbm")),
        "scale": 3.0,
        "metrics": Metrics(n=56, mae=2.0, wape=0.18, coverage=0.91),
        "naive_metrics": Metrics(n=56, mae=3.0, wape=0.25),
        "evaluation": "nested",
        "libraries": {"numpy": "2"},
        "code_version": "0.1.0",
        "seed": 1,
        "seconds": 0.4,
    }
    values.update(changes)
    return ModelManifest(**values)


def plan_row(product_id: str, tenant_id: str = "bakery", **changes: object) -> PlanRow:
    """A product's place in a plan."""
    values: dict[str, Any] = {
        "due": True,
        "cause": Cause.NEVER_TRAINED,
        "reason": "no model yet",
        "importance": 2.5,
        "data_days": 400,
        "data_fingerprint": FINGERPRINT,
    }
    values.update(changes)
    return PlanRow(tenant_id=tenant_id, product_id=product_id, **values)


def ledger_row(job_id: str, product_id: str, tenant_id: str = "bakery", **changes: object) -> LedgerRow:
    """What became of a product."""
    values: dict[str, Any] = {
        "outcome": Outcome.TRAINED,
        "cause": Cause.SCHEDULE,
        "reason": "weekly",
        "data_days": 400,
        "data_fingerprint": FINGERPRINT,
        "origin": dt.date(2026, 3, 1),
        "version": VERSION,
        "seconds": 0.5,
    }
    values.update(changes)
    return LedgerRow(tenant_id=tenant_id, product_id=product_id, job_id=job_id, **values)


def start(registry: Registry, tenant_id: str = "bakery") -> str:
    """Start a job."""
    return registry.start_job(tenant_id, name="weekly", cause="schedule", requested_by="tests")


def register(
    registry: Registry, job_id: str, tenant_id: str = "bakery", product_id: str = "baguette", **changes: object
) -> str:
    """Register a model and return its version."""
    return registry.register(manifest(job_id, tenant_id, product_id, **changes)).version


def versions(records: list[ModelRecord]) -> list[str]:
    """The records' versions."""
    return [record.version for record in records]
