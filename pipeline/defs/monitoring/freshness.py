"""`freshness`: how old data sets, sales, models and forecasts are, over all tenants."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import datetime as dt

import dagster as dg
import pandas as pd

from contracts import Freshness
from pipeline.defs import columns
from pipeline.defs.ingestion.assets import OWNERS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import PREVIEW_ROWS, of_table, preview
from pipeline.home import write_atomically
from pipeline.monitoring.dataset_freshness import (
    FILE,
    TABLE,
    DatasetFreshness,
    Round,
    freshness_of_datasets,
    last_round,
)
from pipeline.monitoring.product_freshness import CLOCKS, freshness_of_products
from pipeline.tables import read_table, write_table

NAMED = 50
"""Offenders that a check names: rounds are many, and each is kept in Dagster's history."""
CHARTED = 30
"""Tenants up to which each has numbers of its own; of more the table tells."""
FAR = 2.0
"""Times the threshold from which a data set that is late is an error, not a warning."""


WATCHED = ["sales", "features", "champions", "forecasts"]


@dg.asset(group_name="monitoring", kinds={"parquet"}, owners=OWNERS, deps=WATCHED)
def freshness(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """A row a tenant, product and clock: how far sales, model and forecast lie back, and whether that is too far.

    Days that are closed, sold out or unknown raise no alarm, nor do products that are given up or only begin.
    """
    opened, now = installation.open(), dt.datetime.now(dt.UTC)
    found, datasets = freshness_of_products(opened, now), freshness_of_datasets(opened, now)
    for tenant_id, fault in found.faults.items():
        context.log.warning(f"tenant {tenant_id!r} cannot be looked at: {fault}")
    path = opened.home.monitoring / f"{TABLE}.parquet"
    write_table(path, found.table)
    told = Round(evaluated_at=now, datasets=tuple(datasets), faults=found.faults, waiting=found.waiting)
    write_atomically(opened.home.monitoring / FILE, told.model_dump_json(indent=2).encode())
    stale = found.table[found.table["status"] == Freshness.STALE.value]
    return dg.MaterializeResult(
        metadata=of_table(
            found.table,
            path,
            columns.FRESHNESS,
            preview=preview(worst(stale).head(PREVIEW_ROWS)),
            tenants=int(found.table["tenant_id"].nunique()),
            not_looked_at=len(found.faults),
            without_sales=len(found.waiting),
            datasets=len(datasets),
            stale_datasets=len([one for one in datasets if is_stale(one)]),
            **{f"stale_{clock}": int((stale["clock"] == clock).sum()) for clock in CLOCKS},
            **_by_tenant(found.table, stale),
        )
    )


def worst(stale: pd.DataFrame) -> pd.DataFrame:
    """Return stale rows, those without anything first, then by how many times the threshold they lie back."""
    times = (stale["lag"] / stale["threshold"].clip(lower=1)).fillna(float("inf"))
    return stale.assign(times=times).sort_values("times", ascending=False, kind="stable").drop(columns="times")


def _by_tenant(table: pd.DataFrame, stale: pd.DataFrame) -> dict[str, int | dg.TableMetadataValue]:
    """The stale products by tenant and clock: as numbers that chart, or, of many tenants, as a table alone."""
    tenants = sorted(table["tenant_id"].unique())
    counts = stale.groupby(["tenant_id", "clock"]).size()
    rows = [{"tenant": t, **{clock: int(counts.get((t, clock), 0)) for clock in CLOCKS}} for t in tenants]
    numbers = {f"stale_{clock}_{row['tenant']}": row[clock] for row in rows for clock in CLOCKS}
    charted = numbers if len(tenants) <= CHARTED else {}
    return {**charted, **({"by_tenant": dg.MetadataValue.table([dg.TableRecord(row) for row in rows])} if rows else {})}


def is_stale(one: DatasetFreshness) -> bool:
    """Say whether a data set is too old."""
    return one.result is not None and one.result.status is Freshness.STALE


@dg.asset_check(asset=freshness)
def datasets_fresh(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """Every data set is younger than its threshold; those that are not, or of which that cannot be told, are named."""
    datasets = last_round(installation.open().home).datasets
    late = [one for one in datasets if one.fault is not None or is_stale(one)]
    lines = [
        {
            "data set": one.result.dataset_name if one.result else "",
            "seconds": one.result.freshness_seconds if one.result else None,
            "threshold": one.threshold_seconds,
            "fault": one.fault or "",
            "file": one.metadata_path,
        }
        for one in late
    ]
    return _result(
        len(datasets), pd.DataFrame(lines), error=any(map(_is_far, late)), names=[_name(one) for one in late]
    )


def _is_far(one: DatasetFreshness) -> bool:
    return one.result is None or one.result.freshness_seconds > FAR * (one.threshold_seconds or 0)


def _name(one: DatasetFreshness) -> str:
    return one.result.dataset_name if one.result else str(one.fault)


@dg.asset_check(asset=freshness)
def products_fresh(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """Every product's sales, model and forecast are young enough; those that are not are named, with the reason."""
    opened = installation.open()
    told = last_round(opened.home)
    table = read_table(opened.home.monitoring / f"{TABLE}.parquet", "the freshness of products")
    stale = worst(table[table["status"] == Freshness.STALE.value])
    faults = [{"tenant_id": name, "reason": fault} for name, fault in {**told.faults, **told.waiting}.items()]
    shown = ["tenant_id", "product_id", "clock", "lag", "unit", "threshold", "reason"]
    named = pd.concat([pd.DataFrame(faults, columns=shown), stale[shown]]) if faults else stale[shown]
    names = [f"tenant {line['tenant_id']}: {line['reason']}" for line in faults]
    names += [f"{row.tenant_id}/{row.product_id}: {row.clock}: {row.reason}" for row in stale.head(1).itertuples()]
    # A model that is too old still forecasts well enough for a while; without sales or a forecast nobody can bake.
    error = bool(told.faults) or bool((stale["clock"] != "model").any())
    return _result(table["product_id"].size // len(CLOCKS), named, error=error, names=names)


def _result(looked_at: int, named: pd.DataFrame, *, error: bool, names: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=named.empty,
        severity=dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN,
        description=f"{names[0]}{f' (and {len(named) - 1} more)' if len(named) > 1 else ''}" if names else None,
        metadata={
            "looked_at": looked_at,
            "stale": len(named),
            **({"named": preview(named.head(NAMED), NAMED)} if len(named) else {}),
        },
    )
