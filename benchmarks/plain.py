"""A tenant's whole way from sales to the report as plain function calls: what a run costs without Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from contracts import ForecastRow, LedgerRow, Outcome, PlanRow
from pipeline.engine.evaluate import table
from pipeline.engine.feature_table import feature_table
from pipeline.forecasting.ladder import Ladder
from pipeline.home import write_atomically
from pipeline.installation import Installation
from pipeline.monitoring.findings import HISTORY_CHECKS, REPORT_CHECKS
from pipeline.report.build import build_report
from pipeline.report.render import render_report
from pipeline.sources.calendar import build_calendar
from pipeline.sources.extract import extract_sales
from pipeline.tables import write_table
from pipeline.tenant_data import DAYS_BEYOND, last_complete_day
from pipeline.training.integrity import VerifiedOnce, broken_files
from pipeline.training.job import Order, training_job
from pipeline.training.plan import Occasion, make_plan
from pipeline.training.promotion import decide_all


def walk(installation: Installation, tenant_id: str) -> None:
    """Do everything that the job `train_and_forecast` does."""
    take_in(installation, tenant_id)
    train(installation, tenant_id)
    give_out(installation, tenant_id)


def take_in(installation: Installation, tenant_id: str) -> None:
    """Extract the sales, look ahead, and judge both."""
    home, settings, tenant = installation.home, installation.settings, installation.tenant(tenant_id)
    extraction = extract_sales(tenant, home, settings)
    origin = last_complete_day(home, tenant, extraction.daily)
    write_table(
        home.table(tenant_id, "calendar"),
        build_calendar(tenant, extraction.daily, origin, settings.horizon_days + DAYS_BEYOND),
    )
    data = installation.data(tenant_id)
    write_table(home.table(tenant_id, "features"), feature_table(data.panel, data.outlook, settings.max_feature_rows))
    for report_check in REPORT_CHECKS.values():
        list(report_check(extraction.report, settings))
    for history_check in HISTORY_CHECKS.values():
        list(history_check(data, settings))


def train(installation: Installation, tenant_id: str) -> int:
    """Plan, search, evaluate, fit and store every product; return how many were trained."""
    home, settings = installation.home, installation.settings
    plan = make_plan(installation.data(tenant_id), installation.registry.latest(tenant_id), settings, Occasion())
    _store(home.table(tenant_id, "training_plan"), plan, PlanRow)
    with training_job(installation, tenant_id, lambda _data: plan, Order("plain", "benchmark")) as job:
        ledger = [done.ledger for done in job.train()]
    _store(home.table(tenant_id, "training_ledger"), ledger, LedgerRow)
    write_table(home.table(tenant_id, "evaluation"), table(job.trainer.evaluation.scored, tenant_id))
    return sum(row.outcome is Outcome.TRAINED for row in ledger)


def give_out(installation: Installation, tenant_id: str) -> None:
    """Promote, forecast and report."""
    home, settings, data = installation.home, installation.settings, installation.data(tenant_id)
    decide_all(tenant_id, installation.registry, installation.store, settings)
    once = VerifiedOnce(installation.store)
    for record in installation.registry.latest(tenant_id).values():
        manifest = installation.registry.manifest(tenant_id, record.product_id, record.version)
        broken_files(manifest, once)
    forecasts = Ladder(data, installation.registry, installation.store, settings, installation.workers).climb()
    write_table(home.table(tenant_id, "forecasts"), forecasts[list(ForecastRow.model_fields)])
    write_atomically(home.report(tenant_id), render_report(build_report(installation, tenant_id)).encode())


def _store(path: Path, rows: Sequence[BaseModel], contract: type[BaseModel]) -> None:
    frame = pd.DataFrame([row.model_dump(mode="json") for row in rows], columns=list(contract.model_fields))
    write_table(path, frame)
