"""The page of drift: too many alarms, and too few shifts found, are said."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift import NOISES, Alarms, Found, page
from benchmarks.drift_panels import DAYS, SAMPLE, stable
from pipeline_tests.test_docs import rows


@pytest.mark.parametrize(
    ("alarms", "found", "missed"),
    [
        (0.01, (0.9, 0.9), set()),
        (0.011, (0.9, 0.9), {"alarms"}),
        (0.01, (0.89, 0.9), {"as the sample"}),
        (0.01, (0.9, 0.89), {"as a real chain"}),
        (0.5, (0.1, 0.1), {"alarms", "as the sample", "as a real chain"}),
    ],
)
def test_what_is_not_good_enough_is_missed(alarms: float, found: tuple[float, float], missed: set[str]) -> None:
    """The bars are 1 % of product-weeks and 90 % of shifts found, however noisy; what lies beyond is called missed."""
    told = page(
        [Alarms("as the sample", 7, alarms, 100)],
        [Found(name, 1.4, "all", share, 10) for name, share in zip(NOISES, found, strict=True)],
        [Alarms("ddop_bakery", 7, 0.5, 100)],
        1.0,
    )
    bad = [cells[0] for cells in rows(told.text) if cells[-1] == "**missed**"]
    assert {name for name in ("alarms", *NOISES) if any(name in one for one in bad)} == missed


def test_a_shift_is_what_it_says() -> None:
    """Shifted products sell so many times as much from the day on; the others, and earlier days, are untouched."""
    panel = stable(SAMPLE, 40, 1)
    shifted = np.arange(40) < 20
    units = panel.units(2.0, shifted, DAYS - 60)
    before, after = (np.nansum(units[:, days], axis=1) for days in (slice(-120, -60), slice(-60, None)))
    expected = panel.mean[:, -60:].sum(axis=1) / panel.mean[:, -120:-60].sum(axis=1)
    ratio = (after / before / expected)[panel.mean.mean(axis=1) > 20]
    of_shifted = shifted[panel.mean.mean(axis=1) > 20]
    assert ratio[of_shifted].mean() == pytest.approx(2.0, rel=0.1)
    assert ratio[~of_shifted].mean() == pytest.approx(1.0, rel=0.1)
