"""A backtest of a sales file: what the pipeline would have forecast, origin by origin, for comparison with others."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from contracts import Tenant
from pipeline.compute import map_unordered, worker_memory
from pipeline.engine.evaluate import OriginForecasts, Task, at_origin, nested
from pipeline.engine.observe import Ledgered, lay_out
from pipeline.engine.outlook import to_outlook
from pipeline.engine.panel import Outlook
from pipeline.errors import DataError
from pipeline.home import Home
from pipeline.settings import Settings
from pipeline.sources.calendar import build_calendar
from pipeline.sources.extract import extract_sales
from pipeline.tenant_data import DAYS_BEYOND, usable_ahead
from pipeline.training.recipes import evaluated_families, families_of, recipes, search_of

MIN_DAYS, ACTIVE_DAYS = 90, 5
"""A product takes part with 90 days since its first row and 5 days with sales in the last 90."""
CALIBRATION_ORIGINS = 4
"""Earlier origins whose errors give the first scored origin its interval."""


@dataclass(frozen=True)
class Span:
    """How far ahead and how often: `folds` origins, `horizon` days apart, the last `horizon` days before the end."""

    horizon: int = 14
    folds: int = 4


def read(tenant: Tenant, settings: Settings, horizon: int) -> tuple[Ledgered, Outlook]:
    """Return a file's sales and outlook; nothing is kept.

    Raises:
        SourceError, DataError: the sales or covariates cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="backtest-") as folder:
        daily = extract_sales(tenant, Home(Path(folder)), settings, dt.datetime.now(dt.UTC)).daily
    sales = lay_out(daily)
    calendar = build_calendar(tenant, daily, sales.dates[-1], horizon + DAYS_BEYOND)
    return sales, to_outlook(usable_ahead(tenant, calendar), sales.products)


def backtest(
    tenant: Tenant, settings: Settings, span: Span, workers: int, progress: Callable[[int, int], None]
) -> list[OriginForecasts]:
    """Return the scored origins, with every family and with intervals from strictly earlier origins.

    Raises:
        SourceError, DataError: the sales cannot be used, or are too short for the folds.
        ComputeError: an origin was lost.
    """
    sales, outlook = read(tenant, settings, span.horizon)
    origins = _origins(sales, span)
    scored_from = origins[-span.folds]
    tasks = [
        Task(
            sales,
            outlook,
            origin,
            span.horizon,
            families_of(settings) if origin >= scored_from else evaluated_families(settings),
            recipes(settings),
            MIN_DAYS,
            settings.zero_share_error,
            ACTIVE_DAYS,
            zeros_count=True,
            search=search_of(settings),
        )
        for origin in reversed(origins)
    ]
    done: list[OriginForecasts] = []
    progress(0, len(tasks))
    memory = worker_memory(settings, workers)
    for outcome in map_unordered(at_origin, tasks, workers=workers, timeout=float("inf"), memory=memory):
        if outcome.error is not None:
            raise outcome.error
        if outcome.value is not None:
            done.append(outcome.value)
        progress(len(done), len(tasks))
    return nested(done, strictly_earlier=True)[-span.folds :]


def _origins(sales: Ledgered, span: Span) -> Sequence[pd.Timestamp]:
    """The calibration origins that history allows, then the folds."""
    step, end = pd.Timedelta(days=span.horizon), sales.dates[-1]
    earliest = sales.dates[0] + pd.Timedelta(days=MIN_DAYS - 1)
    folds = [end - step * k for k in range(span.folds, 0, -1)]
    if folds[0] < earliest:
        raise DataError(
            f"{span.folds} folds of {span.horizon} days need {(earliest - folds[0]).days} more days of sales: "
            f"these begin on {sales.dates[0].date()} and end on {end.date()}; ask for fewer --folds"
        )
    before = [folds[0] - step * k for k in range(CALIBRATION_ORIGINS, 0, -1)]
    return [origin for origin in before if origin >= earliest] + folds
