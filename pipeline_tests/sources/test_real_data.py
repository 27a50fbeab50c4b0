"""Extraction of real sales, where a folder of them is given."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts import CovariateSource
from pipeline.engine.outlook import to_outlook
from pipeline.home import Home
from pipeline.settings import Settings
from pipeline.sources.calendar import build_calendar
from pipeline.sources.extract import extract_sales
from pipeline_tests.sources.builders import make_tenant

FOLDER = os.environ.get("PIPELINE_REAL_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="PIPELINE_REAL_DATA names no folder of real sales")


@pytest.mark.parametrize(("name", "products", "country"), [("french_bakery", 147, "FR"), ("ddop_bakery", 105, "DE")])
def test_every_real_row_is_used(name: str, products: int, country: str, tmp_path: Path) -> None:
    """Clean daily rows come through one to one, units and all."""
    path = Path(FOLDER or "") / name / "sales.parquet"
    tenant = make_tenant(path, country).model_copy(update={"id": name})
    found = extract_sales(tenant, Home(tmp_path), Settings())
    rows = pd.read_parquet(path)
    assert found.report.rows_used == found.report.rows_read == len(rows)
    assert found.report.products == products
    assert set(found.daily["product_id"]) == set(rows["product_id"])
    assert found.daily["quantity"].sum() == pytest.approx(rows["quantity"].sum())


def test_real_covariates_by_product(tmp_path: Path) -> None:
    """Seven covariates of 105 products reach the engine's arrays, each in its place."""
    folder = Path(FOLDER or "") / "ddop_bakery"
    source = CovariateSource(path=str(folder / "covariates.parquet"))
    tenant = make_tenant(folder / "sales.parquet", "DE").model_copy(update={"id": "ddop_bakery", "covariates": source})
    daily = extract_sales(tenant, Home(tmp_path), Settings()).daily
    products = sorted(daily["product_id"].unique())
    outlook = to_outlook(build_calendar(tenant, daily, daily["date"].max().date(), 14), products)
    rows = pd.read_parquet(folder / "covariates.parquet")
    assert len(outlook.by_product) == 7
    probe = rows.sample(50, random_state=1)
    for row in probe.itertuples():
        place = products.index(row.product_id), outlook.dates.get_loc(pd.Timestamp(row.date))
        assert outlook.by_product["rain"][place] == row.rain
    assert np.isnan(outlook.by_product["rain"][:, -14:]).all()
