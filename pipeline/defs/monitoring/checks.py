"""The check that asks for a look at unusual days."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import dagster as dg

from pipeline.defs.monitoring.assets import anomalies
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.monitoring.anomalies import to_show
from pipeline.tables import read_table, records


@dg.asset_check(asset=anomalies, partitions_def=TENANTS)
def unusual_days(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """No recent day sold clearly more or less than is usual; those that did are named, the most surprising first."""
    opened = installation.open()
    data = opened.data(context.partition_key)
    days = read_table(opened.home.table(data.tenant.id, "anomalies"), "the judged days")
    found = to_show(days, data.origin, opened.settings)
    named = [
        dg.TableRecord(
            {
                "product": row["product_id"],
                "date": f"{row['date']:%Y-%m-%d}",
                "units": round(row["quantity"], 2),
                "usual": round(row["usual"], 2),
                "score": round(row["score"], 3),
            }
        )
        for row in records(found.head(opened.settings.unusual_days_shown))
    ]
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "unusual": len(found),
            "products": int(found["product_id"].nunique()),
            "judged_days": len(days),
            **({"days": dg.MetadataValue.table(named)} if named else {}),
        },
    )
