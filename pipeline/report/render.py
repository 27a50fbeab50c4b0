"""Renders a tenant's report as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.forecasting.coming import first_to_come
from pipeline.monitoring.findings import Finding, Severity
from pipeline.plots import bar_plot, sparkline
from pipeline.report import words
from pipeline.report.content import (
    ForecastDay,
    ProductLine,
    TenantReport,
    Totals,
    known,
)

__all__ = ["ForecastDay", "ProductLine", "TenantReport", "Totals", "render_report"]

FOLDER = Path(__file__).parent
DETAILED = 200
"""Products, worst first, whose plot is kept: a page of a thousand plots would be slow to open."""
TOP = 12
"""Products named in the table of the next day before the rest is folded away."""
SPARK_DAYS = 56
MOST_FINDINGS = 500
SOME_SALES = 0.05
"""Units from which a day counts as one with sales expected."""


@dataclass(frozen=True)
class NextRow:
    """One product's line in the table of the next day."""

    line: ProductLine
    day: ForecastDay
    spark: Markup


@dataclass(frozen=True)
class Row:
    """One product's line in the table of all products."""

    line: ProductLine
    spark: Markup
    plot: Markup | None
    next_day: ForecastDay | None


def render_report(data: TenantReport) -> str:
    """Return the report as HTML text.

    Products come worst first: most units forecast wrong on an average day (error x volume); those without
    a known error follow, largest first. Plots beyond the worst 200 products are left out. Lone surrogates,
    which no file can hold, become question marks.
    """
    products = worst_first(data.products)
    sparks = {p.product_id: Markup(_spark(p)) for p in products}  # noqa: S704 -- made by pipeline.plots, escaped there
    today = data.generated_at.date()
    date = next_date(products, today)
    script = (FOLDER / "report.js").read_text(encoding="utf-8")
    page = _template().render(
        data=data,
        totals=data.totals,
        verdict=words.verdict(data.totals),
        next_date=date,
        next_word=words.day_from(today, date),
        next_is_over=date is not None and date < today,
        next_rows=_next_rows(products, date, sparks),
        top=TOP,
        rows=[_row(place, line, date, sparks[line.product_id]) for place, line in enumerate(products)],
        by_class=_error_by_class(products),
        most=MOST_FINDINGS,
        findings=_sorted_findings(data.findings),
        style=Markup((FOLDER / "report.css").read_text(encoding="utf-8")),  # noqa: S704 -- our own file
        script=Markup(script),  # noqa: S704 -- our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def worst_first(products: Sequence[ProductLine]) -> list[ProductLine]:
    """Return the products by units wrong on an average day, most first; without a known error last."""

    def badness(line: ProductLine) -> tuple[bool, float, str]:
        wrong = line.wrong_units
        return wrong is None, -(known(line.mean_quantity) or 0.0) if wrong is None else -wrong, line.product_id

    return sorted(products, key=badness)


def next_date(products: Sequence[ProductLine], today: dt.date) -> dt.date | None:
    """Return the first day from today on for which anything is expected to be sold, else the first; None without."""
    days = (d.date for line in products for d in line.forecast if (known(d.y_hat) or 0.0) >= SOME_SALES)
    return first_to_come(days, today)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for helper in (
        words.percent,
        words.fine_percent,
        words.signed_percent,
        words.decimal,
        words.units,
        words.raw,
        words.method,
    ):
        environment.filters[helper.__name__] = helper
    environment.globals["unusual"] = words.unusual
    environment.filters |= {"short_day": words.short_day, "long_day": words.long_day}
    return environment.get_template("report.html.j2")


def _spark(line: ProductLine) -> str:
    return sparkline(line.history[-SPARK_DAYS:], [day.y_hat for day in line.forecast])


def _day_of(line: ProductLine, date: dt.date | None) -> ForecastDay | None:
    return next((day for day in line.forecast if day.date == date), None)


def _next_rows(products: Sequence[ProductLine], date: dt.date | None, sparks: dict[str, Markup]) -> list[NextRow]:
    """Return the next day's products, largest quantity first, those with nothing to sell left out."""
    found = [(line, _day_of(line, date)) for line in products]
    rows = [
        NextRow(line, day, sparks[line.product_id])
        for line, day in found
        if day is not None and (known(day.upper) or known(day.y_hat) or 0.0) > 0
    ]
    return sorted(rows, key=lambda row: (-(known(row.day.y_hat) or 0.0), row.line.name))


def _row(place: int, line: ProductLine, date: dt.date | None, spark: Markup) -> Row:
    shown = line.plot_svg if place < DETAILED else None
    plot = Markup(shown) if shown else None  # noqa: S704 -- made by pipeline.plots, escaped there
    return Row(line, spark, plot, _day_of(line, date))


def _error_by_class(products: Sequence[ProductLine]) -> Markup | None:
    """Return bars of the volume-weighted error by demand class against repeating last week's."""
    scored = [
        p for p in products if known(p.wape) is not None and known(p.naive_wape) is not None and p.mean_quantity > 0
    ]
    bars = []
    for name, members in groupby(sorted(scored, key=lambda p: p.demand_class), key=lambda p: p.demand_class):
        group = list(members)
        volume = sum(p.mean_quantity for p in group)
        errors = [
            sum((getattr(p, field) or 0.0) * p.mean_quantity for p in group) / volume
            for field in ("wape", "naive_wape")
        ]
        bars.append((f"{name} ({len(group)})", errors[0], errors[1]))
    if not bars:
        return None
    title = "Error by demand class, against repeating last week"
    return Markup(bar_plot(bars, title=title))  # noqa: S704 -- made by pipeline.plots, escaped there


def _sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Return errors first, then by check; a check gives its own findings the worst first."""
    return sorted(findings, key=lambda f: (f.severity is not Severity.ERROR, f.check))
