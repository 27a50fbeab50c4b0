"""Gathers a tenant's report from what the pipeline has stored."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from contracts import LedgerRow, ModelManifest, Outcome, Rung
from pipeline.errors import DataError, PipelineError
from pipeline.installation import Installation
from pipeline.monitoring.anomalies import to_show
from pipeline.monitoring.findings import HISTORY_CHECKS, REPORT_CHECKS, Finding
from pipeline.plots import product_plot
from pipeline.report.content import ForecastDay, ProductLine, TenantReport, Totals, UnusualDay
from pipeline.report.methods import methods
from pipeline.sources.extract import load_report
from pipeline.tables import read_table, records
from pipeline.tenant_data import TenantData
from pipeline.training.evaluation import measured

HISTORY_DAYS = 120
RUNG_WORDS = {
    Rung.BORROWED: "borrowed",
    Rung.SEASONAL_NAIVE: "seasonal naive",
    Rung.LAST_FORECAST: "last good forecast",
}


@dataclass(frozen=True)
class _Sources:
    """Everything about a tenant's products, by product id."""

    data: TenantData
    forecasts: Mapping[str, list[dict[str, Any]]]
    evaluation: Mapping[str, list[dict[str, Any]]]
    manifests: Mapping[str, ModelManifest]
    ledger: Mapping[str, LedgerRow]


def build_report(installation: Installation, tenant_id: str) -> TenantReport:
    """Return the report's content.

    Raises:
        DataError: the tenant has no sales or no forecasts yet.
    """
    data = installation.data(tenant_id)
    extraction = load_report(installation.home, tenant_id)
    evaluation = _evaluation(installation, tenant_id)
    ledger = _last_ledger(installation, tenant_id)
    sources = _Sources(
        data,
        _by_product(read_table(installation.home.table(tenant_id, "forecasts"), "the forecasts")),
        _by_product(evaluation),
        _champions(installation, tenant_id),
        ledger,
    )
    found: list[Finding] = []
    for report_check in REPORT_CHECKS.values():
        found += report_check(extraction, installation.settings)
    for history_check in HISTORY_CHECKS.values():
        found += history_check(data, installation.settings)
    unusual = _unusual(installation, data)
    shown = installation.settings.unusual_days_shown
    return TenantReport(
        tenant_id=tenant_id,
        tenant_name=data.tenant.name,
        generated_at=dt.datetime.now(ZoneInfo(data.tenant.timezone)),
        origin=data.origin.date(),
        horizon=installation.settings.horizon_days,
        totals=_totals(data, ledger, evaluation),
        products=tuple(_line(sources, row) for row in range(len(data.panel.products))),
        extraction=extraction,
        findings=tuple(found),
        methods=methods(evaluation, sources.manifests),
        modelled=len(sources.manifests),
        unusual=unusual[:shown],
        unusual_more=max(len(unusual) - shown, 0),
        unusual_of=installation.settings.unusual_days_recent,
    )


def _by_product(frame: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in records(frame):
        found.setdefault(row["product_id"], []).append(row)
    return found


def _evaluation(installation: Installation, tenant_id: str) -> pd.DataFrame:
    try:
        return read_table(installation.home.table(tenant_id, "evaluation"), "the evaluation")
    except DataError:
        return pd.DataFrame()  # nothing was evaluated yet: the report says so by having no figures


def _unusual(installation: Installation, data: TenantData) -> tuple[UnusualDay, ...]:
    try:
        days = read_table(installation.home.table(data.tenant.id, "anomalies"), "the judged days")
    except DataError:
        return ()  # no day was judged yet
    names = dict(zip(data.panel.products, data.panel.name, strict=True))
    return tuple(
        UnusualDay(names.get(row["product_id"]) or row["product_id"], _day(row["date"]), row["quantity"], row["usual"])
        for row in records(to_show(days, data.origin, installation.settings))
    )


def _champions(installation: Installation, tenant_id: str) -> dict[str, ModelManifest]:
    manifests = {}
    for product, record in installation.registry.champions(tenant_id).items():
        try:
            manifests[product] = installation.registry.manifest(tenant_id, product, record.version)
        except PipelineError:
            continue  # the forecast's own row says why this model is not used
    return manifests


def _last_ledger(installation: Installation, tenant_id: str) -> dict[str, LedgerRow]:
    """The outcome of each product in the tenant's last job that had it."""
    jobs = installation.registry.jobs(tenant_id, limit=20)
    found: dict[str, LedgerRow] = {}
    for job in jobs:
        for row in installation.registry.ledger(tenant_id, job.id):
            found.setdefault(row.product_id, row)
    return found


def _totals(data: TenantData, ledger: Mapping[str, LedgerRow], evaluation: pd.DataFrame) -> Totals:
    sold = set(data.panel.products)
    counts = Counter(row.outcome for row in ledger.values() if row.product_id in sold)
    counted = {outcome.value: counts[outcome] for outcome in Outcome}
    model, naive = measured(evaluation)
    return Totals(
        products=len(data.panel.products),
        **counted,
        wape=model.wape,
        naive_wape=naive.wape,
        mase=model.mase,
        coverage=model.coverage,
    )


def _line(sources: _Sources, row: int) -> ProductLine:
    panel, demand = sources.data.panel, sources.data.demand
    product = panel.products[row]
    forecast = sources.forecasts.get(product, [])
    manifest, ledger = sources.manifests.get(product), sources.ledger.get(product)
    rung = forecast[0]["rung"] if forecast else ""
    days = tuple(ForecastDay(_day(day["date"]), day["y_hat"], day["lower"], day["upper"]) for day in forecast)
    metrics, naive = (manifest.metrics, manifest.naive_metrics) if manifest else (None, None)
    return ProductLine(
        product_id=product,
        name=panel.name[row] or product,
        demand_class="discontinued" if demand.discontinued[row] else str(demand.classes[row]),
        outcome=str(ledger.outcome) if ledger else "skipped",
        champion=_champion(manifest, rung),
        version=manifest.version if manifest else None,
        rung=rung,
        wape=metrics.wape if metrics else None,
        naive_wape=naive.wape if naive else None,
        mase=metrics.mase if metrics else None,
        coverage=metrics.coverage if metrics else None,
        mean_quantity=float(demand.level[row]),
        forecast=days,
        history=tuple(float(v) for v in panel.quantity[row, -HISTORY_DAYS:]),
        plot_svg=_plot(sources, row, days),
        notes=_notes(ledger, forecast, bool(demand.discontinued[row])),
    )


def _champion(manifest: ModelManifest | None, rung: str) -> str:
    if manifest is None or rung in (Rung.BORROWED, Rung.SEASONAL_NAIVE, Rung.LAST_FORECAST):
        return RUNG_WORDS.get(Rung(rung), "") if rung else ""
    return " + ".join(member.family for member in manifest.members if member.weight > 0)


def _day(value: Any) -> dt.date:
    return pd.Timestamp(value).date()


def _notes(ledger: LedgerRow | None, forecast: list[dict[str, Any]], discontinued: bool) -> str:
    said = [] if ledger is None or ledger.outcome is Outcome.TRAINED else [ledger.reason]
    if forecast and forecast[0]["rung"] != Rung.CHAMPION:
        said.append(forecast[0]["reason"])
    if discontinued and not any("discontinued" in one for one in said):
        said.append("discontinued: not forecast")
    return "; ".join(said)


def _subtitle(manifest: ModelManifest | None) -> str:
    if manifest is None or manifest.metrics.wape is None or manifest.naive_metrics.wape is None:
        return ""
    return f"WAPE {manifest.metrics.wape:.3f} against {manifest.naive_metrics.wape:.3f} of repeating last week"


def _plot(sources: _Sources, row: int, days: tuple[ForecastDay, ...]) -> str:
    panel = sources.data.panel
    product = panel.products[row]
    units = panel.quantity[row, -HISTORY_DAYS:]
    if not np.isfinite(units).any() and not days:
        return ""
    past = [day for day in sources.evaluation.get(product, []) if day["y_hat"] is not None]
    dates = [day.date() for day in panel.dates[-HISTORY_DAYS:]]
    return product_plot(
        list(zip(dates, (float(v) for v in units), strict=True)),
        [(_day(day["date"]), day["y_hat"]) for day in past],
        [day.date for day in days],
        [day.y_hat for day in days],
        [day.lower for day in days],
        [day.upper for day in days],
        title=panel.name[row] or product,
        subtitle=_subtitle(sources.manifests.get(product)),
    )
