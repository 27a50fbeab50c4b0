"""`pipeline monitor emit-lineage-...`: the lineage of what other systems made, noted from their metadata files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.shared import aside, prepared
from pipeline.errors import StorageError
from pipeline.places import redacted

if TYPE_CHECKING:
    from contracts import LineageEvent

MetadataPath = Annotated[Path, typer.Option("--metadata-path", help="JSON file.")]


def emit_dataset_build(metadata_path: MetadataPath) -> None:
    """Note that a data set was built, from a file that holds a DatasetMetadata; print the event.

    Exit status 0: it is noted; 1: the file is none, or the log cannot be written.

    Example: pipeline monitor emit-lineage-dataset-build --metadata-path features.json
    """
    from contracts import DatasetMetadata
    from pipeline.monitoring.lineage.foreign import read_described
    from pipeline.monitoring.lineage.steps import dataset_built

    described = read_described(metadata_path, DatasetMetadata)
    _note(dataset_built(described, None, path=redacted(described.path)))


def emit_training_run(metadata_path: MetadataPath) -> None:
    """Note that a model was trained, from a file that holds a TrainingMetadata; print the event.

    Exit status 0: it is noted; 1: the file is none, or the log cannot be written.

    Example: pipeline monitor emit-lineage-training-run --metadata-path training.json
    """
    from contracts import TrainingMetadata
    from pipeline.monitoring.lineage.foreign import read_described
    from pipeline.monitoring.lineage.steps import training_told

    _note(training_told(read_described(metadata_path, TrainingMetadata)))


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
