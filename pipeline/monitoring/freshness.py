"""How old data sets are, and whether that is too old."""

from __future__ import annotations

import datetime as dt
from fnmatch import fnmatchcase

from contracts import DatasetMetadata, Freshness, FreshnessResult
from pipeline.errors import MetadataError
from pipeline.settings import Settings

AHEAD_SECONDS = 60.0
"""By which the clock of whoever built a data set may be ahead of ours; beyond it the time stamp is wrong."""
DAY = 86_400.0
DAILY = {"*/sales": 1.5 * DAY, "*/forecasts": 1.5 * DAY, "*/features": 8 * DAY}
"""Our own data sets are built once a day, features by the trainings, weekly at least: half an hour tells nothing."""


def freshness_of(metadata: DatasetMetadata, now: dt.datetime, threshold: float) -> FreshnessResult:
    """Return how old a data set is; stale above `threshold` seconds. One built a moment from now is 0 seconds old.

    Raises:
        MetadataError: it was built further in the future than clocks differ.
    """
    seconds = (now - metadata.built_at).total_seconds()
    if seconds < -AHEAD_SECONDS:
        raise MetadataError(
            f"built_at = {metadata.built_at.isoformat()} of {metadata.dataset_name!r} lies {-seconds:.0f} seconds in "
            f"the future; clocks may differ by {AHEAD_SECONDS:.0f}"
        )
    return FreshnessResult(
        dataset_name=metadata.dataset_name,
        dataset_version=metadata.dataset_version,
        freshness_seconds=max(seconds, 0.0),
        status=Freshness.FRESH if seconds <= threshold else Freshness.STALE,
    )


def threshold_of(dataset_name: str, settings: Settings) -> float:
    """Return the seconds after which a data set is stale: by its name, by the first pattern that fits, or for all."""
    given = settings.freshness_seconds_by_dataset
    if dataset_name in given:
        return given[dataset_name]
    patterns = (*given.items(), *DAILY.items())
    return next((s for pattern, s in patterns if fnmatchcase(dataset_name, pattern)), settings.freshness_seconds)
