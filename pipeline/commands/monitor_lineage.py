"""`pipeline monitor emit-lineage-...`: the lineage of what other systems made, noted from their metadata files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pipeline.commands.shared import aside, prepared
from pipeline.errors import StorageError
from pipeline.places import redacted
from pipeline.settings import get_settings

if TYPE_CHECKING:
    from contracts import Contract, LineageEvent

MetadataPath = Annotated[Path, typer.Option("--metadata-path", help="A .json file, a .parquet file, or a folder.")]
Wanted = TypeVar("Wanted", bound="Contract")


def emit_dataset_build(metadata_path: MetadataPath) -> None:
    """Note that a data set was built, as a DatasetMetadata or another system's table says; print the event.

    Exit status 0: it is noted; 1: that is none, or the log cannot be written.

    Example: pipeline monitor emit-lineage-dataset-build --metadata-path features.json
    """
    from contracts import DatasetMetadata
    from pipeline.monitoring.lineage.steps import dataset_built

    described = _described(metadata_path, DatasetMetadata)
    _note(dataset_built(described, None, path=redacted(described.path)))


def emit_training_run(metadata_path: MetadataPath) -> None:
    """Note that a model was trained, as a TrainingMetadata or another system's bundle says; print the event.

    Exit status 0: it is noted; 1: that is none, or the log cannot be written.

    Example: pipeline monitor emit-lineage-training-run --metadata-path training.json
    """
    from contracts import TrainingMetadata
    from pipeline.monitoring.lineage.steps import training_told

    _note(training_told(_described(metadata_path, TrainingMetadata)))


def _described(path: Path, wanted: type[Wanted]) -> Wanted:
    from pipeline.monitoring.adapters import adapters_of
    from pipeline.monitoring.artefacts import find

    return find(path, adapters_of(get_settings())).of(wanted)


def _note(event: LineageEvent) -> None:
    from pipeline.monitoring.lineage.log import record
    from pipeline.monitoring.lineage.sending import send_waiting

    installation = prepared()
    if not record(installation.home.lineage, [event]):
        raise StorageError(f"the event could not be added to {installation.home.lineage}: see the warning")
    sent = send_waiting(installation.home, installation.settings)
    if sent is not None and sent.fault:
        aside(str(sent))
    typer.echo(event.model_dump_json())
