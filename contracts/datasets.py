"""Metadata that stands beside every data set."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.base import SCHEMA_VERSION, Contract, Count, UtcDatetime

Name = Annotated[str, StringConstraints(min_length=1)]


class DatasetMetadata(Contract):
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
