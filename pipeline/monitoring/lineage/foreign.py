"""Metadata files of others, read as the contracts that they are."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from contracts.datasets import MetadataContract
from pipeline.errors import MetadataError

MOST_BYTES = 2**20
"""Bytes of a metadata file beyond which it is none."""
Described = TypeVar("Described", bound=MetadataContract)


def read_described(path: Path, contract: type[Described]) -> Described:
    """Return what a JSON file describes.

    Raises:
        MetadataError: it cannot be read, or is not as the contract says; names each field that is wrong.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise MetadataError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise MetadataError(f"{path} has more than {MOST_BYTES >> 20} MB: it is no {contract.__name__}")
    try:
        return contract.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'JSON'}: {one['msg']}" for one in error.errors())
        raise MetadataError(f"{path} is no {contract.__name__}: {faults}") from error
