"""`forecast_accuracy`: how the forecasts that were in hand came out, and the check that they hold."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import dagster as dg
import numpy as np
import pandas as pd

from contracts import AccuracyRow, AccuracyVerdict
from pipeline.defs.ingestion.assets import OWNERS, calendar, sales
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import numbers, of_table
from pipeline.monitoring.causes import ALL, remember
from pipeline.monitoring.live import load_live
from pipeline.monitoring.live_accuracy import accuracy
from pipeline.plots import as_markdown_image, bar_plot
from pipeline.tables import read_table, records, write_table

NAME = "the accuracy of forecasts"
LISTED = 100
PLOTTED = 12


@dg.asset(partitions_def=TENANTS, group_name="monitoring", kinds={"parquet"}, owners=OWNERS, deps=[sales, calendar])
def forecast_accuracy(
    context: dg.AssetExecutionContext, installation: InstallationResource
) -> dg.MaterializeResult[None]:
    """The forecasts that were in hand, held against what was sold: by product, horizon and age of the model.

    Beside them stand what the backtest promised, what repeating last week would have done, and a verdict in words.
    """
    opened = installation.open()
    data = opened.data(context.partition_key)
    live = load_live(opened, data)
    frame = accuracy(live, opened.settings)
    path = opened.home.table(data.tenant.id, "forecast_accuracy")
    write_table(path, frame)
    remember(opened.home, live)
    for fault in live.faults:
        context.log.warning(f"accuracy without what cannot be read: {fault}")
    nothing = {"nothing": "no forecast was issued about days that are over yet"} if frame.empty else {}
    return dg.MaterializeResult(
        metadata=of_table(
            frame,
            path,
            AccuracyRow,
            origin=str(data.origin.date()),
            **_totals(frame),
            **nothing,
            **({"faults": list(live.faults)} if live.faults else {}),
            **_plot(frame, data.tenant.name),
        )
    )


@dg.asset_check(asset=forecast_accuracy, partitions_def=TENANTS)
def forecasts_hold(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """Forecasts are as good as the backtest promised, better than last week's sales, and ranges hold what they say."""
    opened = installation.open()
    frame, settings = read_table(opened.home.table(context.partition_key, "forecast_accuracy"), NAME), opened.settings
    bad = frame[frame["verdict"].isin([AccuracyVerdict.FALLING.value, AccuracyVerdict.WORSE_THAN_NAIVE.value])]
    named = [
        dg.TableRecord({"product": row["product_id"], "verdict": row["verdict"], "reason": row["reason"]})
        for row in records(bad.head(LISTED))
    ]
    total = _total(frame)
    told = total is not None and total["n"] >= settings.alert_coverage_days and np.isfinite(float(total["coverage"]))
    least, most = settings.alert_coverage_least, settings.alert_coverage_most
    honest = not told or least <= float(total["coverage"]) <= most  # type: ignore[index]
    return dg.AssetCheckResult(
        passed=bad.empty and honest,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "falling": int((bad["verdict"] == AccuracyVerdict.FALLING.value).sum()),
            "worse_than_naive": int((bad["verdict"] == AccuracyVerdict.WORSE_THAN_NAIVE.value).sum()),
            "coverage_honest": honest,
            **_totals(frame),
            **({"products": dg.MetadataValue.table(named)} if named else {}),
        },
    )


def _total(frame: pd.DataFrame) -> "pd.Series[float] | None":
    """The row over all products and days; None where nothing was scored."""
    found = frame[frame["product_id"].isna() & (frame["horizon"] == ALL) & (frame["model_age"] == ALL)]
    return None if found.empty else found.iloc[0]


def _totals(frame: pd.DataFrame) -> dict[str, float]:
    """The figures over all products, and how many products there are with each verdict."""
    total = _total(frame)
    told: dict[str, float] = {one.value: int((frame["verdict"] == one.value).sum()) for one in AccuracyVerdict}
    if total is None:
        return told
    figures = {name: float(total[name]) for name in ("wape", "naive_wape", "mase", "bias", "coverage")}
    return {**told, "days": int(total["n"]), **numbers({k: v for k, v in figures.items() if np.isfinite(v)})}


def _plot(frame: pd.DataFrame, tenant: str) -> dict[str, dg.MarkdownMetadataValue]:
    """New errors as bars, the promise as a tick; the products that exceed it most."""
    known = frame[frame["new_wape"].notna() & frame["promised_wape"].notna()]
    if known.empty:
        return {}
    excess = (known["new_wape"] - known["promised_wape"]).astype(float)
    worst = known.loc[excess.sort_values(ascending=False).index[:PLOTTED]]
    bars = [(str(row["product_id"]), row["new_wape"], row["promised_wape"]) for row in records(worst)]
    svg = bar_plot(bars, title=f"{tenant}: WAPE on new days, and as promised")
    return {"against_the_promise": dg.MetadataValue.md(as_markdown_image(svg, "WAPE on new days, and as promised"))}
