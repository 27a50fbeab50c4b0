"""A tenant's report: one self-contained HTML page."""

from pipeline.report.content import ForecastDay, ProductLine, TenantReport, Totals
from pipeline.report.render import render_report

__all__ = ["ForecastDay", "ProductLine", "TenantReport", "Totals", "render_report"]
