"""What is wrong with a tenant's sales: one list of findings per check, each naming product, reason and rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from itertools import chain, islice
from typing import TypeVar

import numpy as np

from contracts import ExtractionReport, FaultKind, Rejection
from pipeline.engine.demand import insufficient
from pipeline.settings import Settings
from pipeline.sources.cleaning import UNUSABLE
from pipeline.tenant_data import TenantData

NOT_TRAINED = (
    "Not trained; its forecast is borrowed from similar products where three can lend, else last week's sales."
)
SHOWN = 20
"""Rows that a finding names one by one."""
MOST = 200
"""Findings of one check; the last of so many says how many more there are."""


class Severity(StrEnum):
    """Whether a finding changes what happens (error) or only asks for a look (warning)."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One fault: of a product, or of the tenant's sales as a whole where `product_id` is None.

    `more` is the number of products that it stands for without naming them.
    """

    check: str
    severity: Severity
    product_id: str | None
    reason: str
    rows: int
    examples: tuple[str, ...] = ()
    more: int = 0


ReportCheck = Callable[[ExtractionReport, Settings], Iterator[Finding]]
HistoryCheck = Callable[[TenantData, Settings], Iterator[Finding]]
Judged = TypeVar("Judged", ExtractionReport, TenantData)


def bounded(check: Callable[[Judged, Settings], Iterator[Finding]]) -> Callable[[Judged, Settings], Iterator[Finding]]:
    """Let a check that finds the worst first have at most 200 findings, the last of them for all that are left."""

    @wraps(check)
    def worst(judged: Judged, settings: Settings) -> Iterator[Finding]:
        found = sorted(check(judged, settings), key=lambda finding: finding.more > 0)
        if len(found) <= MOST and sum(finding.more > 0 for finding in found) < 2:
            yield from found
            return
        named = [finding for finding in found[: MOST - 1] if not finding.more]
        yield from named
        yield _summed(found[len(named) :])

    return worst


@bounded
def required_fields(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """Rows without a usable date, product or quantity; an error where they are more than MAX_REJECTED_SHARE.

    All of them are the first finding, as their share is what is judged; the others tell them by product. A file
    that was set aside for its share is an error, however many sound rows other files have.
    """
    count = sum(report.rejected_by_reason.get(reason, 0) for reason in UNUSABLE)
    if count:
        share = count / max(report.rows_read, 1)
        severe = share > settings.max_rejected_share or bool(report.set_aside)
        reason = f"{count} of {report.rows_read} rows ({share:.1%}) lack a usable date, product or quantity"
        if report.set_aside:
            reason += f"; set aside, nothing of them is taken: {_files_set_aside(report)}"
        yield _of_report("required_fields", report, reason, count, UNUSABLE, severe=severe)
        dates = _by_product("required_fields", report, FaultKind.BAD_DATE, "rows have no date that can be read")
        numbers = _by_product("required_fields", report, FaultKind.BAD_QUANTITY, "rows have no number as quantity")
        yield from (one for one in _largest_first(dates, numbers) if one.product_id is not None or one.more)


@bounded
def future_dates(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """Rows dated after today in the tenant's time zone; they are left out."""
    del settings
    what = "rows are dated in the future and were left out"
    yield from _by_product("future_dates", report, FaultKind.FUTURE_DATE, what)


@bounded
def duplicates(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """Rows equal to another in every column; they are dropped unless the source keeps them."""
    del settings
    yield from _by_product("duplicates", report, FaultKind.DUPLICATE, "rows are exact repeats and were dropped")


@bounded
def quantities(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """Returns beyond a day's sales, and quantities that no shop sells (MAX_QUANTITY)."""
    absurd = f"rows hold more than {settings.max_quantity:g} units and were left out"
    negative = "product days have more returns than sales and were set to 0"
    yield from _largest_first(
        _by_product("quantities", report, FaultKind.ABSURD_QUANTITY, absurd),
        _by_product("quantities", report, FaultKind.NET_NEGATIVE_DAY, negative),
    )


def product_count(report: ExtractionReport, settings: Settings) -> Iterator[Finding]:
    """At most MAX_PRODUCTS_PER_TENANT products."""
    if report.products > settings.max_products_per_tenant:
        reason = f"{report.products} products; up to {settings.max_products_per_tenant} are allowed"
        yield Finding("product_count", Severity.ERROR, None, reason, report.products)


@bounded
def minimum_history(data: TenantData, settings: Settings) -> Iterator[Finding]:
    """Products with few observed days: below MIN_TRAINING_DATA_DAYS they are not trained."""
    started = data.panel.started
    for row in np.argsort(data.demand.data_days, kind="stable"):
        product, days = data.panel.products[row], int(data.demand.data_days[row])
        if days >= settings.recommended_data_days:
            return
        severity, reason = Severity.WARNING, f"{days} observed days; {settings.recommended_data_days} are recommended"
        if days < settings.min_training_data_days:
            severity = Severity.ERROR
            reason = f"{insufficient(days, settings.min_training_data_days)} {NOT_TRAINED}"
        yield Finding("minimum_history", severity, product, reason, days, _span(data, row, started[row]))


@bounded
def zero_share(data: TenantData, settings: Settings) -> Iterator[Finding]:
    """Products that hardly ever sell: above ZERO_SHARE_ERROR only naive and intermittent families are used."""
    started = data.panel.started
    for row in np.argsort(-data.demand.zero_share, kind="stable"):
        share, days = float(data.demand.zero_share[row]), int(data.demand.data_days[row])
        if days < settings.min_training_data_days or share <= settings.zero_share_warning:
            continue
        severe = share > settings.zero_share_error
        ending = "; naive and intermittent families only" if severe else ""
        reason = f"{share:.1%} of {days} observed days have no sales{ending}"
        severity = Severity.ERROR if severe else Severity.WARNING
        examples = _span(data, row, started[row])
        yield Finding("zero_share", severity, data.panel.products[row], reason, round(share * days), examples)


@bounded
def outliers(data: TenantData, settings: Settings) -> Iterator[Finding]:
    """Clear one-day outliers; they stay in the sales, and count as a usual day in fitting."""
    del settings
    yield from _largest_first(_outliers(data))


REPORT_CHECKS: dict[str, ReportCheck] = {
    check.__name__: check for check in (required_fields, future_dates, duplicates, quantities, product_count)
}
HISTORY_CHECKS: dict[str, HistoryCheck] = {check.__name__: check for check in (minimum_history, zero_share, outliers)}


def _outliers(data: TenantData) -> Iterator[Finding]:
    for row in np.flatnonzero(data.held.days.any(axis=1)):
        product = data.panel.products[row]
        told = data.held.told(product)
        reason = f"{len(told)} days sold far more than usual, once; in fitting they count as usual ones"
        yield Finding("outliers", Severity.WARNING, product, reason, len(told), told[:SHOWN])


def _span(data: TenantData, row: int, started: int) -> tuple[str, ...]:
    """The first day of a product's data, and the last on which it sold; nothing where there is none."""
    dates = data.panel.dates
    sold = np.flatnonzero(np.nan_to_num(data.panel.quantity[row]) > 0)
    first = (f"first {dates[started].date()}",) if started < len(dates) else ()
    return (*first, f"last with sales {dates[sold[-1]].date()}") if sold.size else first


def _largest_first(*findings: Iterable[Finding]) -> list[Finding]:
    return sorted(chain(*findings), key=lambda finding: -finding.rows)


def _summed(left: list[Finding]) -> Finding:
    """One finding for those that are not named, as severe as the worst of them."""
    more = sum(max(finding.more, 1) for finding in left)
    severity = Severity.ERROR if any(one.severity is Severity.ERROR for one in left) else Severity.WARNING
    reason = f"and {more} more that are not named here"
    return Finding(left[0].check, severity, None, reason, sum(finding.rows for finding in left), (), more)


def _by_product(check: str, report: ExtractionReport, kind: FaultKind, what: str) -> Iterator[Finding]:
    """One finding a product that the report names, and one for the rows that it does not tell by product."""
    listed = [fault for fault in report.product_faults if fault.kind is kind]
    for fault in listed:
        nobody = " and name no product" if fault.product_id is None else ""
        yield Finding(
            check, Severity.WARNING, fault.product_id, f"{fault.rows} {what}{nobody}", fault.rows, fault.examples
        )
    rest = report.rows_with(kind) - sum(fault.rows for fault in listed)
    if rest:
        named = sum(fault.product_id is not None for fault in listed)
        more = max(report.products_at_fault.get(kind, 0) - named, 0)
        others = f", of {more} more products" if more else ""
        examples = () if listed else _examples(report, [reason for reason in Rejection if reason == kind.value])
        yield Finding(check, Severity.WARNING, None, f"{rest} {what}{others}", rest, examples, more)


def _files_set_aside(report: ExtractionReport) -> str:
    shown = [f"{one.file} ({one.unusable} of {one.rows} rows)" for one in report.set_aside[:SHOWN]]
    more = len(report.set_aside) - len(shown)
    return ", ".join([*shown, *([f"and {more} more files"] if more else [])])


def _of_report(
    check: str,
    report: ExtractionReport,
    reason: str,
    rows: int,
    reasons: tuple[Rejection, ...],
    *,
    severe: bool = False,
) -> Finding:
    severity = Severity.ERROR if severe else Severity.WARNING
    return Finding(check, severity, None, reason, rows, _examples(report, reasons))


def _examples(report: ExtractionReport, reasons: Sequence[Rejection]) -> tuple[str, ...]:
    found = (f"{e.file} row {e.row}: {e.reason} {e.value!r}" for e in report.examples if e.reason in reasons)
    return tuple(islice(found, SHOWN))
