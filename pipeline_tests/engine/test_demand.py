"""What a history says of a product's demand."""

from __future__ import annotations

import numpy as np
import pytest

from contracts import DemandClass
from pipeline.engine.demand import insufficient, sells, understand
from pipeline_tests.engine.builders import NAN, panel_of


def test_the_sentence_of_too_few_days() -> None:
    """Other systems look for this very sentence."""
    assert insufficient(15, 30) == "Product requires minimum 30 days of sales data. Currently: 15 days."


def test_only_observed_days_count() -> None:
    """Masked days and days before the first row count neither as data nor as zeros."""
    demand = understand(panel_of([[NAN, 4, NAN, 0, 8]]))
    assert demand.data_days.tolist() == [3]
    assert demand.zero_share.tolist() == [pytest.approx(1 / 3)]
    assert demand.level.tolist() == [4.0]


def test_a_product_without_any_day() -> None:
    """A product that was never observed has no days, only zeros, no level, and is not called discontinued."""
    demand = understand(panel_of([[NAN, NAN], [1, 1]]))
    assert (demand.data_days[0], demand.zero_share[0], demand.level[0]) == (0, 1.0, 0.0)
    assert demand.discontinued.tolist() == [False, False]


def test_the_level_is_that_of_the_last_ninety_observed_days() -> None:
    """Units a day are those of the last 90 observed days, masked days skipped, not filled."""
    units = np.concatenate([np.full(100, 500.0), np.full(45, 10.0), np.full(30, NAN), np.full(45, 20.0)])
    assert understand(panel_of(units)).level.tolist() == [15.0]


@pytest.mark.parametrize(("days", "gone"), [(1, False), (14, False), (15, True)])
def test_what_has_never_sold_is_new_for_two_weeks(days: int, gone: bool) -> None:
    """A product that is listed and has not sold yet is forecast for its first 14 observed days."""
    assert understand(panel_of(np.zeros(days))).discontinued.tolist() == [gone]


@pytest.mark.parametrize(("silent", "gone"), [(89, False), (90, True)])
def test_ninety_silent_observed_days_end_a_product(silent: int, gone: bool) -> None:
    """A product without a sale on its last 90 observed days is discontinued, one day less and it is not."""
    units = np.concatenate([np.full(60, 5.0), np.full(20, NAN), np.zeros(silent)])
    assert understand(panel_of(units)).discontinued.tolist() == [gone]


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([50.0] * 100, DemandClass.HIGH),
        ([49.9] * 100, DemandClass.MEDIUM),
        ([10.0] * 100, DemandClass.MEDIUM),
        ([9.9] * 100, DemandClass.LOW),
        ([0.0, 500.0] * 50, DemandClass.INTERMITTENT),
        ([0.0, 500.0, 500.0] * 33, DemandClass.HIGH),
        ([0.0] * 400 + [60.0] * 90, DemandClass.HIGH),
    ],
)
def test_the_class_follows_the_recent_level_and_zeros(units: list[float], expected: DemandClass) -> None:
    """Half of the recent days without sales make a product intermittent; otherwise its units a day decide."""
    assert understand(panel_of(units)).classes == (expected,)


def test_what_is_not_known_sells_neither_few_nor_more() -> None:
    """Five units a day are not few; a product of which nothing is expected is in neither part."""
    expected = np.array([4.9, 5.0, np.nan])
    assert sells(expected, few=True).tolist() == [True, False, False]
    assert sells(expected, few=False).tolist() == [False, True, False]
