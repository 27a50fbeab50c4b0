"""What the pooled trees owe to products of very different sizes and ages."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.families.lightgbm import META
from pipeline.engine.panel import Floats
from pipeline.errors import FamilyError
from pipeline_tests.engine.builders import NAN, outlook_of, panel_of

LENGTH = 240
TREES = FAMILIES["lightgbm"]


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


def test_a_booster_of_another_format_is_refused() -> None:
    """Files that other code wrote, with other features or another meaning, are refused with what to do."""
    panel = panel_of(shop(6, np.array([20.0, 50.0, 100.0])))
    files = TREES.fit(panel, outlook_of(LENGTH + 30), Recipe()).to_files()
    meta = json.loads(files[META])
    del meta["format"]
    with pytest.raises(FamilyError, match="is of format 1, this code reads 2: train again"):
        TREES.from_files({**files, META: json.dumps(meta).encode()})
