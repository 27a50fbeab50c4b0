"""Checks on the forecasts before anybody bakes by them."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import dagster as dg
import numpy as np
import pandas as pd

from contracts import Rung
from pipeline.defs.forecasting.assets import forecasts
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.engine.panel import Bools
from pipeline.tables import read_table

LISTED = 100
COLUMNS = ["lower", "q10", "q25", "q50", "q75", "q90", "upper"]


@dg.asset_check(asset=forecasts, partitions_def=TENANTS)
def every_product_has_a_plan(
    context: dg.AssetCheckExecutionContext, installation: InstallationResource
) -> dg.AssetCheckResult:
    """Every product that is still sold has one finite, ordered row for each day of the horizon."""
    opened = installation.open()
    data = opened.data(context.partition_key)
    frame = read_table(opened.home.table(context.partition_key, "forecasts"), "the forecasts")
    ahead = pd.date_range(data.origin, periods=opened.settings.horizon_days + 1)[1:]
    usable = frame[sound(frame) & pd.to_datetime(frame["date"]).isin(ahead)]
    days = usable.groupby("product_id")["date"].nunique()
    sold = [p for p, gone in zip(data.panel.products, data.demand.discontinued, strict=True) if not gone]
    short = [p for p in sold if days.get(p, 0) < len(ahead)]
    return dg.AssetCheckResult(
        passed=not short,
        metadata={"products": len(sold), "without_a_plan": len(short), **_listed(pd.Series(short, dtype=object))},
    )


@dg.asset_check(asset=forecasts, partitions_def=TENANTS)
def champions_in_use(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """Products that have fallen from their champion to a lower rung, though a model is in use, are named."""
    opened = installation.open()
    frame = read_table(opened.home.table(context.partition_key, "forecasts"), "the forecasts")
    first = frame.drop_duplicates("product_id").set_index("product_id")
    owners = set(opened.registry.champions(context.partition_key))
    fallen = first[first.index.isin(owners) & (first["rung"] != Rung.CHAMPION.value)]
    return dg.AssetCheckResult(
        passed=fallen.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "champions": len(owners),
            "fallen": len(fallen),
            **_listed(fallen.index.to_series() + ": " + fallen["reason"].astype(str)),
        },
    )


def sound(frame: pd.DataFrame) -> Bools:
    """Say of each stored row, (n,), whether its units are finite and not negative, and its quantiles in order.

    The rows are taken as they lie in the file, not through ForecastRow: a file that was changed afterwards is found.
    """
    units = frame[["y_hat", *COLUMNS]].to_numpy(float)
    in_order = units[:, 2:] >= units[:, 1:-1]
    return np.asarray((np.isfinite(units) & (units >= 0)).all(axis=1) & in_order.all(axis=1))


def _listed(lines: pd.Series) -> dict[str, dg.TableMetadataValue]:
    if lines.empty:
        return {}
    return {"named": dg.MetadataValue.table([dg.TableRecord({"product": str(line)}) for line in lines.head(LISTED)])}
