"""Small hand-made tills: a few products, some of them with names that no path would like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

LAST = pd.Timestamp("2024-07-18")
DAYS = 200

STEADY = (
    "Croissant, butter",
    "Pain/../../../etc/passwd",
    "..",
    "Éclair 🍰 n° 1",
    "ring\x07 tab\tend",
    ("Käse-Brötchen 🧀 " * 32)[:500],
)
RARE = "wait ... what"
SHORT = "new, 15 days"
GONE = ".hidden\\gone%2F."
TRAINED = (*STEADY, RARE)
MISTYPED, TYPED_ON = STEADY[4], "2024-07-09"
"""A product, and the day on which ten times its units were typed."""
ODD = (*TRAINED, SHORT, GONE)


def sold(product: str, dates: pd.DatetimeIndex, units: object) -> pd.DataFrame:
    """A product that sells on the given days."""
    return pd.DataFrame({"date": dates.strftime("%Y-%m-%d"), "product_id": product, "quantity": units})


def steady(product: str, level: float = 12.0, days: int = DAYS) -> pd.DataFrame:
    """A product that sells every day up to LAST, more on weekends; the same name gives the same sales."""
    dates = pd.date_range(end=LAST, periods=days)
    units = np.random.default_rng(sum(product.encode())).poisson(level * np.where(dates.dayofweek >= 5, 1.6, 1.0))
    return sold(product, dates, units + 1)


def odd_sales() -> pd.DataFrame:
    """Nine products over 200 days: six steady, one with a typing error, one that hardly sells, a new and an old one."""
    days = pd.date_range(end=LAST, periods=DAYS)
    rows = [steady(product, 8 + 3 * number) for number, product in enumerate(STEADY)]
    typed = rows[STEADY.index(MISTYPED)]
    typed.loc[typed["date"] == TYPED_ON, "quantity"] *= 10
    rows += [sold(RARE, days[::25], 2), sold(SHORT, days[-15:], 5), sold(GONE, days[:60], 6)]
    return pd.concat(rows, ignore_index=True)


def write(frame: pd.DataFrame, path: Path) -> Path:
    """Write a till's export as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return path
