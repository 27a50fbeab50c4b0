"""`training_plan`, the training step, `product_model` by hand, and `champions`."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import Field

from contracts import AdvancedTrainingRequest, LedgerRow, Outcome, PlanRow
from pipeline.defs import columns
from pipeline.defs.ingestion.assets import OWNERS, features
from pipeline.defs.monitoring.drift import drift
from pipeline.defs.monitoring.forecast_accuracy import forecast_accuracy
from pipeline.defs.partitions import PRODUCTS, TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import numbers, of_table
from pipeline.defs.training.order import order_of
from pipeline.defs.training.over_time import LAST_TRAININGS, trainings_metadata
from pipeline.defs.training.product import materialization
from pipeline.defs.training.progress import shown_progress
from pipeline.defs.training.searched import search_metadata
from pipeline.engine.evaluate import score, table
from pipeline.errors import DataError
from pipeline.installation import Installation
from pipeline.keys import partition_key, split_key
from pipeline.monitoring.causes import causes_found
from pipeline.monitoring.lineage.log import record
from pipeline.monitoring.lineage.recording import trainings
from pipeline.monitoring.lineage.steps import champion_changed
from pipeline.requests import accepted
from pipeline.sources.extract import remember_plan, taken_in
from pipeline.tables import read_table, records, write_table
from pipeline.tenant_data import TenantData
from pipeline.training.evaluation import Evaluation, measured, nesting_of
from pipeline.training.integrity import unusable
from pipeline.training.job import Planner, training_job
from pipeline.training.plan import Occasion, make_plan
from pipeline.training.promotion import ACTOR, decide_all

GROUP = "training"
OF_ANY = dg.AllPartitionMapping()
"""Between tenants and products; without a mapping a backfill looks for partitions of the same name and refuses."""
ASKED = AdvancedTrainingRequest.model_fields
NAMED = 10
"""Products that a failure names; the ledger has them all."""


class PlanConfig(dg.Config):
    """Which products a run shall train, and under which terms."""

    products: list[str] = Field(default_factory=list, description=ASKED["products"].description)
    scheduled: bool = Field(False, description=ASKED["scheduled"].description)
    start: str | None = Field(None, description=ASKED["start"].description)
    end: str | None = Field(None, description=ASKED["end"].description)
    evaluation_origins: int | None = Field(None, description=ASKED["evaluation_origins"].description)
    diagnostics: bool = Field(False, description=ASKED["diagnostics"].description)
    overrides: dict[str, Any] = Field(default_factory=dict, description=ASKED["overrides"].description)

    def occasion(self, tenant_id: str) -> Occasion:
        """Return the same as the plan knows it, once it is found to be a good request.

        Raises:
            ConfigurationError: it is none; says which field breaks which rule.
        """
        request = accepted(AdvancedTrainingRequest, tenant=tenant_id, **self.model_dump())
        return Occasion(frozenset(request.products) or None, request.scheduled, request.terms)


@dg.asset(
    partitions_def=TENANTS,
    group_name=GROUP,
    kinds={"parquet"},
    owners=OWNERS,
    deps=[features, forecast_accuracy, drift],
)
def training_plan(
    context: dg.AssetExecutionContext, config: PlanConfig, installation: InstallationResource
) -> dg.MaterializeResult[None]:
    """Which products are due for training, why, and in which order."""
    opened, occasion = installation.open(), config.occasion(context.partition_key)
    data = opened.data(context.partition_key)
    unknown = sorted(set(config.products) - set(data.panel.products))
    if unknown:
        more = f" nor {len(unknown) - 1} more of those asked for" if len(unknown) > 1 else ""
        raise dg.Failure(f"tenant {data.tenant.id!r} does not sell {unknown[0]!r}{more}; ids are those of the sales")
    plan = _planner(opened, occasion)(data)
    frame = pd.DataFrame([row.model_dump(mode="json") for row in plan], columns=list(PlanRow.model_fields))
    path = opened.home.table(data.tenant.id, "training_plan")
    write_table(path, frame)
    causes = Counter(str(row.cause) for row in plan if row.due)
    told = {"terms": str(occasion.terms)} if occasion.terms else {}
    return dg.MaterializeResult(
        metadata=of_table(
            frame, path, PlanRow, due=sum(causes.values()), causes=dict(causes), origin=str(data.origin.date()), **told
        )
    )


@dg.multi_asset(
    name="train",
    specs=[
        dg.AssetSpec(
            "training_ledger",
            deps=[training_plan],
            group_name=GROUP,
            kinds={"parquet", "lightgbm"},
            owners=OWNERS,
            description="What became of each product: trained, skipped, insufficient or failed, and why.",
        ),
        dg.AssetSpec(
            "evaluation",
            deps=[training_plan],
            group_name=GROUP,
            kinds={"parquet"},
            owners=OWNERS,
            description="Out-of-sample forecasts of every family at past origins, and what came true.",
        ),
    ],
    partitions_def=TENANTS,
)
def train(
    context: dg.AssetExecutionContext, installation: InstallationResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Train the products that are due, the most important first; each is materialized as soon as it is stored."""
    opened, tenant_id = installation.open(), context.partition_key
    asked = _asked(context)
    occasion = asked.occasion(tenant_id) if asked else _of_stored_plan(opened.home.table(tenant_id, "training_plan"))
    planner, order = _planner(opened, occasion), order_of(context, "train", context.run.tags.get("cause", "dagster"))
    order = replace(order, terms=occasion.terms, diagnostics=asked is not None and asked.diagnostics)
    rows: list[LedgerRow] = []
    seen = taken_in(opened.home, tenant_id)  # Before the sales are read: what comes in later, nobody has seen.
    with (
        shown_progress(context, opened, tenant_id),
        training_job(opened, tenant_id, planner, order) as job,
        trainings(opened.home, tenant_id, context.run.run_id) as noted,
    ):
        for done in job.train():
            rows.append(done.ledger)
            noted.add(done)
            if done.manifest is not None:
                context.log_event(materialization(done, job.data, job.trainer.evaluation))
    if seen is not None and occasion.requested is None and occasion.terms is None:
        remember_plan(opened.home, tenant_id, seen)  # Only now: what a training that fails leaves is still to be done.
    ledger = pd.DataFrame([row.model_dump(mode="json") for row in rows], columns=list(LedgerRow.model_fields))
    path = opened.home.table(tenant_id, "training_ledger")
    write_table(path, ledger)
    counts = {outcome.value: job.counts[outcome] for outcome in Outcome}
    told = counts | {"left_for_the_next_run": job.left} | search_metadata(job.trainer.tuned)
    yield dg.MaterializeResult("training_ledger", metadata=of_table(ledger, path, LedgerRow, **told))
    evaluated = _evaluation(opened.home.table(tenant_id, "evaluation"), job.trainer.evaluation, tenant_id)
    over_time = trainings_metadata(opened.registry.experiments(tenant_id, limit=LAST_TRAININGS))
    yield evaluated._replace(metadata={**(evaluated.metadata or {}), **over_time})


def _planner(opened: Installation, occasion: Occasion) -> Planner:
    def planner(data: TenantData) -> list[PlanRow]:
        latest = opened.registry.latest(data.tenant.id)
        broken = unusable(opened.registry, opened.store, data.tenant.id, occasion.requested)
        found = causes_found(opened.home, data.tenant.id, opened.registry)
        return make_plan(data, latest, opened.settings, occasion, broken, found)

    return planner


def _asked(context: dg.AssetExecutionContext) -> PlanConfig | None:
    """What the run was asked for; None: it makes no plan itself, and was asked for nothing."""
    if not context.job_def.has_node_named("training_plan"):
        return None
    steps: Any = context.run.run_config.get("ops", {})
    return PlanConfig(**steps.get("training_plan", {}).get("config", {}))


def _of_stored_plan(path: Path) -> Occasion:
    """What the stored plan was made for, which may be another run's by now: the command line waits in no queue."""
    return Occasion.of([PlanRow.model_validate(row) for row in records(read_table(path, "the training plan"))])


def _evaluation(path: Path, evaluation: Evaluation, tenant_id: str) -> dg.MaterializeResult[None]:
    """Store the evaluation; where this run made none the last one stands, and its own figures are told."""
    if evaluation.scored:
        frame = table(evaluation.scored, tenant_id)
        write_table(path, frame)
        total, naive = score(evaluation.scored), score(evaluation.scored, "seasonal_naive")
        told = {"nesting": evaluation.nesting}
    else:
        frame, told = _standing(path, tenant_id)
        total, naive = measured(frame)
    figures = numbers({**total.model_dump(exclude={"n"}), "naive_wape": naive.wape, "naive_mae": naive.mae})
    return dg.MaterializeResult("evaluation", metadata=of_table(frame, path, columns.EVALUATION, **told, **figures))


def _standing(path: Path, tenant_id: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """The stored evaluation, and what to tell of it; an empty one replaces a file that cannot be read."""
    known = path.exists()
    try:
        frame = read_table(path, "the evaluation")
    except DataError as error:
        frame = table((), tenant_id)
        write_table(path, frame)
        return frame, {"nesting": f"not evaluated: {error}" if known else nesting_of(0)}
    if frame.empty:
        return frame, {"nesting": nesting_of(0)}
    last = pd.Timestamp(frame["origin"].max()).date()
    return frame, {
        "nesting": nesting_of(frame["origin"].nunique()),
        "kept": f"no past origin was evaluated by this run; the evaluation up to the past origin {last} stands",
    }


@dg.multi_asset(
    name="train_products",
    specs=[
        dg.AssetSpec(
            "product_model",
            deps=[dg.AssetDep(asset, partition_mapping=OF_ANY) for asset in (features, training_plan)],
            group_name=GROUP,
            kinds={"prophet", "lightgbm"},
            owners=OWNERS,
            skippable=True,
            description=(
                "One product's registered model: version, metrics, weights, checksums, and a plot of its forecast. "
                "A tenant's training materializes it product by product; it can also be materialized by hand."
            ),
        )
    ],
    partitions_def=PRODUCTS,
    backfill_policy=dg.BackfillPolicy.multi_run(),
)
def train_products(
    context: dg.AssetExecutionContext, installation: InstallationResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Train the selected products now, whatever the plan says; the tenant's pooled fit is reused.

    Each product's event is logged as soon as its model is stored. Nothing is yielded: a returned output would
    add a materialization without figures and plot on top.
    """
    opened = installation.open()
    by_tenant: dict[str, set[str]] = {}
    for key in context.partition_keys:
        tenant_id, product = split_key(key)
        by_tenant.setdefault(tenant_id, set()).add(product)
    failed = []
    for tenant_id, products in by_tenant.items():
        planner = _only(products, _planner(opened, Occasion(frozenset(products))))
        with (
            training_job(opened, tenant_id, planner, order_of(context, "by hand")) as job,
            trainings(opened.home, tenant_id, context.run.run_id) as noted,
        ):
            for done in job.train():
                noted.add(done)
                if done.manifest is None:
                    failed.append(f"{partition_key(tenant_id, done.ledger.product_id)}: {done.ledger.reason}")
                else:
                    context.log_event(materialization(done, job.data, job.trainer.evaluation))
        failed += [
            f"{partition_key(tenant_id, product)}: not in the sales"
            for product in products - {row.product_id for row in job.plan}
        ]
    if failed:
        named = "; ".join(failed[:NAMED])
        raise dg.Failure(f"{len(failed)} of {len(context.partition_keys)} products were not trained: {named}")
    yield from ()


def _only(products: set[str], planner: Planner) -> Planner:
    return lambda data: [row for row in planner(data) if row.product_id in products]


@dg.asset(
    partitions_def=TENANTS,
    group_name=GROUP,
    kinds={"sqlite"},
    owners=OWNERS,
    deps=["training_ledger", "evaluation", dg.AssetDep("product_model", partition_mapping=OF_ANY)],
)
def champions(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """Each new model's promotion or refusal, and why: whole, better than repeating last week, its recipe no worse."""
    opened = installation.open()
    tenant_id = context.partition_key
    begun = dt.datetime.now(dt.UTC)
    verdicts = decide_all(tenant_id, opened.registry, opened.store, opened.settings)
    # Each verdict may withdraw a model beside; what people decide meanwhile is noted by their command.
    decided = opened.registry.promotions(tenant_id, limit=2 * len(verdicts))
    changed = [one for one in decided[::-1] if one.actor == ACTOR and one.decided_at >= begun]
    record(opened.home.lineage, champion_changed(changed))
    frame = pd.DataFrame(
        [
            {"product_id": v.product_id, "version": v.version, "promoted": v.promoted, "reason": v.reason}
            | {"withdrawn": v.withdrawn, **v.figures}
            for v in verdicts
        ],
        columns=list(columns.CHAMPIONS),
    )
    path = opened.home.table(tenant_id, "champions")
    write_table(path, frame)
    return dg.MaterializeResult(
        metadata=of_table(
            frame,
            path,
            columns.CHAMPIONS,
            promoted=sum(v.promoted for v in verdicts),
            refused=sum(v.decided and not v.promoted for v in verdicts),
            undecided=sum(not v.decided for v in verdicts),
            withdrawn=sum(v.withdrawn is not None for v in verdicts),
            in_use=len(opened.registry.champions(tenant_id)),
        )
    )
