"""The family keeps the promises of all families, and its own."""

from __future__ import annotations

import numpy as np
import pytest
from weekday_median import WeekdayMedian

from pipeline.engine.families import FAMILIES, Family, Recipe
from pipeline_tests.engine.builders import outlook_of, panel_of
from pipeline_tests.engine.conformance import FamilyContract


class TestWeekdayMedian(FamilyContract):
    """The suite of all families."""

    @pytest.fixture
    def family(self) -> Family:
        """The family as the pipeline found it by its entry point."""
        assert isinstance(FAMILIES["weekday_median"], WeekdayMedian)
        return FAMILIES["weekday_median"]


def test_one_odd_week_is_forgotten() -> None:
    """A single week of huge orders among eight changes no forecast."""
    usual = np.tile(np.arange(7.0) + 5, 9)
    odd = usual.copy()
    odd[21:28] = 900
    known = outlook_of(80)
    made = [
        FAMILIES["weekday_median"].fit(panel_of(units), known, Recipe()).predict(panel_of(units), known, 14)
        for units in (usual, odd)
    ]
    np.testing.assert_array_equal(*made)
