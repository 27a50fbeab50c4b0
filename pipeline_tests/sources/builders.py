"""Tenants, files and extractions for the tests of sources."""

from __future__ import annotations

import csv
import datetime as dt
import os
from pathlib import Path

import pandas as pd

from contracts import FileSource, Tenant
from pipeline.home import Home
from pipeline.settings import Settings
from pipeline.sources.extract import Extraction, extract_sales

NOW = dt.datetime(2024, 6, 30, 10, 0, tzinfo=dt.UTC)
SETTINGS = Settings(
    retry_http_min_seconds=0.001,
    retry_http_max_seconds=0.002,
    retry_database_min_seconds=0.001,
    retry_database_max_seconds=0.002,
)
"""Repetitions hardly wait."""


def make_tenant(path: Path | str, country: str = "ES", timezone: str = "Europe/Madrid", **source: object) -> Tenant:
    """Return a tenant whose sales lie at a path."""
    files = FileSource.model_validate({"path": str(path), **source})
    return Tenant(id="shop", name="Shop", country=country, timezone=timezone, source=files)


def write_text(path: Path, text: str, age_minutes: float = 60, encoding: str = "utf-8") -> Path:
    """Write a file that was last changed some minutes ago, so that its time stamp is settled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return age(path, age_minutes)


def write_rows(path: Path, rows: pd.DataFrame, age_minutes: float = 60) -> Path:
    """Write rows as CSV or Parquet, by the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        rows.to_parquet(path, index=False)
    else:
        rows.to_csv(path, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return age(path, age_minutes)


def age(path: Path, minutes: float) -> Path:
    """Set a file's time of change to some minutes ago."""
    moment = dt.datetime.now(dt.UTC).timestamp() - 60 * minutes
    os.utime(path, (moment, moment))
    return path


def days(first: str, quantities: list[float], product: str = "bread") -> pd.DataFrame:
    """Return daily rows of one product."""
    dates = pd.date_range(first, periods=len(quantities)).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": dates, "product_id": product, "quantity": quantities})


def extract(tenant: Tenant, home: Home, now: dt.datetime = NOW, **settings: object) -> Extraction:
    """Extract with the default settings but those given."""
    return extract_sales(tenant, home, SETTINGS.model_copy(update=settings), now)


def quantities(extraction: Extraction) -> dict[tuple[str, str], float]:
    """Return the quantity of each product and day."""
    table = extraction.daily
    keys = zip(table["product_id"], table["date"].dt.strftime("%Y-%m-%d"), strict=True)
    return dict(zip(keys, table["quantity"], strict=True))
