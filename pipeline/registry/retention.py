"""Which rows have had their time: models beyond what is kept, ended jobs, old logs, fits that nobody uses again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import delete, func, or_, select

from pipeline.keys import slug
from pipeline.registry.audit import write_audit
from pipeline.registry.records import Action, JobStatus
from pipeline.registry.repository import AnyRow, Repository
from pipeline.registry.tables import (
    Alert,
    Artefact,
    InboxMessage,
    OutboxEvent,
    PerformanceMetric,
    TenantModel,
    TrainedModel,
    TrainingJob,
    TrainingLedger,
    TrainingLog,
    TrainingMetric,
    TrainingPlan,
)

COMPLETED_JOB_DAYS = 90
OTHER_JOB_DAYS = 30
LOG_DAYS = 7
_DONE = (
    (OutboxEvent, OutboxEvent.published_at),
    (OutboxEvent, OutboxEvent.dropped_at),
    (InboxMessage, InboxMessage.handled_at),
    (Alert, Alert.ended_at),
)
AT_ONCE = 500
"""Ids in one statement: databases limit how many values one may have."""


@dataclass(frozen=True)
class Rules:
    """What is kept of each product, and for how long: versions beside the newest, the champion and its predecessor."""

    versions: int
    days: int
    predecessor: bool = True


@dataclass(frozen=True)
class ExpiredModel:
    """A registered model whose time is over, and why."""

    id: int
    tenant_id: str
    product_id: str
    version: str
    reason: str


class Retention(Repository):
    """Finds and deletes what need not be kept; what is in use is never among it."""

    def expired_models(self, tenant_id: str, rules: Rules, at: datetime) -> list[ExpiredModel]:
        """Return a tenant's models that need not be kept.

        Never the champion, the model that it replaced (where the rules keep that), or a product's newest.
        """
        columns = (
            TrainedModel.id,
            TrainedModel.product_id,
            TrainedModel.product_key,
            TrainedModel.type,
            TrainedModel.version,
            TrainedModel.created_at,
            TrainedModel.deployed,
            TrainedModel.previous_version,
        )
        query = (
            select(*columns)
            .where(TrainedModel.tenant_id == tenant_id)
            .order_by(TrainedModel.product_key, TrainedModel.type, TrainedModel.version.desc())
        )
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return [
            ExpiredModel(row.id, tenant_id, row.product_id, row.version, reason)
            for _, versions in groupby(rows, key=lambda row: (row.product_key, row.type))
            for row, reason in _expired(list(versions), rules, at)
        ]

    def delete_models(self, expired: Iterable[ExpiredModel], rules: Rules, actor: str) -> int:
        """Delete models with all that hangs on them, product by product, and audit it; return how many.

        What the rules protect by now stays: a model that was put in use meanwhile, or whose place was taken.
        """
        deleted = 0
        by_product = groupby(
            sorted(expired, key=lambda one: (one.tenant_id, one.product_id)),
            key=lambda one: (one.tenant_id, one.product_id),
        )
        for (tenant_id, product_id), models in by_product:
            deleted += self._delete_of_product(tenant_id, product_id, list(models), rules, actor)
        return deleted

    def expired_jobs(self, at: datetime) -> list[str]:
        """Return the ids of ended jobs that are old enough, and of which no model is left."""
        completed = TrainingJob.status == JobStatus.COMPLETED
        ended = TrainingJob.status.in_([status for status in JobStatus if status.final])
        old = or_(
            completed & (TrainingJob.finished_at < at - timedelta(days=COMPLETED_JOB_DAYS)),
            ~completed & (TrainingJob.finished_at < at - timedelta(days=OTHER_JOB_DAYS)),
        )
        left = select(TrainedModel.id).where(TrainedModel.job_id == TrainingJob.id)
        with self._reading() as connection:
            return list(connection.scalars(select(TrainingJob.id).where(ended, old, ~left.exists())))

    def delete_jobs(self, job_ids: Collection[str]) -> int:
        """Delete jobs with their plans, ledgers and logs; a job that a model was registered for meanwhile stays."""
        deleted = 0
        for some in _portions(job_ids):
            with self._writing() as connection:
                used = set(connection.scalars(select(TrainedModel.job_id).where(TrainedModel.job_id.in_(some))))
                free = [job_id for job_id in some if job_id not in used]
                for table in (TrainingPlan, TrainingLedger, TrainingLog, TrainingMetric):
                    connection.execute(delete(table).where(table.job_id.in_(free)))
                connection.execute(delete(TrainingJob).where(TrainingJob.id.in_(free)))
                deleted += len(free)
        return deleted

    def old_logs(self, at: datetime) -> int:
        """Return how many lines of logs are older than they are kept."""
        query = select(func.count()).select_from(TrainingLog).where(TrainingLog.at < at - timedelta(days=LOG_DAYS))
        with self._reading() as connection:
            return connection.scalar(query) or 0

    def delete_logs(self, at: datetime) -> int:
        """Delete the lines of logs that are older than they are kept; return how many."""
        with self._writing() as connection:
            return connection.execute(
                delete(TrainingLog).where(TrainingLog.at < at - timedelta(days=LOG_DAYS))
            ).rowcount

    def old_events(self, before: datetime) -> int:
        """Return how many events were sent or dropped, and messages handled, before a moment."""
        with self._reading() as connection:
            return sum(
                connection.scalar(select(func.count()).select_from(table).where(done < before)) or 0
                for table, done in _DONE
            )

    def delete_events(self, before: datetime) -> int:
        """Delete events sent or dropped, messages handled and alerts ended before a moment; return how many."""
        with self._writing() as connection:
            return sum(connection.execute(delete(table).where(done < before)).rowcount for table, done in _DONE)

    def expired_fits(self, at: datetime, days: int) -> list[int]:
        """Return the ids of shared fits and searches that are older than this, but the newest of each family."""
        newest = select(func.max(TenantModel.id)).group_by(TenantModel.tenant_id, TenantModel.family)
        query = select(TenantModel.id).where(
            TenantModel.created_at < at - timedelta(days=days), TenantModel.id.not_in(newest)
        )
        with self._reading() as connection:
            return list(connection.scalars(query))

    def delete_fits(self, ids: Collection[int]) -> int:
        """Delete shared fits; return how many."""
        for some in _portions(ids):
            with self._writing() as connection:
                connection.execute(delete(TenantModel).where(TenantModel.id.in_(some)))
        return len(ids)

    def references(
        self, without_models: Collection[int] = (), without_fits: Collection[int] = ()
    ) -> tuple[dict[str, int], int]:
        """Return the size of every object that something refers to by SHA-256, and the bytes of all references.

        The second figure counts an object as often as it is referred to: what would be stored were nothing shared.
        """
        gone_models, gone_fits = set(without_models), set(without_fits)
        found: dict[str, int] = {}
        total = 0
        with self._reading() as connection:
            for row in connection.execute(select(Artefact.model_id, Artefact.sha256, Artefact.bytes)):
                if row.model_id not in gone_models:
                    found[row.sha256] = row.bytes
                    total += row.bytes
            for fit in connection.execute(select(TenantModel.id, TenantModel.files)):
                if fit.id not in gone_fits:
                    found |= {file["sha256"]: file["bytes"] for file in fit.files}
                    total += sum(file["bytes"] for file in fit.files)
        return found, total

    def _delete_of_product(
        self, tenant_id: str, product_id: str, models: list[ExpiredModel], rules: Rules, actor: str
    ) -> int:
        versions = {model.id: model for model in models}
        columns = (
            TrainedModel.id,
            TrainedModel.type,
            TrainedModel.version,
            TrainedModel.deployed,
            TrainedModel.previous_version,
        )
        # All of the product's models are locked, in the order in which promotions lock them.
        query = select(*columns).where(
            TrainedModel.tenant_id == tenant_id, TrainedModel.product_key == slug(product_id)
        )
        with self._writing() as connection:
            rows = connection.execute(query.order_by(TrainedModel.id).with_for_update()).all()
            kept: set[tuple[str, str]] = set()
            for kind in {row.type for row in rows}:
                newest_first = sorted((row for row in rows if row.type == kind), key=lambda row: row.version)[::-1]
                kept |= {(kind, version) for version in _protected(newest_first, rules)}
            free = [row.id for row in rows if row.id in versions and (row.type, row.version) not in kept]
            for table in (PerformanceMetric, Artefact):
                connection.execute(delete(table).where(table.model_id.in_(free)))
            connection.execute(delete(TrainedModel).where(TrainedModel.id.in_(free)))
            if free:
                details = {versions[one].version: versions[one].reason for one in free}
                subject = f"{product_id}: {len(free)} versions"
                write_audit(connection, tenant_id, Action.DELETE, subject, actor, "retention", details)
        return len(free)


def _protected(versions: Sequence[AnyRow], rules: Rules) -> set[str]:
    """The versions, the newest first, that are never deleted: newest, champion, and what that replaced."""
    champion = next((row for row in versions if row.deployed), None)
    kept = {versions[0].version}
    if champion is not None:
        kept.add(champion.version)
        if rules.predecessor and champion.previous_version:
            kept.add(champion.previous_version)
    return kept


def _expired(versions: list[AnyRow], rules: Rules, at: datetime) -> Iterable[tuple[AnyRow, str]]:
    """Yield the versions of a product, the newest first, that need not be kept."""
    kept = _protected(versions, rules)
    for rank, row in enumerate(versions, start=1):
        if row.version in kept:
            continue
        if rank > rules.versions:
            yield row, f"more than {rules.versions} versions"
        elif row.created_at < at - timedelta(days=rules.days):
            yield row, f"older than {rules.days} days"


def _portions(ids: Collection[object]) -> Iterable[list[object]]:
    listed = list(ids)
    return (listed[start : start + AT_ONCE] for start in range(0, len(listed), AT_ONCE))
