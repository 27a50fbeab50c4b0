"""What is wrong with a tenant's sales: one list of findings per check, each naming product, reason and rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from contracts import ExtractionReport, Rejection
from pipeline.engine.demand import insufficient
from pipeline.engine.panel import Floats
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData

SHOWN = 20
"""Rows that a finding names one by one."""
NEIGHBOURS = 28
"""Days on either side that an outlier is held against."""


class Severity(StrEnum):
    """Whether a finding changes what happens (error) or only asks for a look (warning)."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One fault: of a product, or of the tenant's sales as a whole where `product_id` is None."""

    check: str
    severity: Severity
    product_id: str | None
    reason: str
    rows: int
    examples: tuple[str, ...] = ()


ReportCheck = Callable[[ExtractionReport, Settings], Iterator[Finding]]
HistoryCheck = Callable[[TenantData, Settings], Iterator[Finding]]


def required_fields(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """Rows without a usable date, product or quantity; an error where they are more than MAX_REJECTED_SHARE."""
    unusable = (Rejection.BAD_DATE, Rejection.BAD_QUANTITY, Rejection.MISSING_PRODUCT, Rejection.MALFORMED)
    count = sum(report.rejected_by_reason.get(reason, 0) for reason in unusable)
    if count:
        share = count / max(report.rows_read, 1)
        severe = share > settings.max_rejected_share
        reason = f"{count} of {report.rows_read} rows ({share:.1%}) lack a usable date, product or quantity"
        yield _of_report("required_fields", report, reason, count, unusable, severe=severe)


def future_dates(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """Rows dated after today in the tenant's time zone; they are left out."""
    del settings
    count = report.rejected_by_reason.get(Rejection.FUTURE_DATE, 0)
    if count:
        reason = f"{count} rows are dated in the future and were left out"
        yield _of_report("future_dates", report, reason, count, (Rejection.FUTURE_DATE,))


def duplicates(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """Rows equal to another in every column; they are dropped unless the source keeps them."""
    del settings
    if report.duplicates_dropped:
        reason = f"{report.duplicates_dropped} rows are exact repeats and were dropped"
        yield Finding("duplicates", Severity.WARNING, None, reason, report.duplicates_dropped)


def quantities(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """Returns beyond a day's sales, and quantities that no shop sells (MAX_QUANTITY)."""
    absurd = report.rejected_by_reason.get(Rejection.ABSURD_QUANTITY, 0)
    if absurd:
        reason = f"{absurd} rows hold more than {settings.max_quantity:g} units and were left out"
        yield _of_report("quantities", report, reason, absurd, (Rejection.ABSURD_QUANTITY,))
    if report.net_negative_days:
        reason = f"{report.net_negative_days} product days have more returns than sales and were set to 0"
        yield Finding("quantities", Severity.WARNING, None, reason, report.net_negative_days)


def product_count(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """At least one product, and at most MAX_PRODUCTS_PER_TENANT."""
    if not 1 <= report.products <= settings.max_products_per_tenant:
        reason = f"{report.products} products; 1 to {settings.max_products_per_tenant} are allowed"
        yield Finding("product_count", Severity.ERROR, None, reason, report.products)


def minimum_history(data: TenantData, settings: Settings) -> Iterator[Finding]:
    """Products with few observed days: below MIN_TRAINING_DATA_DAYS they are not trained."""
    for product, days in zip(data.panel.products, data.demand.data_days, strict=True):
        if days < settings.min_training_data_days:
            reason = f"{insufficient(int(days), settings.min_training_data_days)} Not trained, naive forecast only."
            yield Finding("minimum_history", Severity.ERROR, product, reason, int(days))
        elif days < settings.recommended_data_days:
            reason = f"{days} observed days; {settings.recommended_data_days} are recommended"
            yield Finding("minimum_history", Severity.WARNING, product, reason, int(days))


def zero_share(data: TenantData, settings: Settings) -> Iterator[Finding]:
    """Products that hardly ever sell: above ZERO_SHARE_ERROR only naive and intermittent families are used."""
    for row, (product, share) in enumerate(zip(data.panel.products, data.demand.zero_share, strict=True)):
        days = int(data.demand.data_days[row])
        if days < settings.min_training_data_days or share <= settings.zero_share_warning:
            continue
        severe = share > settings.zero_share_error
        ending = "; naive and intermittent families only" if severe else ""
        reason = f"{share:.1%} of {days} observed days have no sales{ending}"
        severity = Severity.ERROR if severe else Severity.WARNING
        yield Finding("zero_share", severity, product, reason, round(share * days))


def outliers(data: TenantData, settings: Settings) -> Iterator[Finding]:
    """Days far from a product's usual ones, by the median absolute deviation of the surrounding weeks."""
    for product, units in zip(data.panel.products, data.panel.quantity, strict=True):
        far = np.flatnonzero(deviations(units) > settings.outlier_mads)
        if far.size:
            examples = tuple(f"{data.panel.dates[i].date()}: {units[i]:g} units" for i in far[:SHOWN])
            reason = f"{far.size} days lie more than {settings.outlier_mads:g} deviations from the usual"
            yield Finding("outliers", Severity.WARNING, product, reason, int(far.size), examples)


REPORT_CHECKS: dict[str, ReportCheck] = {
    check.__name__: check for check in (required_fields, future_dates, duplicates, quantities, product_count)
}
HISTORY_CHECKS: dict[str, HistoryCheck] = {check.__name__: check for check in (minimum_history, zero_share, outliers)}


def deviations(units: Floats) -> Floats:
    """Return (t,) robust deviations of each observed day from the surrounding eight weeks; 0 where unobserved.

    The deviation's unit is 1.4826 times the median absolute deviation (Hampel 1974), and at least the root
    of the median, as for a count, so that a steady product's ordinary days are not called outliers.
    """
    series = pd.Series(units)
    around, least = 2 * NEIGHBOURS + 1, NEIGHBOURS // 2
    median = series.rolling(around, center=True, min_periods=least).median()
    spread = 1.4826 * (series - median).abs().rolling(around, center=True, min_periods=least).median()
    unit = np.maximum(spread, np.sqrt(np.maximum(median, 1.0)))
    return np.asarray(((series - median).abs() / unit).fillna(0.0), float)


def _of_report(
    check: str,
    report: ExtractionReport,
    reason: str,
    rows: int,
    reasons: tuple[Rejection, ...],
    *,
    severe: bool = False,
) -> Finding:
    examples = tuple(f"{e.file} row {e.row}: {e.reason} {e.value!r}" for e in report.examples if e.reason in reasons)
    return Finding(check, Severity.ERROR if severe else Severity.WARNING, None, reason, rows, examples[:SHOWN])
