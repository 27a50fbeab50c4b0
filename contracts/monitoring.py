"""What the feedback layer finds and tells: freshness, checks of metadata, lineage."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from contracts.base import UtcDatetime
from contracts.datasets import MetadataContract, Name


class Freshness(StrEnum):
    """Whether a data set is young enough; the threshold is a setting."""

    FRESH = "FRESH"
    STALE = "STALE"


class FreshnessResult(MetadataContract):
    """How old a data set is, and whether that is too old."""

    dataset_name: Name
    dataset_version: Name
    freshness_seconds: float = Field(ge=0, description="Seconds since it was built.")
    status: Freshness


class CheckResult(MetadataContract):
    """One check of a metadata file."""

    check: Name
    passed: bool
    detail: str = Field(description="What was found, with the value; what would be right where it failed.")


class CheckReport(MetadataContract):
    """The checks of one metadata file in their order; they stop where the next would make no sense."""

    metadata_path: Name
    all_passed: bool
    results: tuple[CheckResult, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.all_passed != all(result.passed for result in self.results):
            raise ValueError(f"all_passed is {self.all_passed}, which is not what the results say")
        return self


class Role(StrEnum):
    """What takes part in a step of the lineage."""

    DATASET = "dataset"
    MODEL = "model"


class Versioned(MetadataContract):
    """One version of a data set or a model."""

    name: Name
    version: Name


def _finite(found: dict[str, JsonValue]) -> dict[str, JsonValue]:
    json.dumps(found, allow_nan=False)  # Raises ValueError; numbers without end are no JSON, wherever they stand.
    return found


class LineageEvent(MetadataContract):
    """One step that made something from something; a line of `lineage-YYYY-MM-DD.ndjson`."""

    event_type: Name = Field(description="Such as `dataset_build_completed` or `training_run_completed`.")
    event_time: UtcDatetime
    inputs: dict[Role, Versioned] = Field(description="What went in, by role.")
    outputs: dict[Role, Versioned] = Field(description="What came out, by role.")
    metadata: Annotated[dict[str, JsonValue], AfterValidator(_finite)] = Field(
        description="`row_count` and `feature_count` of a data set; `run_id` and `duration_seconds` of a training."
    )
