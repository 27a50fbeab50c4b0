"""`lineage`: what was noted of late, and whether every forecast in use can be walked back to its sales' files."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import datetime as dt
from collections.abc import Iterable

import dagster as dg
import pandas as pd

from pipeline.defs.ingestion.assets import OWNERS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import preview
from pipeline.monitoring.lineage.log import FaultyLine
from pipeline.monitoring.lineage.sending import send_waiting
from pipeline.monitoring.lineage.whole import noted_lately, wholeness
from pipeline.tenants import list_tenants

SHOWN = 100


@dg.asset(group_name="monitoring", kinds={"json"}, owners=OWNERS)
def lineage(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """What was made from what, as events: those of the last day by tenant and type, and lines that are none.

    Where an OpenLineage receiver or file is named, what waits to be sent there is sent.
    """
    opened = installation.open()
    tenants = [tenant.id for tenant in list_tenants(opened.home).usable]
    noted = noted_lately(opened.home, tenants, dt.datetime.now(dt.UTC))
    sent = send_waiting(opened.home, opened.settings)
    rows = [(whose, kind, count) for (whose, kind), count in sorted(noted.events.items())]
    faulty = table_of(noted.faults)
    for fault in noted.faults:
        context.log.warning(f"lineage: {fault}")
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(opened.home.lineage)),
            "events": noted.events.total(),
            "faulty_lines": len(noted.faults),
            "recorded": preview(pd.DataFrame(rows, columns=["tenant", "type", "events"]), SHOWN),
            **({"faulty": preview(faulty, SHOWN)} if noted.faults else {}),
            **({} if sent is None else {"openlineage": str(sent), "openlineage_sent": sent.sent}),
        }
    )


@dg.asset_check(asset=lineage)
def lineage_whole(context: dg.AssetCheckExecutionContext, installation: InstallationResource) -> dg.AssetCheckResult:
    """Every forecast in use can be walked back to the files of its sales, and no line of the last day is faulty."""
    opened = installation.open()
    tenants = [tenant.id for tenant in list_tenants(opened.home).usable]
    whole = wholeness(opened.home, tenants)
    lately = noted_lately(opened.home, tenants, dt.datetime.now(dt.UTC)).faults
    faults = {(one.file, one.line): one for one in (*whole.faults, *lately) if not one.torn}
    gaps = pd.DataFrame([vars(gap) for gap in whole.gaps])
    faulty = pd.DataFrame(
        [(one.file, one.line, one.fault) for one in faults.values()], columns=["file", "line", "fault"]
    )
    return dg.AssetCheckResult(
        passed=not whole.gaps and not faults,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "forecasts": whole.forecasts,
            "gaps": len(whole.gaps),
            "older_than_lineage": whole.older,
            "faulty_lines": len(faults),
            **({"missing": preview(gaps, SHOWN)} if whole.gaps else {}),
            **({"faulty": preview(faulty, SHOWN)} if faults else {}),
        },
    )


def table_of(faults: Iterable[FaultyLine]) -> pd.DataFrame:
    """Return faulty lines with their places."""
    return pd.DataFrame([(one.file, one.line, one.fault) for one in faults], columns=["file", "line", "fault"])
