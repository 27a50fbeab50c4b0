"""Freshness of every data set that the installation makes or watches, and what a round found over all tenants."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from contracts import DatasetMetadata, FreshnessResult
from contracts.base import UtcDatetime
from pipeline.errors import MetadataError
from pipeline.home import Home
from pipeline.installation import Installation
from pipeline.monitoring.adapters import Adapter, adapters_of
from pipeline.monitoring.artefacts import find
from pipeline.monitoring.found import need_found, read_found
from pipeline.monitoring.freshness import freshness_of, threshold_of
from pipeline.monitoring.metadata import shown
from pipeline.monitoring.reports import LINES
from pipeline.monitoring.validation import dataset_files, watched
from pipeline.settings import Settings

TABLE = "freshness"
FILE = "freshness.json"


class DatasetFreshness(BaseModel):
    """One data set: how old it is and may be; `result` is None where that cannot be computed, and `fault` says why."""

    metadata_path: str
    threshold_seconds: float | None = None
    result: FreshnessResult | None = None
    fault: str | None = None


class Round(BaseModel):
    """What the last round found beside the table of products; `monitoring/freshness.json`.

    `faults` says by tenant why it cannot be looked at, `waiting` which have no sales yet.
    """

    evaluated_at: UtcDatetime
    datasets: tuple[DatasetFreshness, ...]
    faults: dict[str, str]
    waiting: dict[str, str]


def freshness_of_datasets(opened: Installation, now: dt.datetime) -> list[DatasetFreshness]:
    """Return the freshness of our data sets, as far as they were made, and of those in METADATA_PATHS.

    Other metadata there has no freshness, and is left out.

    Raises:
        ConfigurationError: the operator's adapters cannot be used.
    """
    settings, adapters = opened.settings, adapters_of(opened.settings)
    foreign = [path for path in watched(settings.metadata_paths) if path.suffix.lower() not in LINES]
    looked = (_look(path, adapters, settings, now) for path in (*dataset_files(opened.home), *foreign))
    return [one for one in looked if one is not None]


def _look(path: Path, adapters: Sequence[Adapter], settings: Settings, now: dt.datetime) -> DatasetFreshness | None:
    try:
        found = find(path, adapters)
        if found.contract is not DatasetMetadata:
            return None
        metadata = found.of(DatasetMetadata)
        threshold = threshold_of(metadata.dataset_name, settings)
        result = freshness_of(metadata, now, threshold)
    except MetadataError as error:
        return DatasetFreshness(metadata_path=shown(path), fault=str(error))
    return DatasetFreshness(metadata_path=shown(path), threshold_seconds=threshold, result=result)


def unreadable_tenants(home: Home) -> dict[str, str]:
    """Return by tenant why the last round could not look at it; none where there was no round yet.

    Raises:
        MetadataError: the file of the last round cannot be read.
    """
    found = read_found(Round, home.monitoring / FILE, "materialize `freshness`")
    return {} if found is None else found.faults


def last_round(home: Home) -> Round:
    """Return what the last round found.

    Raises:
        MetadataError: there was none yet, or its file cannot be read.
    """
    return need_found(Round, home.monitoring / FILE, "materialize `freshness`")
