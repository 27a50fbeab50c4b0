"""A tenant's report with a product of every kind, made by hand."""

from __future__ import annotations

import datetime as dt

import pytest

from contracts import ExtractionReport, RejectedRow, Rejection
from pipeline.monitoring.findings import Finding, Severity
from pipeline.plots import product_plot
from pipeline.report import ForecastDay, ProductLine, TenantReport, Totals

ORIGIN = dt.date(2026, 9, 30)
HOSTILE = "<script>alert('x')</script><img src=http://evil.example/a onerror=alert(1)>"


def line(product_id: str, wape: float | None, naive: float | None, volume: float, **more: object) -> ProductLine:
    """Return a product whose forecast is its volume on each of 14 days."""
    ahead = tuple(ForecastDay(ORIGIN + dt.timedelta(days=k), volume, 0.7 * volume, 1.3 * volume) for k in range(1, 15))
    fields: dict[str, object] = {
        "name": product_id.title(),
        "demand_class": "high" if volume > 50 else "medium",
        "champion": "lightgbm + linear",
        "version": "20261001_020000",
        "rung": "champion",
        "mase": 0.8,
        "coverage": 0.9,
        "forecast": ahead,
        "history": tuple(volume + k % 7 for k in range(60)),
        "plot_svg": product_plot([(ORIGIN, volume)], [], [], [], [], [], title=product_id),
    }
    return ProductLine(product_id, wape=wape, naive_wape=naive, mean_quantity=volume, **(fields | more))  # type: ignore[arg-type]


@pytest.fixture
def lines() -> tuple[ProductLine, ...]:
    """Five products: worst by units wrong are bread (12), then cake (4), bun (2), rusk (1.5); torte has no error."""
    return (
        line("bun", 0.2, 0.25, 10.0),
        line("bread", 0.12, 0.10, 100.0),
        line("torte", None, None, 30.0, rung="seasonal_naive", outcome="insufficient", notes="15 days of data"),
        line("cake", 0.8, 1.0, 5.0, name="Crème brûlée"),
        line("rusk", 0.5, 0.5, 3.0, outcome="failed", plot_svg=None),
    )


@pytest.fixture
def report(lines: tuple[ProductLine, ...]) -> TenantReport:
    """The report of those five products, with an extraction and findings."""
    extraction = ExtractionReport(
        tenant_id="corner",
        extracted_at=dt.datetime(2026, 10, 1, 2, tzinfo=dt.UTC),
        files_seen=2,
        files_read=1,
        rows_read=1200,
        rows_used=1100,
        rows_merged=99,
        rows_rejected=1,
        merged_into_day=80,
        duplicates_dropped=19,
        return_rows=7,
        rejected_by_reason={Rejection.BAD_DATE: 1},
        examples=(RejectedRow(file="till.csv", row=12, reason=Rejection.BAD_DATE, value=HOSTILE[:80]),),
        repairs={"mojibake": 3},
        products=5,
        first_date=dt.date(2024, 1, 1),
        last_date=ORIGIN,
        partial_last_day=dt.date(2026, 10, 1),
    )
    findings = (
        Finding("zero_share", Severity.WARNING, "cake", "72 % of days without a sale", 720),
        Finding(
            "minimum_history", Severity.ERROR, "torte", "15 days of 30", 9, tuple(f"till.csv:{k}" for k in range(8))
        ),
    )
    return TenantReport(
        tenant_id="corner",
        tenant_name="Corner Bakery",
        generated_at=dt.datetime(2026, 10, 1, 2, 30, tzinfo=dt.UTC),
        origin=ORIGIN,
        horizon=14,
        totals=Totals(5, 3, 0, 1, 1, wape=0.21, naive_wape=0.28, mase=0.83, coverage=0.91),
        products=lines,
        extraction=extraction,
        findings=findings,
    )
