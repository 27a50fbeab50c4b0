"""How old a data set is, and from when that is too old."""

from __future__ import annotations

import datetime as dt

import pytest

from contracts import DatasetMetadata, Freshness
from pipeline.errors import ConfigurationError, MetadataError
from pipeline.monitoring.freshness import AHEAD_SECONDS, freshness_of, threshold_of
from pipeline.settings import Settings, get_settings
from pipeline_tests.monitoring.foreign import DATASET

BUILT = dt.datetime(2026, 3, 2, 4, 5, 6, tzinfo=dt.UTC)
METADATA = DatasetMetadata.model_validate({**DATASET, "built_at": BUILT})


@pytest.mark.parametrize(
    ("age", "seconds", "status"),
    [(0, 0, "FRESH"), (1800, 1800, "FRESH"), (1800.5, 1800.5, "STALE"), (-59, 0, "FRESH"), (10**9, 10**9, "STALE")],
)
def test_a_data_set_is_stale_above_its_threshold(age: float, seconds: float, status: str) -> None:
    """The threshold itself is fresh; a clock that is a little ahead makes no negative age."""
    found = freshness_of(METADATA, BUILT + dt.timedelta(seconds=age), 1800)
    assert (found.freshness_seconds, found.status) == (seconds, Freshness(status))
    assert (found.dataset_name, found.dataset_version) == ("features", "1")


def test_the_future_has_no_freshness() -> None:
    """What was built later than clocks differ is wrong, and said to be so with the figures."""
    with pytest.raises(MetadataError, match="'features' lies 61 seconds in the future; clocks may differ by 60"):
        freshness_of(METADATA, BUILT - dt.timedelta(seconds=AHEAD_SECONDS + 1), 1800)


def test_the_zone_of_now_does_not_matter() -> None:
    """Ages are those of moments, whichever clock tells them."""
    there = (BUILT + dt.timedelta(seconds=90)).astimezone(dt.timezone(dt.timedelta(hours=-11)))
    assert freshness_of(METADATA, there, 60).freshness_seconds == 90


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("stations", 1800), ("shop/sales", 60), ("shop/features", 8 * 86_400), ("shop/forecasts", 129_600),
        ("best/sales", 5), ("best/forecasts", 30), ("sales", 1800), ("a/b/sales", 60),
    ],
)  # fmt: skip
def test_thresholds_are_by_name(name: str, seconds: float) -> None:
    """The whole name goes before patterns, the operator's patterns before ours, all before the one for the rest."""
    given = {"*/sales": 60, "best/*": 30, "best/sales": 5}
    assert threshold_of(name, Settings(freshness_seconds_by_dataset=given)) == seconds


@pytest.mark.parametrize("text", ["{", "[1]", "7", '{"a": 0}', '{"a": -1}', '{"a": "soon"}', '{"a": NaN}'])
def test_thresholds_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The variable and what is wrong with it are named."""
    monkeypatch.setenv("FRESHNESS_SECONDS_BY_DATASET", text)
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match="FRESHNESS_SECONDS_BY_DATASET"):
        get_settings()
    get_settings.cache_clear()
