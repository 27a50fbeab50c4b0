"""What the Dagster UI shows of a tenant's last trainings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dagster as dg

from pipeline.plots import as_markdown_image, bar_plot
from pipeline.registry.records import Experiment

LAST_TRAININGS = 12


def trainings_metadata(trainings: Sequence[Experiment]) -> dict[str, Any]:
    """Return a plot of the WAPE over all products, training by training, the naive's as a tick; nothing without any."""
    rows = [
        (f"{one.job.started_at:%Y-%m-%d %H:%M}", one.value, math.nan if one.naive is None else one.naive)
        for one in trainings
        if one.value is not None
    ]
    if not rows:
        return {}
    plot = as_markdown_image(bar_plot(rows, title="WAPE of the last trainings"), "WAPE of the last trainings")
    told = "WAPE of all products at the past origins, training by training, the newest last; the tick is the naive's."
    return {"trainings": dg.MetadataValue.md(f"{told}\n\n{plot}")}
