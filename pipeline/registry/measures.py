"""What is counted in the registry for ever: names, bounds of the buckets, and how a figure is split into them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

SUM, LAST = "sum", "+Inf"
NONE, OTHER = "none", "other"
"""Labels of what has no category, and of what has one more than are told apart."""
MOST_CATEGORIES = 20
"""Categories of one tenant that are told apart: each is a time series for as long as anybody keeps it."""
LONGEST_LABEL = 60
CHECKSUM_KINDS = ("artefact", "manifest")

JOBS, JOB_SECONDS, MODELS = "training_jobs", "training_duration_seconds", "models_trained"
ACCURACY, MAE = "model_accuracy_percentage", "model_mae"
BUILD_SECONDS, PREDICTIONS = "ml_dataset_build_duration_seconds", "ml_prediction"
CHECKSUMS, LOCK_SECONDS = "pipeline_checksum_failures", "pipeline_lock_wait_seconds"

BUCKETS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        JOB_SECONDS: (10, 30, 60, 120, 300, 600, 1800, 3600),
        ACCURACY: (50, 60, 70, 75, 80, 85, 90, 95, 100),
        MAE: (1, 5, 10, 20, 30, 50, 100),
        BUILD_SECONDS: (0.1, 0.5, 1, 5, 10, 30, 60, 300),
        LOCK_SECONDS: (1, 5, 15, 60, 300, 900),
    }
)
"""Upper bounds of each distribution's buckets; a last one takes the rest."""


class Key(NamedTuple):
    """Which total: a measure, whose (empty: everybody's), one further label (empty: none), and a bucket of it.

    Of a distribution each bucket counts what lies in it alone, and the bucket `sum` adds the figures up.
    """

    name: str
    tenant_id: str = ""
    label: str = ""
    bucket: str = ""


Amounts = Mapping[Key, float]
"""What is to be added to which totals."""


def counted(name: str, tenant_id: str = "", label: str = "", by: float = 1) -> Amounts:
    """Return what a counter goes up by."""
    return {Key(name, tenant_id, label): by}


def observed(name: str, value: float, tenant_id: str = "") -> Amounts:
    """Return what one figure adds to its distribution."""
    bounds = BUCKETS[name]
    place = bisect_left(bounds, value)
    bucket = LAST if place == len(bounds) else bound_text(bounds[place])
    return {Key(name, tenant_id, "", bucket): 1, Key(name, tenant_id, "", SUM): value}


def bound_text(bound: float) -> str:
    """Return a bucket's upper bound as scrapers read it: 10.0."""
    return repr(float(bound))
