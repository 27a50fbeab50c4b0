"""Unusual days: what the forest is told, what it finds, and what it must leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.engine.anomaly.detect import judge, recent
from pipeline.engine.anomaly.faults import DEAD_DAYS, LEAST, Fault, put_faults
from pipeline.engine.anomaly.forest import SIZES, Settings, called_odd, odd
from pipeline.engine.anomaly.signs import LEAST_UNITS, NAMES, read_signs, signed_surprise
from pipeline.engine.anomaly.tuning import FALSE_ALARM_SHARE, TRIALS, average_precision, f1, tune
from pipeline.engine.panel import Panel
from pipeline.errors import EngineError
from pipeline_tests.engine.builders import NAN, demand, on, outlook_of, panel_of

LENGTH, PRODUCTS, SEED = 400, 6, 3
KNOWN = outlook_of(LENGTH)
QUICK = Settings(60, 0.02, 256)


def shop(seed: int = 1) -> Panel:
    """Return a year of a shop's ordinary sales."""
    return panel_of(demand(LENGTH, PRODUCTS, seed=seed))


def changed(panel: Panel, row: int, column: int | slice, value: float) -> Panel:
    """Return the panel with other sales on some days of a product."""
    units = panel.quantity.copy()
    units[row, column] = value
    return replace(panel, quantity=units)


def signs_of(panel: Panel, row: int, column: int) -> dict[str, float]:
    """Return a day's signs by name."""
    signs = read_signs(panel, KNOWN)
    (at,) = np.flatnonzero((signs.at[0] == row) & (signs.at[1] == column))
    return dict(zip(NAMES, signs.values[at], strict=True))


@given(units=st.integers(0, 400), mean=st.floats(0.5, 200), spread=st.floats(0.1, 60))
@settings(max_examples=100, deadline=None)
def test_the_surprise_is_a_chance(units: int, mean: float, spread: float) -> None:
    """The surprise is the decimal logarithm of a negative binomial tail, negative below the mean."""
    variance = max(spread**2, 1.1 * mean)
    count = stats.nbinom(mean**2 / (variance - mean), mean / variance)
    assert count.mean() == pytest.approx(mean)
    assert count.var() == pytest.approx(variance)
    tail = sum(count.pmf(k) for k in range(units + 1)) if units < mean else 1 - sum(count.pmf(k) for k in range(units))
    found = float(signed_surprise(np.array([float(units)]), np.array([mean]), np.array([spread]))[0])
    assert (found >= 0) == (units >= mean)
    if tail > 1e-9:
        assert 10 ** -abs(found) == pytest.approx(tail, rel=1e-4)
    else:
        assert abs(found) > 8.5


def test_signs_tell_faults_apart() -> None:
    """A tenfold day, a dead till of three days and two swapped days bear the signs that they are known by."""
    panel = shop()
    tenfold = signs_of(changed(panel, 2, 200, 10 * panel.quantity[2, 200]), 2, 200)
    assert tenfold["surprise"] > 2
    assert tenfold["above_all"] > 1
    dead = [signs_of(changed(panel, 2, slice(200, 200 + days), 0.0), 2, 200) for days in (1, 3)]
    assert dead[1]["spell"] < dead[0]["spell"] == dead[0]["surprise"] < -1
    units = panel.quantity.copy()
    units[2, [200, 201]] = 300.0, 5.0
    assert signs_of(replace(panel, quantity=units), 2, 200)["neighbour"] < -1
    assert abs(tenfold["neighbour"]) < 1


def test_a_busy_shop_is_not_one_products_fault() -> None:
    """On a day when all products sell four times their usual none is surprising; one alone is."""
    panel = shop()
    units = panel.quantity.copy()
    units[:, 200] *= 4
    fair = signs_of(replace(panel, quantity=units), 2, 200)
    alone = signs_of(changed(panel, 2, 200, units[2, 200]), 2, 200)
    assert abs(fair["surprise"]) < 1
    assert alone["surprise"] > 2


def test_only_days_that_can_be_told_are_judged() -> None:
    """Unknown days, holidays and the days beside them, slow products and young ones are not judged."""
    units = demand(LENGTH, PRODUCTS)
    units[0] = np.minimum(units[0], LEAST_UNITS - 1)
    units[1, 50] = NAN
    known = outlook_of(LENGTH, holidays={"feast": on(LENGTH, 100)})
    judged = read_signs(panel_of(units), known).judged
    assert not judged[0].any()
    assert not judged[1, 50]
    assert not judged[:, 99:102].any()
    assert judged[1:].mean() > 0.95
    assert not read_signs(panel_of(units[:, :28]), known).judged.any()


@given(cut=st.integers(100, LENGTH - 2), later=st.sampled_from([0.0, 1e6, NAN]))
@settings(max_examples=20, deadline=None)
def test_the_future_changes_no_sign(cut: int, later: float) -> None:
    """As of an origin, what is sold after it changes nothing, bit by bit."""
    panel = shop()
    origin = panel.dates[cut]
    other = changed(panel, 2, slice(cut + 1, LENGTH), later)
    found = [read_signs(one.until(origin), KNOWN).values for one in (panel, other)]
    np.testing.assert_array_equal(*found)


def test_faults_are_what_they_are_called() -> None:
    """Each kind is put in, on allowed days alone, apart from each other, and changes the units as it says."""
    panel = shop()
    among = np.zeros(panel.quantity.shape, bool)
    among[1:, 30:] = True
    faulty = put_faults(panel, among, np.random.default_rng(SEED))
    was, now, kind = panel.quantity, faulty.panel.quantity, faulty.kind
    assert not kind[~among].any()
    np.testing.assert_array_equal(now[kind == Fault.NONE], was[kind == Fault.NONE])
    np.testing.assert_array_equal(now[kind == Fault.TENFOLD], 10 * was[kind == Fault.TENFOLD])
    np.testing.assert_array_equal(now[kind == Fault.MISSED_DIGIT], was[kind == Fault.MISSED_DIGIT] // 10)
    np.testing.assert_array_equal(now[kind == Fault.DOUBLE], 2 * was[kind == Fault.DOUBLE])
    assert not now[kind == Fault.DEAD_TILL].any()
    for row, column in np.argwhere((kind == Fault.SWAPPED) & (np.roll(kind, 1, axis=1) != Fault.SWAPPED)):
        assert now[row, column : column + 2].tolist() == was[row, column : column + 2][::-1].tolist()
    counted = {fault: int((kind == fault).sum()) for fault in Fault}
    assert counted[Fault.TENFOLD] == counted[Fault.DOUBLE] == counted[Fault.MISSED_DIGIT] == LEAST
    assert counted[Fault.SWAPPED] % 2 == 0 < counted[Fault.SWAPPED]
    assert LEAST <= counted[Fault.DEAD_TILL] <= LEAST * DEAD_DAYS


def test_scores_of_the_search_against_their_definitions() -> None:
    """F1 and average precision are the textbook's, also where nothing is found or nothing is there."""
    is_fault = np.array([True, False, True, False])
    assert f1(np.array([True, True, False, False]), is_fault) == pytest.approx(0.5)
    assert f1(np.zeros(4, bool), is_fault) == 0
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), is_fault) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert average_precision(np.ones(4), np.zeros(4, bool)) == 0
    assert called_odd(np.arange(100.0), 0.05).sum() == 5


def test_a_forest_grows_again_from_its_settings() -> None:
    """The same settings, seed and days give the same scores, bit by bit; another seed gives others."""
    values = read_signs(shop(), KNOWN).values
    np.testing.assert_array_equal(odd(values, QUICK, SEED), odd(values, QUICK, SEED))
    assert (odd(values, QUICK, SEED) != odd(values, QUICK, SEED + 1)).any()
    for size in SIZES:
        assert np.isfinite(odd(values[:300], Settings(50, 0.01, size), SEED)).all()


def test_settings_are_found_within_the_search_space_and_again() -> None:
    """A second search finds the same; every trial lies in the space, and the best of them is taken."""
    found = tune(shop(), KNOWN, SEED)
    assert found == tune(shop(), KNOWN, SEED)
    assert len(found.trials) == TRIALS
    for trial in found.trials:
        assert 50 <= trial.settings.n_estimators <= 300
        assert 0.01 <= trial.settings.contamination <= 0.3
        assert trial.settings.max_samples in SIZES
    assert found.f1 == max(trial.f1 for trial in found.trials)
    assert set(found.recall) == set(found.injected) == {fault.name.lower() for fault in Fault if fault}


def test_the_evidence_is_true() -> None:
    """Tenfold entries are found nearly always, almost nothing else is called, and the figures say so."""
    found = tune(shop(), KNOWN, SEED)
    assert found.recall["tenfold"] >= 0.9
    assert found.precision >= 0.9
    assert found.days > 2000


def test_too_few_days_have_no_model() -> None:
    """Where fewer than 500 days can be judged, that is said with their number."""
    panel = shop()
    with pytest.raises(EngineError, match=r"^\d+ days of 6 products can be judged; 500 are needed"):
        tune(panel.since(panel.dates[-60]), KNOWN, SEED)
    assert judge(panel.take([]), KNOWN, QUICK, 0.7, SEED).empty


@given(row=st.integers(0, PRODUCTS - 1), column=st.integers(40, LENGTH - 1), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_a_tenfold_day_is_unusual_and_ordinary_days_are_not(row: int, column: int, seed: int) -> None:
    """In ordinary sales a tenfold day is named, with what it sold and what is usual, and hardly another."""
    panel = shop(seed)
    units = max(panel.quantity[row, column], 5.0)
    found = judge(changed(panel, row, column, 10 * units), KNOWN, QUICK, 0.65, SEED)
    named = found[found["unusual"]]
    (day,) = named[(named["product_id"] == f"p{row}") & (named["date"] == panel.dates[column])].to_dict("records")
    assert day["quantity"] == 10 * units
    assert 0.4 * units < day["usual"] < 2.5 * max(units, 20 * (row + 1) * 0.6)
    assert day["surprise"] > 4
    assert len(named) <= 1 + 3 * FALSE_ALARM_SHARE * len(found)


def test_a_large_tenant_is_judged_from_its_newest_days() -> None:
    """No more product days than allowed are left, and they are the last ones."""
    panel = shop()
    newest = recent(panel, 1000)
    assert newest.dates[-1] == panel.dates[-1]
    assert newest.observed.sum() == 1000 // PRODUCTS * PRODUCTS
    assert recent(panel).dates.equals(panel.dates)
