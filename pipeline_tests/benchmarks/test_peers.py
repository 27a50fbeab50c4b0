"""The peers: each gets what was known at the origin, and gives 14 days a product."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.peers import MEANS, PEERS, Problem, prophet
from benchmarks.scoring import HORIZON

ORIGIN = pd.Timestamp("2024-06-30")
WEEK = np.array([4.0, 5.0, 6.0, 7.0, 9.0, 12.0, 2.0])


def problem(products: int = 1, days: int = 182) -> Problem:
    """Products with the same week over and over, each larger than the one before, and promotions that double sales."""
    dates = pd.date_range(end=ORIGIN + pd.Timedelta(days=HORIZON), periods=days + HORIZON)
    promoted = np.resize([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], len(dates))
    blocks, given = [], []
    for number in range(1, products + 1):
        units = number * np.resize(WEEK, len(dates)) * (1 + promoted)
        blocks.append(pd.DataFrame({"unique_id": f"P{number:02d}", "ds": dates, "y": units}))
        given.append(pd.DataFrame({"unique_id": f"P{number:02d}", "ds": dates, "promotion": promoted}))
    history = pd.concat(blocks)
    return Problem("DE", history[history["ds"] <= ORIGIN], ORIGIN, dates, pd.concat(given))


def complete(asked: Problem, made: pd.DataFrame) -> bool:
    """Whether every product has a finite forecast for each day ahead, and nothing else has one."""
    wanted = {(product, day) for product in asked.history["unique_id"] for day in asked.ahead}
    rows = list(zip(made["unique_id"], made["ds"], strict=True))
    return len(rows) == len(wanted) and set(rows) == wanted and bool(np.isfinite(made["y_hat"]).all())


def with_promotions(asked: Problem, ahead: float) -> Problem:
    """The same with other promotions on the days ahead."""
    assert asked.covariates is not None
    given = asked.covariates.copy()
    given.loc[given["ds"] > asked.origin, "promotion"] = ahead
    return Problem(asked.country, asked.history, asked.origin, asked.dates, given)


def test_plain_prophet_looks_at_no_covariates() -> None:
    """Prophet as it comes forecasts 14 days and does not care what is known of the days ahead."""
    asked = problem()
    made, other = prophet.plain(asked), prophet.plain(with_promotions(asked, 1.0))
    assert complete(asked, made)
    pd.testing.assert_frame_equal(made, other)


def test_prophet_with_covariates_looks_at_them() -> None:
    """With a promotion on every day ahead the forecast is much higher than with none."""
    asked = problem()
    none, every = (prophet.with_covariates(with_promotions(asked, value)) for value in (0.0, 1.0))
    assert complete(asked, every)
    assert every["y_hat"].mean() > 1.3 * none["y_hat"].mean()


def test_tuned_prophet_uses_what_its_trials_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two trials and a fold its forecast is complete, and the same when asked again."""
    monkeypatch.setattr(prophet, "TRIALS", 2)
    monkeypatch.setattr(prophet, "FOLDS", 1)
    asked = problem()
    made = prophet.tuned(asked)
    assert complete(asked, made)
    pd.testing.assert_frame_equal(made, prophet.tuned(asked))


def test_samples_are_spread_over_volumes() -> None:
    """A few of many products are neither all large nor all small, and the same ones each time."""
    asked = problem(products=12)
    few = asked.few(4)
    assert sorted(few.history["unique_id"].unique()) == ["P02", "P05", "P08", "P11"]
    assert asked.few(50).history["unique_id"].nunique() == 12


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if "prophet" not in peer.needs])
def test_peers_of_other_libraries_forecast_all(name: str) -> None:
    """Each forecasts every product and day ahead; repeating last week gives exactly that."""
    for module in PEERS[name].needs:
        pytest.importorskip(module, reason="needs the extra [bench]")
    asked = problem(products=2)
    made = PEERS[name].forecast(asked)
    assert complete(asked, made)
    if name == "seasonal_naive":
        last = asked.history[asked.history["unique_id"] == "P02"]["y"].to_numpy()[-7:]
        np.testing.assert_allclose(made[made["unique_id"] == "P02"]["y_hat"], np.tile(last, 2))


@pytest.mark.parametrize("name", PEERS)
def test_who_sees_covariates_is_told_rightly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other promotions ahead change the forecasts of those that are said to see them, and of no other."""
    for module in PEERS[name].needs:
        pytest.importorskip(module, reason="needs the extra [bench]")
    monkeypatch.setattr(prophet, "TRIALS", 2)
    monkeypatch.setattr(prophet, "FOLDS", 1)
    asked = problem(products=8)  # with fewer the trees find too few promotions to split at
    none, every = (PEERS[name].forecast(with_promotions(asked, value)) for value in (0.0, 1.0))
    assert np.allclose(none["y_hat"], every["y_hat"]) is not PEERS[name].covariates


def test_means_are_of_peers() -> None:
    """What is averaged is measured before, on all products."""
    members = {name for mean in MEANS.values() for name in mean}
    assert members <= set(PEERS)
    assert not any(PEERS[name].sampled for name in members)


def test_the_big_trees_are_others() -> None:
    """More and larger trees forecast otherwise than the smaller ones."""
    for module in PEERS["lightgbm_big"].needs:
        pytest.importorskip(module, reason="needs the extra [bench]")
    asked = problem(products=2)
    small, big = (PEERS[name].forecast(asked) for name in ("lightgbm_recursive", "lightgbm_big"))
    assert not np.allclose(small["y_hat"], big["y_hat"])
