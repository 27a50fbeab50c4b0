"""How good the forecasts were that one had: asked for over a span of days, and answered from what is stored."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from contracts import EvaluationRequest
from pipeline.errors import ConfigurationError, DataError
from pipeline.forecasting.issued import issued_about, origins_of
from pipeline.forecasting.realised import Realised, figures, in_hand, realised
from pipeline.installation import Installation


@dataclass(frozen=True)
class Evaluated:
    """What became of the forecasts of the days from `first` to `last`.

    `table` as `realised` returns it; `results` the worst product first, all products last; `without` the products that
    were asked for and have no forecast; `days_without` the days of the span that no forecast is of.
    """

    first: dt.date
    last: dt.date
    table: pd.DataFrame
    results: list[Realised]
    without: tuple[str, ...]
    days_without: int


def evaluation_asked(opened: Installation, request: EvaluationRequest) -> Evaluated:
    """Hold the forecasts that were in hand against the stored sales; see `in_hand` and `realised`.

    Raises:
        ConfigurationError: there is no such tenant, or it does not sell a product that is asked for.
        DataError: the tenant has no sales in the span yet, or no forecast of it was made in time.
    """
    data = opened.data(request.tenant)
    if unknown := sorted(set(request.products) - set(data.panel.products)):
        raise ConfigurationError(f"products = {unknown[0]!r}: tenant {request.tenant!r} does not sell it")
    first, last = _span(request, data.origin.date())
    issued = _issued(opened.home.issued(request.tenant), request, first, last)
    table = realised(in_hand(issued, data.tenant.timezone, request.ahead), data.panel)
    if table.empty:
        raise DataError(
            f"no forecast of tenant {request.tenant!r} for {first} to {last} was made in time, from sales up to "
            f"{request.ahead} days before its day; the first was made at {issued['issued_at'].min():%Y-%m-%d %H:%M} UTC"
        )
    without = tuple(sorted(set(request.products) - set(table["product_id"])))
    days_without = (last - first).days + 1 - table["date"].nunique()
    return Evaluated(first, last, table, figures(table), without, days_without)


def _issued(folder: Path, request: EvaluationRequest, first: dt.date, last: dt.date) -> pd.DataFrame:
    """What was issued of the products that are asked for, about these days."""
    origins = origins_of(folder)
    if not origins:
        raise DataError(f"tenant {request.tenant!r} has issued no forecast yet: run the pipeline for this tenant first")
    issued = issued_about(folder, first, last)
    if issued.empty:
        raise DataError(
            f"no forecast of tenant {request.tenant!r} is for {first} to {last}: they were made from {origins[0]} to "
            f"{origins[-1]}, each for the days after"
        )
    asked = issued[issued["product_id"].isin(request.products)] if request.products else issued
    if asked.empty:
        raise DataError(f"no forecast of tenant {request.tenant!r} for {first} to {last} is of a product asked for")
    return asked


def _span(request: EvaluationRequest, origin: dt.date) -> tuple[dt.date, dt.date]:
    """The days that are asked for, as far as there are sales."""
    if request.days is not None:
        return origin - dt.timedelta(days=request.days - 1), origin
    assert request.start is not None
    assert request.end is not None
    if request.start > origin:
        raise DataError(f"start = {request.start}: the sales of tenant {request.tenant!r} reach to {origin}")
    return request.start, min(request.end, origin)
