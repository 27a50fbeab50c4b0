"""Trainings as experiments: their parameters and tags, and what their figures were, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields

from sqlalchemy import ColumnElement, and_, delete, func, insert, select
from sqlalchemy.orm import aliased

from pipeline.keys import slug
from pipeline.registry.jobs import JOB_COLUMNS, job_record
from pipeline.registry.manifests import COMBINATION, NAIVE
from pipeline.registry.records import Experiment, Figure, TrainedProduct
from pipeline.registry.repository import AnySelect, Repository, columns_of, require_job
from pipeline.registry.tables import PerformanceMetric, TrainedModel, TrainingJob, TrainingMetric

OVERALL = 0
"""The step of the figures over all past origins."""
_FIGURE = columns_of(TrainingMetric, (field.name for field in fields(Figure)))


class Experiments(Repository):
    """The table `training_metrics`, and trainings seen over time."""

    def save_figures(self, tenant_id: str, job_id: str, figures: Iterable[Figure]) -> None:
        """Store what a training's evaluation found over all products; figures stored before are replaced.

        Raises:
            NotRegisteredError: there is no such job.
            RegistryError: the job is another tenant's.
        """
        rows = [{"job_id": job_id, **asdict(figure)} for figure in figures]
        with self._writing() as connection:
            require_job(connection, job_id, tenant_id)
            connection.execute(delete(TrainingMetric).where(TrainingMetric.job_id == job_id))
            if rows:
                connection.execute(insert(TrainingMetric), rows)

    def figures(self, tenant_id: str, job_id: str) -> list[Figure]:
        """Return a training's figures over all products, those over all past origins first, then origin by origin."""
        query = select(*_FIGURE).join(TrainingJob, TrainingJob.id == TrainingMetric.job_id)
        query = query.where(TrainingJob.tenant_id == tenant_id, TrainingMetric.job_id == job_id)
        query = query.order_by(TrainingMetric.step, TrainingMetric.family, TrainingMetric.metric)
        with self._reading() as connection:
            return [Figure(**row._asdict()) for row in connection.execute(query)]

    def experiments(
        self,
        tenant_id: str,
        product_id: str | None = None,
        *,
        metric: str = "wape",
        tags: Mapping[str, str] | None = None,
        limit: int = 50,
    ) -> list[Experiment]:
        """Return a tenant's newest trainings with their figures, the newest last.

        Without a product: `value` and `naive` are over all products at the past origins; `least` and `mean` over the
        models of the job. With one: the trainings that made a model of it, and that model's figures.
        """
        query = _of_tenant(metric) if product_id is None else _of_product(slug(product_id), metric)
        query = query.where(TrainingJob.tenant_id == tenant_id)
        for name, value in (tags or {}).items():
            query = query.where(TrainingJob.tags[name].as_string() == value)
        query = query.order_by(TrainingJob.started_at.desc(), TrainingJob.id).limit(limit)
        with self._reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [_experiment(row) for row in reversed(rows)]

    def trained_products(self, tenant_id: str, job_id: str) -> list[TrainedProduct]:
        """Return the models that a training made, each with the figures of its combination and the naive's WAPE."""
        query = (
            select(
                TrainedModel.product_id,
                TrainedModel.version,
                TrainedModel.algorithm,
                TrainedModel.demand_class,
                TrainedModel.seconds,
                PerformanceMetric.family,
                PerformanceMetric.metric,
                PerformanceMetric.value,
            )
            .outerjoin(
                PerformanceMetric,
                (PerformanceMetric.model_id == TrainedModel.id) & PerformanceMetric.family.in_((COMBINATION, NAIVE)),
            )
            .where(TrainedModel.tenant_id == tenant_id, TrainedModel.job_id == job_id)
            .order_by(TrainedModel.id)
        )
        found: dict[str, TrainedProduct] = {}
        with self._reading() as connection:
            for product, version, algorithm, demand_class, seconds, family, metric, value in connection.execute(query):
                one = found.setdefault(product, TrainedProduct(product, version, algorithm, demand_class, seconds, {}))
                if metric is not None and (family == COMBINATION or metric == "wape"):
                    one.figures[metric if family == COMBINATION else f"{NAIVE}_{metric}"] = value
        return list(found.values())


def _of_tenant(metric: str) -> AnySelect:
    made = (
        select(
            TrainedModel.job_id,
            func.count().label("models"),
            func.min(PerformanceMetric.value).label("least"),
            func.avg(PerformanceMetric.value).label("mean"),
        )
        .outerjoin(PerformanceMetric, _figure_of_model(PerformanceMetric, COMBINATION, metric))
        .group_by(TrainedModel.job_id)
        .subquery()
    )
    own, naive = aliased(TrainingMetric), aliased(TrainingMetric)
    query = select(
        *JOB_COLUMNS,
        func.coalesce(made.c.models, 0).label("models"),
        made.c.least,
        made.c.mean,
        own.value.label("value"),
        naive.value.label("naive"),
    ).outerjoin(made, made.c.job_id == TrainingJob.id)
    for figures, family in ((own, COMBINATION), (naive, NAIVE)):
        same = (figures.family == family) & (figures.metric == metric) & (figures.step == OVERALL)
        query = query.outerjoin(figures, (figures.job_id == TrainingJob.id) & same)
    return query


def _of_product(product_key: str, metric: str) -> AnySelect:
    own, naive = aliased(PerformanceMetric), aliased(PerformanceMetric)
    columns = (*JOB_COLUMNS, TrainedModel.version, own.value.label("value"), naive.value.label("naive"))
    made = and_(TrainedModel.job_id == TrainingJob.id, TrainedModel.product_key == product_key)
    query = select(*columns).join(TrainedModel, made)
    query = query.outerjoin(own, _figure_of_model(own, COMBINATION, metric))
    return query.outerjoin(naive, _figure_of_model(naive, NAIVE, metric))


def _figure_of_model(figures: type[PerformanceMetric], family: str, metric: str) -> ColumnElement[bool]:
    return (figures.model_id == TrainedModel.id) & (figures.family == family) & (figures.metric == metric)


def _experiment(row: dict[str, object]) -> Experiment:
    job = job_record({column.key: row.pop(column.key) for column in JOB_COLUMNS})
    return Experiment(job=job, **row)  # type: ignore[arg-type]
