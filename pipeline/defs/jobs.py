"""The jobs: everything for a tenant, or today's forecasts alone."""

from __future__ import annotations

import dagster as dg

from contracts import Priority
from pipeline.queue import NUMBERS, PRIORITY_TAG, priority_tags

TENANT_ASSETS = (
    "sales",
    "calendar",
    "features",
    "anomalies",
    "forecast_accuracy",
    "drift",
    "training_plan",
    "training_ledger",
    "evaluation",
    "champions",
    "forecasts",
    "report",
)

FEEDBACK_ASSETS = ("lineage", "freshness", "contract_validation", "serving_health")
DEPLOYMENT_CHECK = dg.AssetCheckKey(dg.AssetKey("deployments"), "deployment_healthy")

train_and_forecast = dg.define_asset_job(
    "train_and_forecast",
    selection=list(TENANT_ASSETS),
    executor_def=dg.in_process_executor,
    tags=priority_tags(Priority.NORMAL),
    description="A tenant's whole way from its sales to its forecasts; trains the products that are due, with cause.",
)

retrain_products = dg.define_asset_job(
    "retrain_products",
    selection=list(TENANT_ASSETS),
    executor_def=dg.in_process_executor,
    config={"ops": {"training_plan": {"config": {"products": [], "scheduled": False}}}},
    tags=priority_tags(Priority.HIGH),
    description=(
        "Retrain chosen products now: pick the tenant, write the product ids into `products` in the launchpad, "
        "launch. Their models are evaluated, promoted if they earn it, and used for the forecasts at once."
    ),
)

daily_forecast = dg.define_asset_job(
    "daily_forecast",
    selection=["sales", "calendar", "anomalies", "forecast_accuracy", "drift", "champions", "forecasts", "report"],
    executor_def=dg.in_process_executor,
    tags={PRIORITY_TAG: str(NUMBERS[Priority.URGENT])},
    description="Refresh a tenant's sales and forecast with the standing champions; nothing is trained.",
)

check_data = dg.define_asset_job(
    "check_data",
    selection=["sales", "calendar", "anomalies"],
    executor_def=dg.in_process_executor,
    tags={PRIORITY_TAG: str(NUMBERS[Priority.LOW])},
    description="Take a tenant's sales in and check them; nothing is trained or forecast.",
)

feedback = dg.define_asset_job(
    "feedback",
    selection=dg.AssetSelection.assets(*FEEDBACK_ASSETS) | dg.AssetSelection.checks(DEPLOYMENT_CHECK),
    executor_def=dg.in_process_executor,
    tags={PRIORITY_TAG: str(NUMBERS[Priority.LOW])},
    description="Look over all tenants what is late, broken or unwell; nothing is trained or forecast.",
)
