"""What other systems are told of trainings: which ends and failures become events, and what these say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, select

from contracts import CreatedModel, LedgerRow, Outcome, TrainingCompleted, TrainingFailed, TrainingResults
from pipeline.keys import slug
from pipeline.places import presentable
from pipeline.registry.failures import advice_on
from pipeline.registry.manifests import COMBINATION
from pipeline.registry.outbox import write_event
from pipeline.registry.records import JobStatus
from pipeline.registry.repository import AnyRow, now
from pipeline.registry.tables import PerformanceMetric, TrainedModel, TrainingJob, TrainingLedger

FIGURES = ("accuracy", "mae", "rmse", "r2_score")
_DIGITS = re.compile(r"\d+")


def tell_end(connection: Connection, job_id: str, names: Mapping[str, str], kind: str) -> None:
    """Write the event of a job's end, in the transaction that ends it.

    Args:
        connection: the transaction; the job's row stands as it ended.
        job_id: the job.
        names: what people call the products, by id.
        kind: the kind of error of a job that did not complete.
    """
    job = connection.execute(select(*TrainingJob.__table__.columns).where(TrainingJob.id == job_id)).one()
    if job.status == JobStatus.COMPLETED:
        write_event(connection, _completed(job, _models(connection, job_id, names)))
    else:
        write_event(connection, _failed(job.tenant_id, job_id, kind, job.error or f"it ended as {job.status}"))


def tell_failure(connection: Connection, row: LedgerRow, name: str | None) -> None:
    """Write the event of a product that failed or has too few days, before its ledger row is written.

    A product that fails is told of each time that it was tried. One with too few days is told of once: as long as the
    ledger's last word on it says the same but for the numbers, nothing is written.
    """
    if row.outcome not in {Outcome.FAILED, Outcome.INSUFFICIENT} or _told_before(connection, row):
        return
    shown = (row.product_id, name or row.product_id)
    write_event(connection, _failed(row.tenant_id, row.job_id, row.error_type or "Exception", row.reason, shown))


def _told_before(connection: Connection, row: LedgerRow) -> bool:
    query = (
        select(TrainingLedger.job_id, TrainingLedger.outcome, TrainingLedger.reason)
        .where(TrainingLedger.tenant_id == row.tenant_id, TrainingLedger.product_key == slug(row.product_id))
        .order_by(TrainingLedger.id.desc())
        .limit(1)
    )
    last = connection.execute(query).one_or_none()
    if last is None or last.outcome != row.outcome:
        return False
    if row.outcome is Outcome.FAILED:
        return bool(last.job_id == row.job_id)
    return _DIGITS.sub("#", last.reason) == _DIGITS.sub("#", row.reason)


def _completed(job: AnyRow, models: tuple[CreatedModel, ...]) -> TrainingCompleted:
    known = [model.accuracy for model in models if model.accuracy is not None]
    results = TrainingResults(
        successful_trainings=job.trained,
        failed_trainings=job.failed + job.insufficient,
        total_products=job.trained + job.skipped + job.insufficient + job.failed,
        models_created=models,
        average_accuracy=fmean(known) if known else None,
        training_duration_seconds=(job.finished_at - job.started_at).total_seconds(),
    )
    return TrainingCompleted(
        event_id=uuid4().hex,
        tenant_id=job.tenant_id,
        job_id=job.id,
        job_name=job.name,
        results=results,
        started_at=job.started_at,
        completed_at=job.finished_at,
        timestamp=now(),
    )


def _failed(
    tenant_id: str, job_id: str, kind: str, message: str, product: tuple[str | None, str | None] = (None, None)
) -> TrainingFailed:
    advice = advice_on(kind)
    return TrainingFailed(
        event_id=uuid4().hex,
        tenant_id=tenant_id,
        job_id=job_id,
        product_id=product[0],
        product_name=product[1],
        error_type=kind,
        error_message=presentable(message),
        recommended_action=advice.action,
        severity=advice.severity,
        timestamp=now(),
    )


def _models(connection: Connection, job_id: str, names: Mapping[str, str]) -> tuple[CreatedModel, ...]:
    """The models of a job with their figures, in the order in which they were registered."""
    ours = TrainedModel.job_id == job_id
    made = connection.execute(
        select(TrainedModel.id, TrainedModel.product_id, TrainedModel.version).where(ours).order_by(TrainedModel.id)
    ).all()
    query = (
        select(PerformanceMetric.model_id, PerformanceMetric.metric, PerformanceMetric.value)
        .join(TrainedModel, TrainedModel.id == PerformanceMetric.model_id)
        .where(ours, PerformanceMetric.family == COMBINATION, PerformanceMetric.metric.in_(FIGURES))
    )
    figures: dict[int, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(FIGURES))
    for row in connection.execute(query):
        figures[row.model_id][row.metric] = row.value
    return tuple(
        CreatedModel(
            product_id=row.product_id,
            product_name=names.get(row.product_id) or row.product_id,
            model_version=row.version,
            **figures[row.id],
        )
        for row in made
    )
