"""Metadata that stands beside every data set and every trained model, also those of other systems."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from contracts.base import SCHEMA_VERSION, Contract, Count, UtcDatetime

Name = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
"""A text that names something: never empty, nor white space alone."""


class MetadataContract(Contract):
    """Base of what is read from other systems' files: no text is taken for a number, no number for a text."""

    model_config = ConfigDict(strict=True)


class DatasetMetadata(MetadataContract):
    """Describes one built data set; written beside it and into the Parquet schema's metadata."""

    dataset_name: Name
    dataset_version: Name = Field(description="Changes when, and only when, the content does.")
    path: Name
    built_at: UtcDatetime
    row_count: Count
    feature_count: Count
    target: Name
    entity: Name
    event_ts: Name = Field(description="Name of the column that holds the time of the event.")
    schema_version: Name = SCHEMA_VERSION


class TrainingErrors(MetadataContract):
    """Errors of a trained model, out of sample, in units of its target."""

    rmse: float = Field(ge=0)
    mae: float = Field(ge=0)


class TrainingMetadata(MetadataContract):
    """Describes one training run: the model that it made, and from which data set."""

    run_id: Name
    model_name: Name
    model_version: Name
    input_dataset_name: Name
    input_dataset_version: Name
    started_at: UtcDatetime
    completed_at: UtcDatetime
    metrics: TrainingErrors
    artifact_path: Name

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.completed_at < self.started_at:
            raise ValueError(f"completed_at {self.completed_at} is before started_at {self.started_at}")
        return self
