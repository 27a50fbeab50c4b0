"""Checks on what training left: outcomes, whole files, and honest figures."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import dagster as dg
import pandas as pd

from contracts import Outcome
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import numbers
from pipeline.errors import IntegrityError, RegistryError
from pipeline.tables import read_table
from pipeline.training.evaluation import honesty
from pipeline.training.integrity import VerifiedOnce, broken_files

COVERAGE = (0.8, 0.98)
"""Share of days inside the 0.9 interval below and above which it is called dishonest."""
BELOW_UPPER = 0.9
"""Share of days at or below the 0.95 quantile below which it is called dishonest."""
LISTED = 100
COMPARED = {"y_hat": "model", "seasonal_naive": "naive", "seasonal_average": "average"}
"""Columns of an evaluation whose errors are compared; one that older code has stored may lack the last."""


@dg.asset_check(asset="training_ledger", partitions_def=TENANTS)
def no_product_failed(
    context: dg.AssetCheckExecutionContext, installation: InstallationResource
) -> dg.AssetCheckResult:
    """No due product failed; those that did are named with the error."""
    ledger = read_table(installation.open().home.table(context.partition_key, "training_ledger"), "the ledger")
    failed = ledger[ledger["outcome"] == Outcome.FAILED.value]
    return dg.AssetCheckResult(
        passed=failed.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"failed": len(failed), **_named(failed, ["product_id", "error_type", "reason"])},
    )


@dg.asset_check(asset="training_ledger", partitions_def=TENANTS)
def artefacts_whole(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """Every file of the newest model of each product is there and matches its SHA-256."""
    opened = installation.open()
    tenant_id, broken, files, once = context.partition_key, [], 0, VerifiedOnce(opened.store)
    for product, record in opened.registry.latest(tenant_id).items():
        try:
            manifest = opened.registry.manifest(tenant_id, product, record.version)
        except IntegrityError as error:
            broken.append({"product": product, "fault": str(error)})
            continue
        files += sum(len(member.files) for member in manifest.members)
        try:
            faults = broken_files(manifest, once)
        except RegistryError as error:
            faults = [f"not known: {error}"]
        broken += [{"product": product, "fault": fault} for fault in faults]
    return dg.AssetCheckResult(
        passed=not broken, metadata={"files": files, "broken": len(broken), **_named(pd.DataFrame(broken))}
    )


@dg.asset_check(asset="evaluation", partitions_def=TENANTS)
def beats_naive(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """Over all products, the models' error is below that of repeating last week; the worst products are named."""
    frame = read_table(installation.open().home.table(context.partition_key, "evaluation"), "the evaluation")
    if frame.empty:
        return dg.AssetCheckResult(passed=True, metadata={"evaluated": 0})
    errors = frame.reindex(columns=[*COMPARED]).sub(frame["actual"], axis=0).abs().rename(columns=COMPARED)
    by_product = errors.groupby(frame["product_id"]).sum().reset_index()
    by_product["excess"] = by_product["model"] - by_product["naive"]
    worse = by_product[by_product["excess"] > 0].sort_values("excess", ascending=False)
    total = by_product[[*COMPARED.values()]].sum()
    return dg.AssetCheckResult(
        passed=bool(total["model"] < total["naive"]),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "evaluated": len(by_product),
            "worse_than_naive": len(worse),
            **{
                f"error_against_{name}": float(total["model"] / total[name]) if total[name] > 0 else 0.0
                for name in ("naive", "average")
            },
            **_named(worse),
        },
    )


@dg.asset_check(asset="evaluation", partitions_def=TENANTS)
def intervals_honest(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """The 0.9 range holds about nine of ten days; where little is sold its upper end holds about 19 of 20."""
    frame = read_table(installation.open().home.table(context.partition_key, "evaluation"), "the evaluation")
    told = honesty(frame)
    within = COVERAGE[0] <= told.get("coverage", COVERAGE[0]) <= COVERAGE[1]
    return dg.AssetCheckResult(
        passed=within and told.get("below_upper", BELOW_UPPER) >= BELOW_UPPER,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=numbers({**told, "lowest": COVERAGE[0], "highest": COVERAGE[1], "lowest_below_upper": BELOW_UPPER}),
    )


def _named(frame: pd.DataFrame, columns: list[str] | None = None) -> dict[str, dg.TableMetadataValue]:
    if frame.empty:
        return {}
    rows = frame[columns or list(frame.columns)].head(LISTED).astype(str).to_dict("records")
    return {"products": dg.MetadataValue.table([dg.TableRecord({str(k): v for k, v in row.items()}) for row in rows])}
