"""Borrowing: a young product between its own few days and its peers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.borrowing import BUSIEST, MOST_PEERS, SWING, Borrowed, borrow, choose_peers
from pipeline_tests.engine.builders import NAN

DAYS, HORIZON = 70, 14
WEEK = np.array([0.5, 0.8, 1.0, 1.0, 1.1, 1.3, 1.3])
SEASON, AHEAD = np.tile(WEEK, DAYS // 7), np.tile(WEEK, HORIZON // 7)


def lend(own: np.ndarray, levels: np.ndarray, noise: float = 0.0, **changed: np.ndarray) -> Borrowed:
    """Borrow from peers of some levels that share a week, and forecast it right."""
    rng = np.random.default_rng(3)
    peers = np.maximum(levels[:, None] * (SEASON + noise * rng.standard_normal((len(levels), DAYS))), 0)
    given = {"ahead": levels[:, None] * AHEAD, "shut": np.zeros((len(levels), HORIZON), bool)} | changed
    return borrow(own, peers, given["ahead"], given["shut"], np.sqrt(levels))


def young(*last: float) -> np.ndarray:
    """Return the units of a product that has its last days alone."""
    return np.concatenate([np.full(DAYS - len(last), NAN), last])


def test_without_a_day_of_its_own_it_is_a_typical_peer() -> None:
    """What nobody has seen sell is expected to sell as the median peer, on the peers' week."""
    found = lend(young(), np.array([10.0, 20.0, 90.0]))
    assert found.level == pytest.approx(20)
    np.testing.assert_allclose(found.y_hat, 20 * AHEAD)


def test_a_busy_day_is_no_high_level() -> None:
    """Two Sundays' sales are brought to a usual day before they count: the level is not that of a Sunday."""
    found = lend(young(6.5, 6.5), np.array([4.0, 20.0, 90.0]))
    assert found.level == pytest.approx(5, rel=0.05)
    np.testing.assert_allclose(found.y_hat[:5], 5 * AHEAD[:5], rtol=0.05)


def test_the_more_the_peers_differ_the_less_they_say() -> None:
    """Of peers that are alike a few days are held to their level; of peers that are not, the few days decide."""
    alike = lend(young(*[30.0] * 3), np.array([9.0, 10.0, 11.0]), noise=0.5)
    apart = lend(young(*[30.0] * 3), np.array([1.0, 10.0, 100.0]), noise=0.5)
    assert alike.level < 17
    assert apart.level > 20


def test_more_days_of_its_own_count_for_more() -> None:
    """The level moves from the peers' to its own, and a scaled error stands for relatively fewer units."""
    levels = np.array([6.0, 10.0, 14.0])
    found = [lend(30 * SEASON if n == DAYS else young(*(30 * SEASON[-n:])), levels, 0.8) for n in (1, 7, 28)]
    assert 10 < found[0].level < found[1].level < found[2].level < 30
    relative = [one.scale / np.sqrt(one.level) for one in found]
    assert relative[0] > relative[1] > relative[2]


def test_its_own_weekdays_are_learnt() -> None:
    """What rests on its peers' best day is, after three weeks, expected to sell half of theirs there alone."""
    own = 10 * SEASON.copy()
    own[6::7] = 0
    found = lend(young(*own[-21:]), np.array([8.0, 10.0, 12.0, 90.0]))
    theirs = found.level * AHEAD
    assert found.y_hat[6] < 0.55 * theirs[6]
    assert (found.y_hat[:6] > theirs[:6]).all()


def test_peers_that_are_shut_say_nothing() -> None:
    """A day on which some peers rest is as busy as the others say, and 1 where all rest."""
    levels = np.array([10.0, 20.0, 30.0])
    shut = np.zeros((3, HORIZON), bool)
    shut[0, 2], shut[:, 3] = True, True
    ahead = np.where(shut, 0.0, levels[:, None] * AHEAD)
    found = lend(young(), levels, shut=shut, ahead=ahead)
    assert found.y_hat[2] == pytest.approx(20 * AHEAD[2])
    assert found.y_hat[3] == pytest.approx(20)


def test_one_wild_peer_decides_nothing() -> None:
    """A promotion on the largest peer is not this product's, nor one's absurd forecast; nor is all at 0 believed."""
    levels = np.array([10.0, 60.0, 100.0])
    own, calm = young(*(10 * SEASON[-21:])), levels[:, None] * AHEAD
    usual = lend(own, levels).y_hat
    for times in ([1, 1, 10], [1e9, 1, 1], [1, 1, 1e9], [0, 1, 1]):
        np.testing.assert_allclose(lend(own, levels, ahead=calm * np.array(times)[:, None]).y_hat, usual)
    np.testing.assert_allclose(lend(own, levels, ahead=calm * 10).y_hat, SWING * usual)
    np.testing.assert_allclose(lend(own, levels, ahead=calm * 0).y_hat, usual / SWING)


def test_days_on_which_peers_hardly_sell_tell_no_level() -> None:
    """What sells on a weekday that peers do not is expected to sell there as it did, elsewhere as a typical peer."""
    levels, quiet = np.array([5.0, 20.0, 90.0]), 6
    week = np.where(np.arange(7) == quiet, 0.0, 7 / 6)
    peers, ahead = levels[:, None] * np.tile(week, DAYS // 7), levels[:, None] * np.tile(week, HORIZON // 7)
    shut, own = np.zeros((3, HORIZON), bool), np.full(DAYS, NAN)
    own[quiet::7][-3:] = 60
    found = borrow(own, peers, ahead, shut, np.sqrt(levels))
    assert found.level == pytest.approx(20)
    np.testing.assert_allclose(found.y_hat, np.tile(np.where(week > 0, 20 * week, 60), 2), rtol=1e-6)
    often = np.where(np.arange(DAYS) >= DAYS - 21, np.nan_to_num(own), NAN)
    found = borrow(often, peers, ahead, shut, np.sqrt(levels))
    assert found.y_hat[quiet] == pytest.approx(60)
    assert np.delete(found.y_hat, [quiet, quiet + 7]).max() < 3
    assert found.scale > 2


@pytest.mark.parametrize("sold", [1.0, 20.0])
def test_a_quiet_holiday_makes_no_best_seller(sold: float) -> None:
    """An own day on which the peers sold next to nothing leaves the level between its own and the peers'."""
    peers = np.array([10.0, 60.0, 300.0])[:, None] * SEASON
    peers[:, -1] = 0, 1, 6
    found = borrow(young(sold), peers, peers[:, -15:-1], np.zeros((3, HORIZON), bool), np.sqrt(peers.mean(axis=1)))
    assert found.level == pytest.approx(60, rel=0.05)


@pytest.mark.parametrize("closed", [14, 42, 90])
def test_days_without_observation_age_nothing(closed: int) -> None:
    """After weeks of closed or sold-out days the product's own days tell as much of its level as on the first."""
    levels, days = np.array([10.0, 60.0, 100.0]), 126
    peers = levels[:, None] * np.tile(WEEK, days // 7)
    peers[:, -closed:] = np.where(np.arange(closed) >= closed - 14, peers[:, -closed:], NAN)
    own = np.full(days, NAN)
    own[days - closed - 20 : days - closed] = 2 * np.tile(WEEK, days // 7)[days - closed - 20 : days - closed]
    found = borrow(own, peers, levels[:, None] * AHEAD, np.zeros((3, HORIZON), bool), np.sqrt(levels))
    assert found.level == pytest.approx(2, rel=0.15)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    count=st.integers(1, 6),
    own_days=st.integers(0, 29),
    rate=st.sampled_from([0, 0.1, 50]),
    wild=st.sampled_from([0, 1, 50, 1e9]),
    resting=st.sets(st.integers(0, 6), max_size=6),
    gap=st.integers(0, 50),
)
def test_whatever_is_given_the_forecast_is_sound(
    seed: int, count: int, own_days: int, rate: float, wild: float, resting: set[int], gap: int
) -> None:
    """Forecasts are finite, not negative and bounded by what was sold; nothing divides by zero."""
    rng = np.random.default_rng(seed)
    peers = rng.poisson(rng.gamma(0.5, 20, (count, 1)), (count, DAYS)).astype(float)
    peers[:, [day % 7 in resting for day in range(DAYS)]] = 0
    peers[rng.random(peers.shape) < 0.3] = NAN
    peers[:, -1] = np.nan_to_num(peers[:, -1]) + 1
    own = np.concatenate([young(*rng.poisson(rate, own_days).astype(float))[gap:], np.full(gap, NAN)])
    own[rng.random(DAYS) < 0.2] = NAN
    shut = rng.random((count, HORIZON)) < 0.2
    ahead = rng.gamma(1, 9, (count, HORIZON))
    ahead[0] *= wild
    with np.errstate(divide="raise", invalid="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        found = borrow(own, peers, ahead, shut, rng.gamma(1, 3, count))
    assert found.y_hat.shape == (HORIZON,)
    most = max(np.nan_to_num(own).max(), np.nanmax(peers))
    assert (found.y_hat >= 0).all()
    assert (found.y_hat <= SWING * BUSIEST * most).all()
    assert 0 <= found.level <= most
    assert np.isfinite(found.scale)
    assert found.scale >= 0


def test_of_many_peers_some_are_taken_of_every_volume() -> None:
    """No more than MOST_PEERS lend, the smallest and the largest among them; only those of the group that can."""
    count = 3 * MOST_PEERS
    levels = np.arange(count, dtype=float)
    like, able = np.arange(count) >= 10, np.arange(count) < count - 10
    rows = choose_peers(like, able, levels)
    assert len(rows) == MOST_PEERS
    assert (rows.min(), rows.max()) == (10, count - 11)
    assert np.median(levels[rows]) == pytest.approx(np.median(levels), rel=0.02)
    assert choose_peers(like, np.arange(count) == 12, levels).tolist() == [12]
