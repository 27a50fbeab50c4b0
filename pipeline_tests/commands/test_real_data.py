"""The commands on real sales, where a folder of them is given."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.settings import Settings
from pipeline.training.recipes import families_of
from pipeline_tests.commands.conftest import Answer, apart
from pipeline_tests.defs.world import World

FOLDER = Path(os.environ.get("PIPELINE_REAL_DATA", "absent"))
REAL = {"WORKERS": "2", "EVALUATION_ORIGINS": "4"}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="PIPELINE_REAL_DATA names no folder of real sales"),
]


@pytest.fixture(scope="module")
def french(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, World]:
    """A run on a French bakery's articles, many of them short."""
    world = World(tmp_path_factory.mktemp("french"))
    sales = FOLDER / "french_bakery" / "sales.parquet"
    return apart(world, "run", "--sales", sales, "--country", "FR", **REAL), world


def ledger(world: World, tenant: str) -> pd.DataFrame:
    """What became of each product."""
    return pd.read_parquet(world.home.table(tenant, "training_ledger")).set_index("product_id")


def test_every_french_article_is_accounted_for(french: tuple[Answer, World]):
    """All 147 articles stand in the ledger: trained, skipped or insufficient, and none failed."""
    answer, world = french
    assert answer.status == 0, answer.err
    found = ledger(world, "french_bakery")
    sold = pd.read_parquet(FOLDER / "french_bakery" / "sales.parquet")["product_id"].unique()
    assert set(found.index) == set(sold)
    counts = found["outcome"].value_counts()
    assert counts.sum() == 147
    assert counts.get("failed", 0) == 0
    assert counts["trained"] > 50
    row = next(line.split() for line in answer.lines if line.split()[0] == "french_bakery")
    shown = [counts.get(name, 0) for name in ("trained", "skipped", "insufficient", "failed")]
    assert [int(count) for count in row[1:5]] == shown


def test_short_french_articles_say_how_short_they_are(french: tuple[Answer, World]):
    """Each article that is too short has the sentence with its count of days."""
    _, world = french
    found = ledger(world, "french_bakery")
    short = found[found["outcome"] == "insufficient"]
    assert len(short) > 0
    for product, row in short.iterrows():
        wanted = f"Product requires minimum 30 days of sales data. Currently: {row['data_days']} days."
        assert row["reason"] == wanted, product
        assert row["data_days"] < 30
    skipped = found[found["outcome"] == "skipped"]
    assert skipped["reason"].str.contains("discontinued").all()


def test_french_models_are_whole_and_beat_the_naive(french: tuple[Answer, World]):
    """Every stored model verifies, and over all articles the error is below the seasonal naive's."""
    _, world = french
    verified = apart(world, "models", "verify")
    assert verified.status == 0
    frame = pd.read_parquet(world.home.table("french_bakery", "evaluation")).dropna(subset=["actual"])
    errors = {name: (frame["actual"] - frame[name]).abs().sum() for name in ("y_hat", "seasonal_naive")}
    assert errors["y_hat"] < errors["seasonal_naive"]


def test_german_bakeries_with_covariates(tmp_path: Path):
    """All 105 products of a table with seven covariates are trained, none failed, and weather is used."""
    world, folder = World(tmp_path / "world"), FOLDER / "ddop_bakery"
    command = ["run", "--sales", folder / "sales.parquet", "--covariates", folder / "covariates.parquet"]
    answer = apart(world, *command, "--country", "DE", **REAL)
    assert answer.status == 0, answer.err
    found = ledger(world, "ddop_bakery")
    assert len(found) == 105
    assert (found["outcome"] == "failed").sum() == 0
    assert (found["outcome"] == "trained").sum() > 90
    calendar = pd.read_parquet(world.home.table("ddop_bakery", "calendar"))
    assert {"rain", "temperature"} <= set(calendar.columns)
    forecasts = pd.read_parquet(world.home.table("ddop_bakery", "forecasts"))
    assert np.isfinite(forecasts[["y_hat", "lower", "upper"]].to_numpy(float)).all()


def test_a_backtest_of_the_french_bakery(tmp_path: Path):
    """Four origins, fourteen days each, with every family, and the combination better than the naive."""
    out = tmp_path / "backtest.parquet"
    command = ["backtest", "--sales", FOLDER / "french_bakery" / "sales.parquet", "--country", "FR"]
    answer = apart(World(tmp_path / "world"), *command, "--out", out, "--json", WORKERS="2")
    assert answer.status == 0, answer.err
    frame = pd.read_parquet(out)
    fixed = ["tenant_id", "product_id", "origin", "date", "horizon", "y_hat", "lower", "upper"]
    assert list(frame.columns) == [*fixed, *families_of(Settings())]
    last = pd.to_datetime(pd.read_parquet(FOLDER / "french_bakery" / "sales.parquet")["date"]).max()
    origins = sorted(pd.to_datetime(frame["origin"]).unique())
    assert origins == [last - pd.Timedelta(days=14 * fold) for fold in (4, 3, 2, 1)]
    figures = {row["forecast"]: row["WAPE"] for row in json.loads(answer.out)}
    assert 0 < figures["combination"] < figures["seasonal_naive"] < 1
