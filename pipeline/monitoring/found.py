"""What the parts of the feedback layer last found, read from their files; a file that is not there says nothing."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts import DatasetMetadata, DeploymentHealthState, Freshness
from pipeline.errors import MetadataError
from pipeline.home import Home
from pipeline.monitoring.metadata import read_bytes

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 64 * 2**20
"""Of a file that a part of the feedback layer leaves; tens of thousands of deployments fill a third of it."""
COLUMNS = ("tenant_id", "product_id", "clock", "status", "reason")
Form = TypeVar("Form", bound=BaseModel)


class _Found(BaseModel):
    """Base of what is read here; what later releases add is no fault."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Unusable(_Found):
    """A file or folder of a model server that gave no window, and the first reason."""

    path: str
    reason: str


class ServingHealth(_Found):
    """How each deployment was at the last look."""

    evaluated_at: dt.datetime
    deployments: tuple[DeploymentHealthState, ...]
    unusable: tuple[Unusable, ...] = ()
    unusable_count: int = 0


def read_freshness(home: Home, columns: Sequence[str] = COLUMNS) -> pd.DataFrame | None:
    """Return a row a tenant, product and clock: whether it is stale, and why; of these columns those that are wanted.

    Raises:
        MetadataError: the file cannot be read, or lacks a column.
    """
    import pandas as pd

    path = home.monitoring / "freshness.parquet"
    if not os.path.lexists(path):
        return None
    if not path.is_file():  # A pipe would be waited for.
        raise MetadataError(f"{path} cannot be read as a table: it is no regular file")
    try:
        return pd.read_parquet(path, columns=list(columns))
    except (OSError, ValueError, KeyError) as error:
        raise MetadataError(f"{path} cannot be read as a table with {', '.join(columns)}: {error}") from error


def stale(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are stale."""
    return frame[frame["status"] == Freshness.STALE.value]


def serving_health_path(home: Home) -> Path:
    """Return where it is stored how the deployments were found last."""
    return home.monitoring / "serving_health.json"


def read_serving_health(home: Home) -> ServingHealth | None:
    """Return how the deployments were.

    Raises:
        MetadataError: the file cannot be read, or is not as its contract says.
    """
    return read_found(ServingHealth, serving_health_path(home), "remove it, and it is made anew")


def features_built_at(home: Home, tenant_id: str) -> dt.datetime | None:
    """Return when a tenant's training table was built, UTC.

    Raises:
        MetadataError: the file cannot be read, or is not as its contract says.
    """
    found = read_found(DatasetMetadata, home.tenant(tenant_id) / "features.json", "materialize `features`")
    return None if found is None else found.built_at


def read_found(form: type[Form], path: Path, advice: str) -> Form | None:
    """Return what a file holds that a part of the feedback layer leaves for the others; None where there is none.

    Raises:
        MetadataError: it cannot be read, or is not of that form; says why, and what helps.
    """
    if not os.path.lexists(path):
        return None
    try:
        return form.model_validate_json(read_bytes(path, MOST_BYTES))
    except (MetadataError, ValidationError) as error:
        raise MetadataError(f"{path} cannot be read as {form.__name__}: {error}; {advice}") from error


def need_found(form: type[Form], path: Path, advice: str) -> Form:
    """Return the same; a file that is not there is an error, too.

    Raises:
        MetadataError: see `read_found`.
    """
    found = read_found(form, path, advice)
    if found is None:
        raise MetadataError(f"{path} cannot be read: it is not there; {advice}")
    return found
