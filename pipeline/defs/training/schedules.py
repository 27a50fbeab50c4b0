"""The weekly retraining."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from pipeline.defs.jobs import train_and_forecast
from pipeline.defs.partitions import TENANTS
from pipeline.settings import get_settings

CONFIG = {"ops": {"training_plan": {"config": {"scheduled": True}}}}


@dg.schedule(
    job=train_and_forecast,
    cron_schedule=get_settings().retrain_cron,
    execution_timezone="UTC",
    description="Retrains every tenant once a week: each product with new sales since its last model is due.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def weekly_retraining(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Retrain every tenant once a week: each product with new sales since its last model is due."""
    tenants = context.instance.get_dynamic_partitions(TENANTS.name or "")
    if not tenants:
        yield dg.SkipReason("no tenant is registered yet; add one with `pipeline tenants add`")
    day = context.scheduled_execution_time.strftime("%Y-%m-%d %H:%M")
    for tenant_id in tenants:
        yield dg.RunRequest(
            run_key=f"{tenant_id} {day}",
            partition_key=tenant_id,
            run_config=CONFIG,
            tags={"cause": "schedule", "tenant": tenant_id},
        )
