"""What to do about what the checks of `sales` find, in words, and the findings of one request together."""

from __future__ import annotations

from collections.abc import Iterator

from contracts import DataQualityRequest
from pipeline.errors import ConfigurationError
from pipeline.installation import Installation
from pipeline.monitoring.findings import HISTORY_CHECKS, REPORT_CHECKS, Finding, Severity
from pipeline.sources.extract import load_report

ADVICE = {
    ("required_fields", Severity.ERROR): "Mend the file that is named, or the tenant's column mapping or date format.",
    (
        "required_fields",
        Severity.WARNING,
    ): "Look at the rows that are named; what they lack is lost until they are mended.",
    (
        "future_dates",
        Severity.WARNING,
    ): "See that the till's clock and the tenant's time zone and date format are right.",
    (
        "duplicates",
        Severity.WARNING,
    ): "If equal rows are sales of their own, set duplicates = 'keep' in the tenant's file.",
    ("quantities", Severity.WARNING): "Correct the quantities that are named, or raise MAX_QUANTITY if they are real.",
    ("product_count", Severity.ERROR): "See that the product column is mapped right, or raise MAX_PRODUCTS_PER_TENANT.",
    (
        "minimum_history",
        Severity.ERROR,
    ): "Give older exports, if there are any; else it is trained once enough days are in.",
    ("minimum_history", Severity.WARNING): "Nothing has to be done; older exports would make its forecast better.",
    (
        "zero_share",
        Severity.ERROR,
    ): "See that it is not split over several ids; if it sells this rarely, bake it to order.",
    (
        "zero_share",
        Severity.WARNING,
    ): "See whether days without sales were sold out or closed, and say so in the sales.",
    ("outliers", Severity.WARNING): "Correct the days that are typing errors; real orders may stay.",
}
"""By check and severity."""


def findings_asked(opened: Installation, request: DataQualityRequest) -> list[Finding]:
    """Return what the checks find in the stored sales of a tenant, errors first.

    With products, what is told of these alone.

    Raises:
        ConfigurationError: the tenant does not sell a product that is asked for.
        DataError: it has no sales or no calendar yet.
    """
    found = list(_findings(opened, request))
    return sorted(found, key=lambda finding: finding.severity is not Severity.ERROR)


def _findings(opened: Installation, request: DataQualityRequest) -> Iterator[Finding]:
    tenant = opened.tenant(request.tenant)
    data, report = opened.data(tenant.id), load_report(opened.home, tenant.id)
    if unknown := sorted(set(request.products) - set(data.panel.products)):
        raise ConfigurationError(f"products = {unknown[0]!r}: tenant {tenant.id!r} does not sell it")
    of_report = (finding for check in REPORT_CHECKS.values() for finding in check(report, opened.settings))
    of_history = (finding for check in HISTORY_CHECKS.values() for finding in check(data, opened.settings))
    for findings in (of_report, of_history):
        yield from (one for one in findings if not request.products or one.product_id in request.products)
