"""Every metadata file of an installation, and those of other systems that it watches."""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from contracts import CheckReport, Contract, LineageEvent, ServingMetricsWindow, TrainingMetadata
from contracts.base import UtcDatetime
from pipeline.home import Home
from pipeline.installation import Installation
from pipeline.monitoring.adapters import adapters_of
from pipeline.monitoring.artefacts import is_bundle
from pipeline.monitoring.found import need_found
from pipeline.monitoring.lineage.log import day_files
from pipeline.monitoring.reports import LINES, report_on
from pipeline.monitoring.serving.assess import metrics_folder

OWN_DATASETS = ("sales", "features", "forecasts")
REPORTS = "contract_reports.json"
READ = (".json", ".parquet", *LINES)
MOST = 10_000
"""Artefacts of a folder that are looked at; one that holds more is no folder of metadata."""
RECENT = dt.timedelta(days=1)
_LOG = logging.getLogger(__name__)


class ContractReports(BaseModel):
    """What the last round found; `monitoring/contract_reports.json`."""

    evaluated_at: UtcDatetime
    reports: tuple[CheckReport, ...]

    @property
    def failed(self) -> tuple[CheckReport, ...]:
        """The reports of files that are not as they should be."""
        return tuple(report for report in self.reports if not report.all_passed)


def validate(opened: Installation, now: dt.datetime) -> ContractReports:
    """Return a report of every metadata file that is there; what was not made yet is not missed.

    Raises:
        ConfigurationError: the operator's adapters cannot be used.
    """
    adapters = adapters_of(opened.settings)
    own = [
        report_on(path, adapters, now, contract)
        for path, contract in own_files(opened.home, metrics_folder(opened.settings, opened.home), now)
    ]
    foreign = [report_on(path, adapters, now) for path in watched(opened.settings.metadata_paths)]
    return ContractReports(evaluated_at=now, reports=(*own, *foreign))


def last_reports(home: Home) -> ContractReports:
    """Return what the last round found.

    Raises:
        MetadataError: there was none yet, or its file cannot be read.
    """
    return need_found(ContractReports, home.monitoring / REPORTS, "materialize `contract_validation`")


def dataset_files(home: Home) -> list[Path]:
    """Return the metadata of our own data sets, as far as they were made."""
    return [path for name in OWN_DATASETS for path in sorted((home.root / "data").glob(f"*/{name}.json"))]


def own_files(home: Home, serving: Path, now: dt.datetime) -> Iterator[tuple[Path, type[Contract] | None]]:
    """Yield every metadata file of the installation, with the contract of its lines; servers report to `serving`."""
    yield from ((path, None) for path in dataset_files(home))
    for path in sorted((home.root / "data").glob("*/training_metadata.ndjson")):
        yield path, TrainingMetadata
    since = now.astimezone(dt.UTC) - RECENT
    yield from ((path, LineageEvent) for path in day_files(home.lineage, since.date()))
    for day in sorted({f"{since:%Y-%m-%d}", f"{now.astimezone(dt.UTC):%Y-%m-%d}"}):
        yield from ((path, ServingMetricsWindow) for path in sorted((serving / day).glob("*/*.jsonl")))


def watched(paths: str | None) -> list[Path]:
    """Return what METADATA_PATHS names: files, and what folders hold. A path that is not there is among them."""
    return [found for one in (paths or "").split(",") if one.strip() for found in within(Path(one.strip()))]


def within(path: Path) -> Sequence[Path]:
    """Return the artefacts at a path: itself, or where it is a folder, but no bundle, those that it holds, in order.

    What vanishes while it is listed is left out, with what it held.
    """
    path = path.expanduser()
    if not os.path.isdir(path) or is_bundle(path):  # noqa: PTH112 - what may not be looked at raises nothing
        return [path]
    found: list[Path] = []
    for place, folders, files in os.walk(path):
        folder = Path(place)
        bundles = [name for name in folders if is_bundle(folder / name)]
        folders[:] = [name for name in folders if name not in bundles and not name.startswith(".")]
        names = [name for name in files if name.lower().endswith(READ) and not name.startswith(".")]
        found += [folder / name for name in (*bundles, *names)]
        if len(found) > MOST:
            _LOG.warning("%s holds more than %d artefacts; the others are not looked at", path, MOST)
            break
    return sorted(found)[:MOST]
