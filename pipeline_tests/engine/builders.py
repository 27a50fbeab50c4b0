"""Small panels, outlooks and daily tables for the tests of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.engine.panel import Bools, Floats, Outlook, Panel, Status

MONDAY = pd.Timestamp("2023-01-02")
NAN = float("nan")


def days(count: int, first: pd.Timestamp | str = MONDAY) -> pd.DatetimeIndex:
    """Return a daily axis."""
    return pd.date_range(first, periods=count, freq="D")


def outlook_of(count: int, first: pd.Timestamp | str = MONDAY, **known: Any) -> Outlook:
    """Return an outlook over `count` days; `known` are its other fields."""
    return Outlook(days(count, first), **known)


def on(count: int, *columns: int) -> Bools:
    """Return (count,) marks that are set at some columns."""
    marks = np.zeros(count, bool)
    marks[list(columns)] = True
    return marks


def panel_of(quantity: Any, products: Sequence[str] = (), first: pd.Timestamp | str = MONDAY, **labels: Any) -> Panel:
    """Return a panel of (n, t) units; NaN is masked, before a product's first number it is `BEFORE`."""
    units = np.atleast_2d(np.asarray(quantity, float))
    status = np.where(np.isnan(units), Status.MASKED, np.where(units > 0, Status.SOLD, Status.ZERO)).astype(np.int8)
    status[np.cumsum(np.isfinite(units), axis=1) == 0] = Status.BEFORE
    names = tuple(products) or tuple(f"p{row}" for row in range(len(units)))
    return Panel(names, days(units.shape[1], first), units, status, **labels)


def demand(count: int, products: int = 3, level: float = 20.0, seed: int = 1) -> Floats:
    """Return (products, count) Poisson units with a weekly season, the busier the later the product."""
    rng = np.random.default_rng(seed)
    season = 1 + 0.4 * np.sin(2 * np.pi * np.arange(count) / 7)
    levels = level * (1 + np.arange(products))[:, None]
    return rng.poisson(levels * season).astype(float)


def daily(rows: Sequence[tuple[str, int, float]], first: pd.Timestamp | str = MONDAY, **columns: Any) -> pd.DataFrame:
    """Return a daily table of (product, day number, units) rows; `columns` are added as they are."""
    table = pd.DataFrame(rows, columns=["product_id", "date", "quantity"])
    table["date"] = pd.Timestamp(first) + pd.to_timedelta(table["date"], unit="D")
    return table.assign(**columns)


def sold_daily(units: Floats, products: Sequence[str] = (), drop_zeros: bool = True) -> pd.DataFrame:
    """Return the daily table of (n, t) units, with no row where nothing was sold."""
    names = tuple(products) or tuple(f"p{row}" for row in range(len(units)))
    cells = [(names[row], day, units[row, day]) for row in range(units.shape[0]) for day in range(units.shape[1])]
    return daily([cell for cell in cells if np.isfinite(cell[2]) and (cell[2] > 0 or not drop_zeros)])
