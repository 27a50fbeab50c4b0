"""What the pooled trees owe to products of very different sizes and ages."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.engine.families import FAMILIES, Recipe, lightgbm
from pipeline.engine.families.lightgbm import META
from pipeline.engine.panel import Floats
from pipeline.errors import FamilyError
from pipeline_tests.engine.builders import NAN, outlook_of, panel_of

LENGTH = 240
TREES = FAMILIES["lightgbm"]
DIRECT = FAMILIES["lightgbm_direct"]


def shop(seed: int, levels: Floats) -> Floats:
    """Return (products, LENGTH) Poisson units with a weekly season; Sundays are not observed."""
    weekday = np.arange(LENGTH) % 7
    season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(LENGTH) / 7)
    units = np.random.default_rng(seed).poisson(levels[:, None] * season).astype(float)
    return np.where(weekday == 6, NAN, units)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_product_of_a_few_weeks_has_its_own_level(seed: int) -> None:
    """Beside large and hardly selling products, one of 45 days is forecast near what it sold."""
    units = shop(seed, np.array([180.0, 75.0, 36.0, 0.1, 18.0]))
    units[4, :-45] = NAN
    panel = panel_of(units)
    made = TREES.fit(panel, outlook_of(LENGTH + 30), Recipe()).predict(panel, outlook_of(LENGTH + 30), 7)[4]
    opened = made[(LENGTH + np.arange(7)) % 7 != 6]
    usual = np.nanmean(units[4])
    assert opened.mean() == pytest.approx(usual, rel=0.35)
    assert opened.min() > usual / 3


def test_stored_trees_follow_a_level_that_moved() -> None:
    """Trees that learnt from small sales forecast sales ten times as large, when the history says so."""
    small = shop(5, np.array([20.0, 60.0, 150.0]))
    known = outlook_of(LENGTH + 30)
    fitted = TREES.fit(panel_of(small), known, Recipe())
    before, after = (fitted.predict(panel_of(scale * small), known, 7) for scale in (1.0, 10.0))
    np.testing.assert_allclose(after, 10 * before, rtol=1e-6)


def test_a_product_unseen_for_a_season_keeps_its_level() -> None:
    """Products masked for three months are forecast near what they sold before, not near nothing."""
    units = shop(6, np.array([20.0, 50.0, 100.0]))
    units[:, -95:] = NAN
    panel = panel_of(units)
    made = TREES.fit(panel, outlook_of(LENGTH + 30), Recipe()).predict(panel, outlook_of(LENGTH + 30), 7)
    np.testing.assert_allclose(made.mean(axis=1), np.nanmean(units, axis=1), rtol=0.5)


@pytest.mark.parametrize(("small", "trees"), [(10_000, 400), (100, 200)])
def test_few_rows_learn_slowly(monkeypatch: pytest.MonkeyPatch, small: int, trees: int) -> None:
    """A table below the limit gets twice the trees, one above it does not; what is given by hand goes before both."""
    monkeypatch.setattr(lightgbm, "SMALL_ROWS", small)
    panel, known = panel_of(shop(9, np.array([20.0, 50.0]))), outlook_of(LENGTH + 30)
    assert TREES.fit(panel, known, Recipe()).booster.num_trees() == trees
    assert TREES.fit(panel, known, Recipe({"n_estimators": 60})).booster.num_trees() == 60
    assert TREES.fit(panel, known, Recipe({"learning_rate": 0.1})).booster.num_trees() == 200


def test_a_booster_of_another_format_is_refused() -> None:
    """Files that other code wrote, with other features or another meaning, are refused with what to do."""
    panel = panel_of(shop(6, np.array([20.0, 50.0, 100.0])))
    files = TREES.fit(panel, outlook_of(LENGTH + 30), Recipe()).to_files()
    meta = json.loads(files[META])
    del meta["format"]
    with pytest.raises(FamilyError, match="is of format 1, this code reads 2: train again"):
        TREES.from_files({**files, META: json.dumps(meta).encode()})


@pytest.mark.parametrize(("ahead", "unseen"), [(0, 0), (1, 6), (7, 0), (8, 6), (14, 0)])
def test_direct_trees_see_whole_weeks_back(ahead: int, unseen: int) -> None:
    """A day ahead is forecast from the newest sales that need no forecast between: what is newer changes nothing."""
    units, known = shop(7, np.array([20.0, 50.0, 100.0])), outlook_of(LENGTH + 30)
    fitted = DIRECT.fit(panel_of(units), known, Recipe())
    newer, seen = units.copy(), units.copy()
    newer[:, LENGTH - unseen :] *= 3
    seen[:, LENGTH - unseen - 7 : LENGTH - unseen] *= 3
    usual, after_newer, after_seen = (fitted.predict(panel_of(u), known, 15)[:, ahead] for u in (units, newer, seen))
    np.testing.assert_array_equal(usual, after_newer)
    assert not np.allclose(usual, after_seen)


def test_direct_trees_reach_beyond_their_gaps() -> None:
    """Further ahead than fifteen days the direct trees still forecast near what is usual."""
    units, known = shop(8, np.array([20.0, 50.0, 100.0])), outlook_of(LENGTH + 60)
    made = DIRECT.fit(panel_of(units), known, Recipe()).predict(panel_of(units), known, 42)
    opened = (LENGTH + np.arange(42)) % 7 != 6
    np.testing.assert_allclose(made[:, opened].mean(axis=1), np.nanmean(units, axis=1), rtol=0.25)
