"""The code location: everything under `pipeline/defs`, found by place."""

from __future__ import annotations

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Load every asset, check, job, schedule, sensor and resource."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
