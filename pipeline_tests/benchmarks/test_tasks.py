"""The tasks: this project and its peers are given the same sales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.alone import at
from benchmarks.tasks import TASKS, Task, at_hand, prepare, prepared
from pipeline.sample.catalogue import CAFE
from pipeline.settings import get_settings
from pipeline.training.backtest import read


def real_task(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Three products' sales in a folder such as real ones lie in, one of them before the first day to look at."""
    days = pd.date_range("2023-01-01", periods=200)
    rows = [
        pd.DataFrame({"tenant_id": "shop", "product_id": product, "date": days.strftime("%Y-%m-%d"), "quantity": 3})
        for product in ("a", "b", "c")
    ]
    (folder / "shop").mkdir(parents=True)
    pd.concat(rows).to_parquet(folder / "shop" / "sales.parquet")
    monkeypatch.setenv("PIPELINE_REAL_DATA", str(folder))
    return Task("shop", "a shop", 2, country="DE", since="2023-02-01", every=2)


def test_real_sales_are_thinned_for_all_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second product from a day on: the peers' table and this project's tenant hold the same rows."""
    task = real_task(tmp_path / "real", monkeypatch)
    sales = prepare(task, tmp_path / "work").sales
    assert sales.products == ("a", "c")
    assert sales.dates[0] == pd.Timestamp("2023-02-01")
    ours, _ = read(prepared(tmp_path / "work").tenant, get_settings(), 14)
    assert ours.products == sales.products
    np.testing.assert_array_equal(ours.quantity, sales.units)


def test_peers_see_nothing_after_the_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer's history ends at the origin."""
    material = prepare(real_task(tmp_path / "real", monkeypatch), tmp_path / "work")
    origin = material.sales.origins(2)[0]
    assert at(origin, material.sales, material).history["ds"].max() == origin


def test_what_is_prepared_is_read_back(tmp_path: Path) -> None:
    """A sample business's sales and covariates come back as they were, and reach over all the days to forecast."""
    made = prepare(TASKS[CAFE.id], tmp_path / "cafe")
    found = prepared(tmp_path / "cafe")
    assert found.sales.products == made.sales.products
    np.testing.assert_array_equal(found.sales.units, made.sales.units)
    assert found.tenant == made.tenant
    assert found.covariates is not None
    assert found.covariates["ds"].max() >= found.sales.dates[-1]
    assert np.isfinite(found.covariates.drop(columns=["unique_id", "ds"])).all(axis=None)


def test_without_real_sales_the_sample_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without real sales measures the three sample businesses."""
    monkeypatch.delenv("PIPELINE_REAL_DATA", raising=False)
    assert [task.name for task in at_hand()] == ["horno_sol", "cafe_canteras", "maison_perrache"]
