"""Checks on a tenant's sales: one summary evaluation a check and tenant, naming every faulty product."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

from collections.abc import Iterator, Sequence

import dagster as dg

from pipeline.defs.ingestion.assets import calendar, sales
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.forecasting.stale import mark_stale
from pipeline.monitoring.findings import HISTORY_CHECKS, REPORT_CHECKS, Finding, Severity
from pipeline.sources.extract import load_report

BLOCKING = {"required_fields"}
NAMED = 200
"""Findings that an evaluation lists; their number is always given."""


def _spec(name: str, description: str | None, **more: object) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name,
        asset=sales,
        description=(description or "").split("\n", maxsplit=1)[0],
        blocking=name in BLOCKING,
        partitions_def=TENANTS,
        **more,  # type: ignore[arg-type]
    )


@dg.multi_asset_check(name="sales_rows", specs=[_spec(name, check.__doc__) for name, check in REPORT_CHECKS.items()])
def sales_rows(
    context: dg.AssetCheckExecutionContext, installation: InstallationResource
) -> Iterator[dg.AssetCheckResult]:
    """Judge the rows as they came in."""
    opened = installation.open()
    report = load_report(opened.home, context.partition_key)
    for name, check in REPORT_CHECKS.items():
        found = list(check(report, opened.settings))
        if name in BLOCKING and any(finding.severity is Severity.ERROR for finding in found):
            mark_stale(opened.home, context.partition_key, found[0].reason)
        yield evaluation(name, found)


@dg.multi_asset_check(
    name="sales_history",
    specs=[_spec(name, check.__doc__, additional_deps=[calendar]) for name, check in HISTORY_CHECKS.items()],
)
def sales_history(
    context: dg.AssetCheckExecutionContext, installation: InstallationResource
) -> Iterator[dg.AssetCheckResult]:
    """Judge each product's history; a faulty product is restricted or left out, the rest go on."""
    opened = installation.open()
    data = opened.data(context.partition_key)
    for name, check in HISTORY_CHECKS.items():
        yield evaluation(name, list(check(data, opened.settings)))


def evaluation(name: str, findings: Sequence[Finding]) -> dg.AssetCheckResult:
    """Return one evaluation: passed without findings, and as severe as the worst of them."""
    severe = any(finding.severity is Severity.ERROR for finding in findings)
    rows = [
        dg.TableRecord(
            {
                "product": finding.product_id or "(all)",
                "severity": str(finding.severity),
                "reason": finding.reason,
                "rows": finding.rows,
                "examples": "; ".join(finding.examples[:5]),
            }
        )
        for finding in findings[:NAMED]
    ]
    return dg.AssetCheckResult(
        asset_key=sales.key,
        check_name=name,
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=_headline(findings) if findings else None,
        metadata={
            "findings": sum(max(finding.more, 1) for finding in findings),
            "products": len({f.product_id for f in findings if f.product_id}) + sum(f.more for f in findings),
            **({"faults": dg.MetadataValue.table(rows)} if rows else {}),
        },
    )


def _headline(findings: Sequence[Finding]) -> str:
    """The first finding, with its product: what a command or an alert says of the check."""
    product, reason = findings[0].product_id, findings[0].reason
    return f"{product}: {reason}" if product else reason
