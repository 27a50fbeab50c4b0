"""`contract_validation`: every metadata file of the installation, and of the systems that it watches, as a report."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import datetime as dt

import dagster as dg
import pandas as pd

from contracts import CheckReport
from pipeline.defs.ingestion.assets import OWNERS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import PREVIEW_ROWS, preview
from pipeline.home import write_atomically
from pipeline.monitoring.validation import REPORTS, last_reports, validate

NAMED = 50
"""Faults that the check names: rounds are many, and each is kept in Dagster's history."""


@dg.asset(group_name="monitoring", kinds={"json"}, owners=OWNERS, deps=["sales", "features", "forecasts"])
def contract_validation(
    context: dg.AssetExecutionContext, installation: InstallationResource
) -> dg.MaterializeResult[None]:
    """A report a metadata file: is it there, can it be read, and is it as its contract says."""
    opened, now = installation.open(), dt.datetime.now(dt.UTC)
    found = validate(opened, now)
    path = opened.home.monitoring / REPORTS
    write_atomically(path, found.model_dump_json(indent=2).encode())
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(path)),
            "files": len(found.reports),
            "failed": len(found.failed),
            "checks": sum(len(report.results) for report in found.reports),
            "preview": preview(faults(found.failed).head(PREVIEW_ROWS)),
        }
    )


def faults(failed: tuple[CheckReport, ...]) -> pd.DataFrame:
    """Return a line for each check that failed: file, check, detail."""
    lines = [(r.metadata_path, one.check, one.detail) for r in failed for one in r.results if not one.passed]
    return pd.DataFrame(lines, columns=["file", "check", "detail"])


@dg.asset_check(asset=contract_validation)
def contracts_kept(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """Every metadata file passes its checks; those that do not are named with the check and what was found."""
    found = last_reports(installation.open().home)
    named = faults(found.failed)
    more = f" (and {len(named) - 1} more)" if len(named) > 1 else ""
    return dg.AssetCheckResult(
        passed=named.empty,
        description=None if named.empty else f"{named['check'][0]}: {named['detail'][0]}{more}",
        metadata={
            "files": len(found.reports),
            "failed": len(found.failed),
            **({"faults": preview(named.head(NAMED), NAMED)} if len(named) else {}),
        },
    )
