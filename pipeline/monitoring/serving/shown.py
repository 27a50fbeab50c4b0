"""What is drawn of deployments."""

from __future__ import annotations

import datetime as dt
import math

from contracts import HealthStatus
from pipeline.monitoring.serving.assess import ServingHealth
from pipeline.plots import SPARK_VALUES, as_markdown, as_markdown_image, sparkline

DRAWN = 8


def p95_lines(health: ServingHealth) -> str | None:
    """Return Markdown: a line a deployment with its p95 by time; None where no window was read.

    Each point is the highest of its part of the time, over all endpoints, so that no peak is lost. Up to eight
    deployments are drawn, those that are not healthy first.
    """
    windows = health.read.windows
    if not windows:
        return None
    first, last = min(window.end for window in windows), max(window.end for window in windows)
    step = max((last - first) / (SPARK_VALUES - 1), dt.timedelta(seconds=1))
    here = {window.source.deployment_id for window in windows}
    order = sorted(health.deployments, key=lambda state: (state.status is HealthStatus.HEALTHY, state.deployment_id))
    drawn = [state.deployment_id for state in order if state.deployment_id in here][:DRAWN]
    points = {name: [math.nan] * ((last - first) // step + 1) for name in drawn}
    for window in windows:
        of, number = points.get(window.source.deployment_id), (window.end - first) // step
        if of is not None:
            of[number] = max(window.p95, of[number]) if math.isfinite(of[number]) else window.p95
    span = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    return "\n\n".join([f"p95, {span}", *(_line(name, of) for name, of in points.items())])


def _line(name: str, values: list[float]) -> str:
    highest = max(value for value in values if math.isfinite(value))
    told = f"{name}, p95 by time, at most {highest:g} ms"
    return f"{as_markdown_image(sparkline(values, label=told), told)} {as_markdown(name)}: up to {highest:g} ms"
