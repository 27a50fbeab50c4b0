"""What the Dagster UI shows of the search for settings."""

from __future__ import annotations

import math
from typing import Any

import dagster as dg

from contracts import TuningRecord
from pipeline.engine.tuning import Tuned
from pipeline.plots import as_markdown_image, trials_plot


def search_metadata(tuned: Tuned) -> dict[str, Any]:
    """Return a table of what was searched by demand class, and a plot of the trials; nothing where none was."""
    records = list(tuned.records.values())
    if not records:
        return {}
    rows = ["| class | trials | best error | best settings | what mattered |", "|---|---|---|---|---|"]
    for one in records:
        best = min((f"{value:.3f}" for value in _finished(one) if math.isfinite(value)), default="")
        settings = ", ".join(f"{name} {_short(value)}" for name, value in sorted(one.best.items()))
        mattered = ", ".join(f"{name} {share:.0%}" for name, share in one.importance.items() if share >= 0.01)
        rows.append(f"| {one.demand_class} | {len(one.trials)} | {best} | {settings} | {mattered} |")
    lines = [(str(one.demand_class), _finished(one)) for one in records]
    plot = as_markdown_image(trials_plot(lines, title="Error by trial, relative to untuned"), "trials")
    told = "Errors are relative to the untuned settings', told with caution: 1 is as good as untuned."
    return {"search": dg.MetadataValue.md("\n".join([*rows, "", told, "", plot]))}


def _finished(record: TuningRecord) -> list[float]:
    """The error of each trial in order; NaN where it was given up."""
    return [math.nan if trial.value is None else trial.value for trial in record.trials]


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
