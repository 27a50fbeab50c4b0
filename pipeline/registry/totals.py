"""Totals that only ever grow, whatever becomes of the rows that they counted, so that rates can be taken of them."""

from __future__ import annotations

import math

from sqlalchemy import Connection, select

from contracts import ModelManifest
from pipeline.registry.measures import (
    ACCURACY,
    BUILD_SECONDS,
    CHECKSUMS,
    JOB_SECONDS,
    JOBS,
    LOCK_SECONDS,
    LONGEST_LABEL,
    MAE,
    MODELS,
    MOST_CATEGORIES,
    NONE,
    OTHER,
    PREDICTIONS,
    Amounts,
    Key,
    counted,
    observed,
)
from pipeline.registry.records import JobStatus
from pipeline.registry.repository import Repository, columns_of, insert_into
from pipeline.registry.tables import MetricTotal, TrainingJob

_KEY = ("name", "tenant_id", "label", "bucket")
_COLUMNS = columns_of(MetricTotal, (*_KEY, "value"))


class Totals(Repository):
    """The table `metric_totals`."""

    def totals(self, name: str | None = None) -> dict[Key, float]:
        """Return the totals of one measure, or all."""
        query = select(*_COLUMNS) if name is None else select(*_COLUMNS).where(MetricTotal.name == name)
        with self._reading() as connection:
            rows = connection.execute(query).all()  # At once: a thousand tenants have tens of thousands.
        return {Key(row[0], row[1], row[2], row[3]): row[4] for row in rows}

    def count_predictions(self, forecasts: int) -> None:
        """Count forecasts of products that were made, each through its horizon."""
        self._add(counted(PREDICTIONS, by=forecasts))

    def count_build(self, seconds: float) -> None:
        """Count a training table that was built, and what it took."""
        self._add(observed(BUILD_SECONDS, seconds))

    def count_lock_wait(self, seconds: float) -> None:
        """Count a training that waited for another one of its tenant, and how long."""
        self._add(observed(LOCK_SECONDS, seconds))

    def count_broken(self, kind: str) -> None:
        """Count an `artefact` or a `manifest` that was found not to be what it was when it was stored."""
        self._add(counted(CHECKSUMS, label=kind))

    def _add(self, amounts: Amounts) -> None:
        with self._writing() as connection:
            add_totals(connection, amounts)


def add_totals(connection: Connection, amounts: Amounts) -> None:
    """Add to totals within a transaction, as the last thing that it does.

    In one statement and in one order, so that transactions that add to the same ones wait for each other in a line.
    """
    rows = [
        {"name": key.name, "tenant_id": key.tenant_id, "label": key.label, "bucket": key.bucket, "value": value}
        for key, value in sorted(amounts.items())
    ]
    if rows:
        added = insert_into(connection, MetricTotal).values(rows)
        total = MetricTotal.value + added.excluded.value
        connection.execute(added.on_conflict_do_update(index_elements=list(_KEY), set_={"value": total}))


def count_end(connection: Connection, job_id: str) -> None:
    """Count a job that ends in this transaction; of one that completed, how long it took, too."""
    columns = (TrainingJob.tenant_id, TrainingJob.status, TrainingJob.started_at, TrainingJob.finished_at)
    job = connection.execute(select(*columns).where(TrainingJob.id == job_id)).one()
    amounts = counted(JOBS, job.tenant_id, job.status)
    if job.status == JobStatus.COMPLETED:
        seconds = (job.finished_at - job.started_at).total_seconds()
        amounts = {**amounts, **observed(JOB_SECONDS, seconds, job.tenant_id)}
    add_totals(connection, amounts)


def count_model(connection: Connection, manifest: ModelManifest, category: str | None) -> None:
    """Count a model that is registered in this transaction, and its errors on past days where it was scored."""
    tenant_id = manifest.tenant_id
    label = _known(connection, tenant_id, ((category or "").strip() or NONE)[:LONGEST_LABEL])
    amounts = dict(counted(MODELS, tenant_id, label))
    for name, value in ((ACCURACY, manifest.metrics.accuracy), (MAE, manifest.metrics.mae)):
        if value is not None and math.isfinite(value):  # One that is not would spoil the sum for ever.
            amounts |= observed(name, value, tenant_id)
    add_totals(connection, amounts)


def _known(connection: Connection, tenant_id: str, category: str) -> str:
    """The category, or `other` where the tenant has as many as are told apart without it."""
    query = select(MetricTotal.label).where(MetricTotal.name == MODELS, MetricTotal.tenant_id == tenant_id)
    known = set(connection.scalars(query))
    told_apart = known | {NONE}
    return category if category in told_apart or len(known - {NONE, OTHER}) < MOST_CATEGORIES else OTHER
