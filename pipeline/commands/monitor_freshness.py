"""`pipeline monitor compute-freshness` and `run-checks`: metadata, also that of other systems, by its path."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from pipeline.settings import get_settings

MetadataPath = Annotated[
    Path, typer.Option("--metadata-path", help="A .json file, a .parquet file, a file of JSON lines, or a folder.")
]
NOT_WELL = 3
"""Exit status: it was looked at, and is not as it should be."""


def compute_freshness(
    metadata_path: MetadataPath,
    threshold_seconds: Annotated[
        float | None,
        typer.Option("--threshold-seconds", min=0, help="Seconds above which it is stale; by its name when unset."),
    ] = None,
) -> None:
    """Say how old a data set is, as a FreshnessResult. Exit status 0: fresh; 3: stale; 1: it cannot be computed.

    Example: pipeline monitor compute-freshness --metadata-path data/features.parquet
    """
    from contracts import DatasetMetadata, Freshness
    from pipeline.monitoring.adapters import adapters_of
    from pipeline.monitoring.artefacts import find
    from pipeline.monitoring.freshness import freshness_of, threshold_of

    settings = get_settings()
    metadata = find(metadata_path, adapters_of(settings)).of(DatasetMetadata)
    threshold = threshold_of(metadata.dataset_name, settings) if threshold_seconds is None else threshold_seconds
    result = freshness_of(metadata, dt.datetime.now(dt.UTC), threshold)
    typer.echo(result.model_dump_json(indent=2))
    if result.status is Freshness.STALE:
        raise typer.Exit(NOT_WELL)


def run_checks(metadata_path: MetadataPath) -> None:
    """Check metadata against its contract: a CheckReport, or of a folder a list of them, one an artefact.

    Exit status 0: all checks passed; 3: some failed, or a folder holds no metadata. A path that is not there fails its
    first check.

    Example: pipeline monitor run-checks --metadata-path exports
    """
    from pydantic_core import to_json

    from pipeline.monitoring.adapters import adapters_of
    from pipeline.monitoring.reports import report_on
    from pipeline.monitoring.validation import within

    adapters, now = adapters_of(get_settings()), dt.datetime.now(dt.UTC)
    paths = within(metadata_path)
    reports = [report_on(path, adapters, now) for path in paths]
    whole = list(paths) == [metadata_path]
    typer.echo(to_json(reports[0] if whole else reports, indent=2).decode())
    if not reports or not all(report.all_passed for report in reports):
        raise typer.Exit(NOT_WELL)
