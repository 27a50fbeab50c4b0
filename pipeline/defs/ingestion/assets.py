"""`sales`, `calendar` and `features`: a tenant's data, clean and complete."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from contracts import DailySales, DayStatus
from pipeline.defs import columns
from pipeline.defs.partitions import PRODUCTS, TENANTS
from pipeline.defs.policies import DAILY, WEEKLY
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import numbers, of_table, preview
from pipeline.engine.feature_table import feature_table
from pipeline.engine.panel import Status
from pipeline.forecasting.stale import mark_stale
from pipeline.home import Home
from pipeline.keys import partition_key
from pipeline.monitoring.lineage.log import record
from pipeline.monitoring.lineage.recording import metadata_of, version_in_use
from pipeline.monitoring.lineage.steps import dataset_built, sales_built
from pipeline.plots import as_markdown_image, sparkline
from pipeline.resilience import Patience, Report, reported
from pipeline.sources.calendar import build_calendar
from pipeline.sources.extract import extract_sales, load_sales, remember
from pipeline.sources.signals import Signals, with_signals
from pipeline.tables import described, records, write_table
from pipeline.tenant_data import DAYS_BEYOND, last_complete_day, products_of

GROUP = "ingestion"
OWNERS = ["team:forecasting"]
SHOWN_DAYS = 180


@contextmanager
def last_forecast_stands(home: Home, tenant_id: str) -> Iterator[None]:
    """Mark the tenant's last forecast as stale when what stands inside fails: no new one will be made."""
    try:
        yield
    except Exception as error:
        mark_stale(home, tenant_id, str(error))
        raise


@dg.asset(partitions_def=TENANTS, group_name=GROUP, kinds={"parquet", "pandas"}, owners=OWNERS, freshness_policy=DAILY)
def sales(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """The clean daily panel, extracted from the tenant's source.

    Only files whose content changed are read; rows are upserted by product and date; every input row is
    counted as used, merged or rejected. Products are registered as partitions as they appear. A database or a service
    that does not answer is waited for, OUTAGE_WAIT_SECONDS in all; the run's log says why and until when.
    """
    opened = installation.open()
    with last_forecast_stands(opened.home, context.partition_key):
        tenant = opened.tenant(context.partition_key)
        with reported() as asked:
            patience = Patience(opened.settings.outage_wait_seconds, context.log.warning)
            extraction = extract_sales(
                tenant, opened.home, opened.settings, services=opened.services, patience=patience
            )
    remember(opened.home, tenant.id, extraction.fingerprint)
    if (built := metadata_of(opened.home, tenant.id, "sales")) is not None:
        record(opened.home.lineage, [sales_built(opened.home, tenant, built)])
    keys = {partition_key(tenant.id, product) for product in extraction.daily["product_id"].unique()}
    new = keys - set(context.instance.get_dynamic_partitions(PRODUCTS.name or ""))
    if new:
        context.instance.add_dynamic_partitions(PRODUCTS.name or "", sorted(new))
    report = extraction.report
    if extraction.changed and report.replaced_source is not None:
        context.log.warning(f"the sales begin anew: they came from {report.replaced_source} before")
    counted = report.model_dump(include={"rows_read", "rows_used", "rows_merged", "rows_rejected", "returned_units"})
    by_day = extraction.daily.groupby("date")["quantity"].sum().tail(SHOWN_DAYS)
    return dg.MaterializeResult(
        metadata=of_table(
            extraction.daily,
            opened.home.table(tenant.id, "sales"),
            DailySales,
            **counted,
            products=int(extraction.daily["product_id"].nunique()),
            new_products=len(new),
            first_date=str(extraction.daily["date"].min().date()),
            last_date=str(extraction.daily["date"].max().date()),
            changed=extraction.changed,
            rejected={str(reason): count for reason, count in report.rejected_by_reason.items()},
            set_aside=[one.file for one in report.set_aside],
            replaced_source=report.replaced_source,
            **(asked.metadata() if asked.calls else {}),
            daily_units=dg.MetadataValue.md(as_markdown_image(sparkline(by_day.to_numpy()), "units a day")),
        )
    )


@dg.asset(
    partitions_def=TENANTS,
    group_name=GROUP,
    kinds={"parquet"},
    owners=OWNERS,
    deps=[sales],
    freshness_policy=DAILY,
)
def calendar(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """What is known or foreseen by date: public holidays, closing days, covariates and signals, through the horizon."""
    opened = installation.open()
    with last_forecast_stands(opened.home, context.partition_key):
        tenant = opened.tenant(context.partition_key)
        daily = load_sales(opened.home, tenant.id)
        origin = last_complete_day(opened.home, tenant, daily)
        frame = build_calendar(tenant, daily, origin, opened.settings.horizon_days + DAYS_BEYOND)
        with reported() as asked:
            frame, signals = with_signals(frame, tenant, opened.home, opened.settings, opened.services, origin.date())
    for name, fault in signals.degraded.items():
        context.log.warning(f"{name}: {fault}")
    path = opened.home.table(tenant.id, "calendar")
    write_table(path, frame)
    ahead = frame[(frame["date"] > origin) & frame["holiday"].notna()].drop_duplicates("date")
    return dg.MaterializeResult(
        metadata=of_table(
            frame,
            path,
            columns.CALENDAR,
            origin=str(origin.date()),
            holidays=int(frame.loc[frame["holiday"].notna(), "date"].nunique()),
            coming_holidays={f"{row['date']:%Y-%m-%d}": row["holiday"] for row in records(ahead)},
            covariates=[c for c in frame.columns if c not in ("date", "product_id", "holiday", "closed")],
            **(_told(signals, asked) if tenant.signals else {}),
        )
    )


def _told(signals: Signals, asked: Report) -> dict[str, Any]:
    """What the calendar says of weather and traffic: until when each was issued, what is wrong, what was repeated."""
    return {"signals_issued": signals.issued, "degraded_signals": signals.degraded, **asked.metadata()}


@dg.asset(
    partitions_def=TENANTS,
    group_name=GROUP,
    kinds={"parquet", "numpy"},
    owners=OWNERS,
    deps=[sales, calendar],
    freshness_policy=WEEKLY,
)
def features(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """The training table: for each observed day its units and what was known of it the evening before.

    Clear one-day outliers are held back, as they are in fitting. Beside it lies `products`: what the history says of
    each product. The metadata counts the product days that were sold, zero, closed, unknown, masked, or before a
    product's first.
    """
    opened, begun = installation.open(), time.perf_counter()
    data = opened.data(context.partition_key)
    frame = feature_table(data.held.panel, data.outlook, opened.settings.max_feature_rows)
    path = opened.home.table(data.tenant.id, "features")
    metadata = described(f"{data.tenant.id}/features", path, frame, ("product_id", "date", "quantity"))
    write_table(path, frame, metadata)
    made_from = version_in_use(opened.home, data.tenant.id, "sales")
    record(opened.home.lineage, [dataset_built(metadata, made_from)])
    opened.registry.count_build(time.perf_counter() - begun)
    missing = frame.isna().mean()
    products = pd.DataFrame([product.model_dump() for product in products_of(data)])
    write_table(opened.home.table(data.tenant.id, "products"), products)
    status, days = np.unique(data.panel.status, return_counts=True)
    return dg.MaterializeResult(
        metadata=of_table(
            frame,
            path,
            columns.FEATURES,
            feature_count=metadata.feature_count,
            origin=str(data.origin.date()),
            products=preview(products),
            demand_classes={str(k): int(v) for k, v in products["demand_class"].astype(str).value_counts().items()},
            days_held_back=data.held.count,
            product_days={DayStatus(Status(k).name.lower()).value: int(v) for k, v in zip(status, days, strict=True)},
            **numbers({"missing_share": float(missing.mean())}),
        ),
        data_version=dg.DataVersion(metadata.dataset_version[:32]),
    )
