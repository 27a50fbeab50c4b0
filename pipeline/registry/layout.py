"""Where an artefact lies in its store, and what kind of file it is: both follow from its reference."""

from __future__ import annotations

from pathlib import PurePosixPath

FORMATS = {".json": "json", ".txt": "text", ".parquet": "parquet"}


def location(sha256: str) -> str:
    """Return an object's key without its ending, which says whether it is compressed."""
    return f"{sha256[:2]}/{sha256[2:]}"


def file_type(name: str) -> str:
    """Return what a model's file is, by its format: `model/json`, `model/text`, `model/parquet`, `model/other`."""
    return f"model/{FORMATS.get(PurePosixPath(name).suffix.lower(), 'other')}"
