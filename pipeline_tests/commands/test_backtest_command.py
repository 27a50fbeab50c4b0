"""`pipeline backtest`: what other tools are compared with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.commands.backtest import FEW, MORE
from pipeline.settings import Settings
from pipeline.training.recipes import families_of
from pipeline_tests.commands.conftest import Answer, Terminal
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import World

FIXED = ["tenant_id", "product_id", "origin", "date", "horizon", "y_hat", "lower", "upper"]
ORIGINS = [tills.LAST - pd.Timedelta(days=28), tills.LAST - pd.Timedelta(days=14)]
YOUNG, RARE = "Young roll", "Rare cake"


def sales() -> pd.DataFrame:
    """Two steady products, one that is 90 days old at the second origin alone, one that hardly sells.

    History carries one origin before the first: its errors alone give the first its intervals.
    """
    dates = pd.date_range(end=tills.LAST, periods=135)
    rows = [tills.steady("Bun", 20, 135), tills.steady("Roll", 10, 135), tills.steady(YOUNG, 9, 110)]
    return pd.concat([*rows, tills.sold(RARE, dates[::45], 1)], ignore_index=True)


def backtest(world: World, capsys: pytest.CaptureFixture[str], frame: pd.DataFrame, name: str) -> tuple[Answer, Path]:
    """Type the command for some sales."""
    place, out = tills.write(frame, world.root / name / "till.csv"), world.root / f"{name}.parquet"
    command = ["backtest", "--sales", place, "--country", "ES", "--folds", "2", "--horizon", "14", "--out", out]
    return Terminal(world, capsys)(*command, "--json"), out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Where the files lie."""
    return World(tmp_path_factory.mktemp("backtest"))


@pytest.fixture
def made(world: World, capsys: pytest.CaptureFixture[str]) -> tuple[Answer | None, pd.DataFrame]:
    """The backtest's file, written at first use, with the answer then."""
    out = world.root / "first.parquet"
    answer = None if out.exists() else backtest(world, capsys, sales(), "first")[0]
    return answer, pd.read_parquet(out)


def test_the_columns_are_those_agreed(made: tuple[Answer | None, pd.DataFrame]):
    """Exactly the columns that other tools read, then one for each family; a summary goes to stdout."""
    answer, frame = made
    assert answer is not None
    assert answer.status == 0, answer.err
    assert list(frame.columns) == [*FIXED, *families_of(Settings())]
    assert set(frame["tenant_id"]) == {"till"}
    told = {row["forecast"]: row for row in json.loads(answer.out)}
    assert list(told) == ["combination", FEW, MORE, *families_of(Settings())]
    assert told[MORE] == told["combination"] | {"forecast": MORE}, "all products that take part sell 5 and more"
    assert {value for name, value in told[FEW].items() if name != "forecast"} == {None}
    assert 0 < told["combination"]["pinball"] < told["combination"]["WAPE"] * frame["y_hat"].mean()
    assert 0.5 < told["combination"]["below upper"] <= 1
    assert told["linear"]["pinball"] is None, "a family alone has no range"


def test_the_origins_do_not_overlap(made: tuple[Answer | None, pd.DataFrame]):
    """Origins are the last day less 28 and 14; each forecasts the 14 days after it, once a product."""
    _, frame = made
    frame = frame.assign(origin=pd.to_datetime(frame["origin"]), date=pd.to_datetime(frame["date"]))
    assert sorted(frame["origin"].unique()) == ORIGINS
    assert ((frame["date"] - frame["origin"]).dt.days == frame["horizon"]).all()
    assert set(frame["horizon"]) == set(range(1, 15))
    assert not frame.duplicated(["product_id", "date"]).any()
    assert frame["date"].max() == tills.LAST


def test_products_take_part_with_enough_history(made: tuple[Answer | None, pd.DataFrame]):
    """A product takes part with 90 days since its first row and 5 days with sales in the last 90."""
    _, frame = made
    origin = pd.to_datetime(frame["origin"])
    assert set(frame.loc[origin == ORIGINS[0], "product_id"]) == {"Bun", "Roll"}
    assert set(frame.loc[origin == ORIGINS[1], "product_id"]) == {"Bun", "Roll", YOUNG}


def test_the_figures_are_sound(made: tuple[Answer | None, pd.DataFrame]):
    """Forecasts are finite, not negative, and inside their intervals where these are known."""
    _, frame = made
    figures = frame[["y_hat", *families_of(Settings())]].to_numpy(float)
    assert np.isfinite(figures).all()
    assert (figures >= 0).all()
    assert frame[["lower", "upper"]].notna().all(axis=None)
    assert (frame["lower"] <= frame["upper"]).all()


def test_what_comes_after_an_origin_changes_nothing_at_it(
    made: tuple[Answer | None, pd.DataFrame], world: World, capsys: pytest.CaptureFixture[str]
):
    """Other sales, and other closing days, after the first origin leave every figure at that origin as it was."""
    _, before = made
    frame = sales()
    day = pd.to_datetime(frame["date"])
    after = day > ORIGINS[0]
    frame.loc[after, "quantity"] = frame.loc[after, "quantity"] * 5 + 40
    frame = frame[~(after & (day.dt.dayofweek == 6))]
    answer, out = backtest(world, capsys, frame, "altered")
    assert answer.status == 0, answer.err
    altered = pd.read_parquet(out)
    first, second = (pd.to_datetime(before["origin"]) == origin for origin in ORIGINS)
    same = pd.to_datetime(altered["origin"]) == ORIGINS[0]
    pd.testing.assert_frame_equal(
        altered[same].reset_index(drop=True), before[first].reset_index(drop=True), check_exact=True
    )
    assert altered.loc[~same, "y_hat"].mean() > 2 * before.loc[second, "y_hat"].mean()
