"""`forecasts` and the tenant's `report`."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import datetime as dt
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd

from contracts import ForecastRow
from pipeline.defs.ingestion.assets import OWNERS, calendar
from pipeline.defs.monitoring.assets import anomalies
from pipeline.defs.partitions import TENANTS
from pipeline.defs.policies import DAILY
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import numbers, of_table
from pipeline.errors import DataError
from pipeline.forecasting.issued import keep_issued
from pipeline.forecasting.ladder import Ladder
from pipeline.forecasting.stale import described_forecasts, last_forecasts
from pipeline.home import write_atomically
from pipeline.monitoring.lineage.log import record
from pipeline.monitoring.lineage.recording import version_in_use
from pipeline.monitoring.lineage.sending import send_waiting
from pipeline.monitoring.lineage.steps import forecast_made
from pipeline.plots import as_markdown_image, product_plot
from pipeline.report.build import build_report
from pipeline.report.render import render_report
from pipeline.tables import write_table
from pipeline.tenant_data import TenantData

GROUP = "forecasting"
PLOT_DAYS = 120


@dg.asset(
    partitions_def=TENANTS,
    group_name=GROUP,
    kinds={"parquet"},
    owners=OWNERS,
    deps=[calendar, "champions"],
    freshness_policy=DAILY,
)
def forecasts(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """Product x date: mean and quantiles, with the model version and the rung of the ladder that each row stands on."""
    opened = installation.open()
    data = opened.data(context.partition_key)
    path = opened.home.table(data.tenant.id, "forecasts")
    previous, fault = _previous(context, path)
    ladder = Ladder(data, opened.registry, opened.store, opened.settings, opened.workers)
    frame = ladder.climb(previous)
    today = dt.datetime.now(ZoneInfo(data.tenant.timezone)).date()
    keep_issued(opened.home.issued(data.tenant.id), data.origin.date(), frame, today)
    built = described_forecasts(data.tenant.id, path, frame)
    write_table(path, frame, built)
    made_from = version_in_use(opened.home, data.tenant.id, "sales")
    record(opened.home.lineage, [forecast_made(built, made_from, frame, data.origin.date())])
    send_waiting(opened.home, opened.settings)
    opened.registry.count_predictions(int(frame["product_id"].nunique()))
    rungs = Counter(str(rung) for rung in frame.drop_duplicates("product_id")["rung"])
    return dg.MaterializeResult(
        metadata=of_table(
            frame,
            path,
            ForecastRow,
            origin=str(data.origin.date()),
            products=int(frame["product_id"].nunique()),
            rungs=dict(rungs),
            forecast=dg.MetadataValue.md(as_markdown_image(total_plot(data, frame), "all products")),
            **fault,
            **({"degraded_signals": dict(data.degraded)} if data.tenant.signals else {}),
            **numbers({"units_ahead": float(frame["y_hat"].sum()), "from_champions": rungs["champion"]}),
        )
    )


def _previous(context: dg.AssetExecutionContext, path: Path) -> tuple[pd.DataFrame | None, dict[str, str]]:
    """The last forecasts, for the lowest rung; a file that cannot be read is done without, and told of."""
    try:
        return last_forecasts(path), {}
    except DataError as error:
        context.log.warning(f"forecasting without the last forecasts: {error}")
        return None, {"previous_forecast": f"not readable: {error}"}


@dg.asset(partitions_def=TENANTS, group_name=GROUP, kinds={"html"}, owners=OWNERS, deps=[forecasts, anomalies])
def report(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """The tenant's report as one HTML file: what to bake tomorrow, and every product, the worst first."""
    opened = installation.open()
    content = build_report(opened, context.partition_key)
    path = opened.home.report(context.partition_key)
    text = render_report(content).encode()
    write_atomically(path, text)
    totals = content.totals
    figures = numbers({"wape": totals.wape, "naive_wape": totals.naive_wape, "coverage": totals.coverage})
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(path)),
            "open": dg.MetadataValue.url(path.as_uri()),
            "bytes": len(text),
            "products": totals.products,
            **figures,
        }
    )


def total_plot(data: TenantData, frame: pd.DataFrame) -> str:
    """Return an SVG of all products together: units sold, and forecast without an interval."""
    dates = data.panel.dates[-PLOT_DAYS:]
    sold = pd.DataFrame(data.panel.quantity[:, -PLOT_DAYS:]).sum(min_count=1).to_numpy(float)
    ahead = frame.groupby("date")["y_hat"].sum()
    days = [pd.Timestamp(str(day)).date() for day in ahead.index]
    units = ahead.to_numpy(float)
    return product_plot(
        [(day.date(), float(value)) for day, value in zip(dates, sold, strict=True)],
        [],
        days,
        units,
        units,
        units,
        title=data.tenant.name,
        subtitle="all products, units a day",
    )
