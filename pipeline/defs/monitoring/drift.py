"""`drift`: which products have moved since their model was trained, and the check that none has."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import dagster as dg
import pandas as pd

from contracts import DriftKind, DriftRow
from pipeline.defs.ingestion.assets import OWNERS, calendar, sales
from pipeline.defs.monitoring.forecast_accuracy import forecast_accuracy
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import of_table
from pipeline.monitoring.causes import remember
from pipeline.monitoring.drift import find_drift
from pipeline.monitoring.live import load_live
from pipeline.plots import as_markdown_image, bar_plot
from pipeline.tables import read_table, records, write_table

LISTED = 100
PLOTTED = 12


@dg.asset(
    partitions_def=TENANTS,
    group_name="monitoring",
    kinds={"parquet"},
    owners=OWNERS,
    deps=[sales, calendar, forecast_accuracy],
)
def drift(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """How far each product has moved since its newest model: its sales, and its sales against what the model said.

    Only days after the model's origin are evidence, open and not masked. What is found is a cause for training.
    """
    opened = installation.open()
    data = opened.data(context.partition_key)
    live = load_live(opened, data)
    frame = find_drift(live, opened.settings)
    path = opened.home.table(data.tenant.id, "drift")
    write_table(path, frame)
    found = remember(opened.home, live)
    for fault in live.faults:
        context.log.warning(f"drift without what cannot be read: {fault}")
    nothing = {"nothing": "no product has a model yet"} if frame.empty else {}
    return dg.MaterializeResult(
        metadata=of_table(
            frame,
            path,
            DriftRow,
            origin=str(data.origin.date()),
            causes_for_training=len(found.found),
            **_counts(frame),
            **nothing,
            **({"faults": list(live.faults)} if live.faults else {}),
            **_plot(frame, data.tenant.name),
        )
    )


@dg.asset_check(asset=drift, partitions_def=TENANTS)
def no_drift(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """No product has moved further since its model was trained than it usually does; those that have are named."""
    frame = read_table(installation.open().home.table(context.partition_key, "drift"), "the drift")
    found = _worst(frame)
    named = [
        dg.TableRecord({"product": row["product_id"], "kind": row["kind"], "reason": row["reason"]})
        for row in records(found.head(LISTED))
    ]
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**_counts(frame), **({"products": dg.MetadataValue.table(named)} if named else {})},
    )


def _counts(frame: pd.DataFrame) -> dict[str, int]:
    found = frame[frame["drifting"].astype(bool)]
    kinds = {f"drifting_{kind.value}": int((found["kind"] == kind.value).sum()) for kind in DriftKind}
    judged = frame[frame["change"].notna()]
    return {
        "drifting": int(found["product_id"].nunique()),
        **kinds,
        "judged": int(judged["product_id"].nunique()),
        "products": int(frame["product_id"].nunique()),
    }


def _worst(frame: pd.DataFrame) -> pd.DataFrame:
    """The drifting rows, those that moved furthest first."""
    found = frame[frame["drifting"].astype(bool)]
    return found.loc[found["change"].astype(float).abs().sort_values(ascending=False).index]


def _plot(frame: pd.DataFrame, tenant: str) -> dict[str, dg.MarkdownMetadataValue]:
    """Units a day that were sold as bars, those that were expected as ticks, of the products that moved furthest."""
    found = _worst(frame).head(PLOTTED)
    if found.empty:
        return {}
    bars = [(row["product_id"], row["sold"] / row["days"], row["expected"] / row["days"]) for row in records(found)]
    svg = bar_plot(bars, title=f"{tenant}: units a day, and as expected", percent=False)
    return {"moved": dg.MetadataValue.md(as_markdown_image(svg, "units a day, and as expected"))}
