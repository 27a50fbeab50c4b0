"""`anomalies`: which days were unlike the product's others."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import dagster as dg

from pipeline.defs import columns
from pipeline.defs.ingestion.assets import OWNERS, calendar, sales
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import numbers, of_table
from pipeline.monitoring.anomalies import judge_days
from pipeline.tables import write_table

GROUP = "monitoring"


@dg.asset(
    partitions_def=TENANTS, group_name=GROUP, kinds={"parquet", "scikitlearn"}, owners=OWNERS, deps=[sales, calendar]
)
def anomalies(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """Each recent product day: what it sold, what is usual, and how odd an isolation forest finds it.

    The forest's settings are found on faults put into the tenant's own sales, and stand until the data move.
    """
    opened = installation.open()
    data = opened.data(context.partition_key)
    judged = judge_days(data, opened.home, opened.settings)
    path = opened.home.table(data.tenant.id, "anomalies")
    write_table(path, judged.days)
    model = judged.model
    figures = {} if model is None else model.model_dump(include={"f1", "average_precision", "precision", "alarm"})
    return dg.MaterializeResult(
        metadata=of_table(
            judged.days,
            path,
            columns.ANOMALIES,
            origin=str(data.origin.date()),
            unusual=int(judged.days["unusual"].sum()),
            settings=judged.reason,
            **({} if model is None else {"recall": model.recall, **model.settings.model_dump()}),
            **numbers(figures),
        )
    )
