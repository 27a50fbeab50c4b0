"""What a tenant's report says: plain values, gathered by whoever knows them."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import NamedTuple

from contracts import ExtractionReport
from pipeline.monitoring.findings import Finding


class ForecastDay(NamedTuple):
    """One coming day of a product: mean and the ends of its 90 % range, units."""

    date: dt.date
    y_hat: float
    lower: float
    upper: float


@dataclass(frozen=True)
class ProductLine:
    """One product in the report; a figure that is not known is None.

    `outcome` of the last training (trained, skipped, insufficient, failed); `champion` in words, such as
    "lightgbm + linear"; `wape`, `naive_wape` (of repeating last week) and `coverage` as shares, `mase`
    without unit, `mean_quantity` in units a day; `history` recent daily units, NaN where unknown;
    `plot_svg` an SVG made by `pipeline.plots`, put into the page as it is.
    """

    product_id: str
    name: str
    demand_class: str
    outcome: str = "trained"
    champion: str = ""
    version: str | None = None
    rung: str = ""
    wape: float | None = None
    naive_wape: float | None = None
    mase: float | None = None
    coverage: float | None = None
    mean_quantity: float = 0.0
    forecast: tuple[ForecastDay, ...] = ()
    history: tuple[float, ...] = ()
    plot_svg: str | None = None
    notes: str = ""

    @property
    def improvement(self) -> float | None:
        """Share of the naive error that the forecast avoids; negative when it is worse."""
        return gain(self.wape, self.naive_wape)

    @property
    def wrong_units(self) -> float | None:
        """Units forecast wrong on an average day: error x volume."""
        error = known(self.wape)
        return None if error is None else error * (known(self.mean_quantity) or 0.0)


@dataclass(frozen=True)
class Method:
    """One way of forecasting in the report.

    `part` is its share of the forecasts, the mean of its weights over all products with a model; `products` counts
    those in which it has a share. `wape` is its own error on past days and `together` that of the finished forecast
    on the same days, as shares; `measured_as` names the family whose error stands for its own.
    """

    family: str
    part: float
    products: int
    wape: float | None = None
    together: float | None = None
    measured_as: str | None = None


class UnusualDay(NamedTuple):
    """A day that sold clearly more or less than such a day usually does, units."""

    name: str
    date: dt.date
    sold: float
    usual: float


@dataclass(frozen=True)
class Totals:
    """Counts of products by outcome, and errors over all of them; None where a figure is not known."""

    products: int = 0
    trained: int = 0
    skipped: int = 0
    insufficient: int = 0
    failed: int = 0
    wape: float | None = None
    naive_wape: float | None = None
    mase: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class TenantReport:
    """Everything in a tenant's report; `origin` is the last day that the forecasts have seen.

    `generated_at` is the moment in the tenant's time zone: its day is the one that the tenant calls today.

    `methods` are the ways of forecasting, the largest part first, out of `modelled` products that have a model.
    `unusual` are the days to look at among the last `unusual_of`, the most surprising first; `unusual_more` says how
    many more there are.
    """

    tenant_id: str
    tenant_name: str
    generated_at: dt.datetime
    origin: dt.date
    horizon: int
    totals: Totals
    products: tuple[ProductLine, ...] = ()
    extraction: ExtractionReport | None = None
    findings: tuple[Finding, ...] = ()
    methods: tuple[Method, ...] = ()
    modelled: int = 0
    unusual: tuple[UnusualDay, ...] = ()
    unusual_more: int = 0
    unusual_of: int = 28


def known(value: float | None) -> float | None:
    """Return the value, or None where it is missing or not finite."""
    return value if value is not None and math.isfinite(value) else None


def gain(error: float | None, reference: float | None) -> float | None:
    """Return the share of the reference's error that is avoided; None where either is unknown or it is 0."""
    mine, other = known(error), known(reference)
    return None if mine is None or other is None or other == 0 else 1 - mine / other
