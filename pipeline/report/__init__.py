"""A tenant's report: one self-contained HTML page."""

from pipeline.report.content import ForecastDay, ProductLine, TenantReport, Totals, UnusualDay
from pipeline.report.render import render_report

__all__ = ["ForecastDay", "ProductLine", "TenantReport", "Totals", "UnusualDay", "render_report"]
