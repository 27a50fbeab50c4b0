"""How all deployments are now: read, judged, and remembered, so that one that falls silent is not forgotten."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts import DeploymentHealthState, HealthStatus
from pipeline.home import Home, write_atomically
from pipeline.monitoring.found import read_serving_health, serving_health_path
from pipeline.monitoring.freshness import AHEAD_SECONDS
from pipeline.monitoring.serving.health import health_of_all, silence
from pipeline.monitoring.serving.windows import Read, read_windows
from pipeline.settings import Settings


@dataclass(frozen=True)
class ServingHealth:
    """How the deployments are, and what could not be used of what they reported."""

    evaluated_at: dt.datetime
    deployments: list[DeploymentHealthState]
    read: Read

    def as_json(self) -> dict[str, Any]:
        """Return what is stored and what machines get."""
        return {
            "evaluated_at": self.evaluated_at.isoformat(),
            "deployments": [state.model_dump(mode="json") for state in self.deployments],
            "files": self.read.files,
            "windows": len(self.read.windows),
            "repeats": self.read.repeats,
            "fault_count": self.read.fault_count,
            "faults": [fault._asdict() for fault in self.read.faults],
            "unusable_count": self.read.unusable_count,
            "unusable": [fault._asdict() for fault in self.read.unusable],
            "conflict_count": self.read.conflict_count,
            "conflicts": [
                one._asdict() | {"window_start": one.window_start.isoformat(), "window_end": one.window_end.isoformat()}
                for one in self.read.conflicts
            ],
        }


def metrics_folder(settings: Settings, home: Home) -> Path:
    """Return the folder that model servers write to."""
    return settings.serving_metrics_path or home.serving


def assess(
    folder: Path,
    settings: Settings,
    now: dt.datetime,
    known: Sequence[DeploymentHealthState] = (),
    *,
    hours: int | None = None,
    strict: bool = False,
) -> ServingHealth:
    """Return how the deployments are whose windows lie in a folder.

    Args:
        folder: see `read_windows`.
        settings: thresholds and look-back.
        now: the moment of judgement.
        known: deployments found earlier: those without a window in the look-back are told as silent, for a while.
        hours: how far back windows are read; SERVING_LOOKBACK_HOURS when None.
        strict: raise at the first fault.

    Raises:
        MetadataError: with `strict`, something cannot be used; names file and line.
    """
    since = now - dt.timedelta(hours=hours or settings.serving_lookback_hours)
    read = read_windows(folder, since, now + dt.timedelta(seconds=AHEAD_SECONDS), strict=strict)
    states = health_of_all(read.windows, settings, now)
    here = {state.deployment_id for state in states}
    states += [
        told
        for state in known
        if state.deployment_id not in here and (told := _silent(state, settings, now)) is not None
    ]
    return ServingHealth(now, sorted(states, key=lambda state: state.deployment_id), read)


def _silent(state: DeploymentHealthState, settings: Settings, now: dt.datetime) -> DeploymentHealthState | None:
    """How a deployment is that has no window in the look-back; None where it is forgotten."""
    latest = min(state.latest_window_end, now)
    if now - latest > dt.timedelta(days=settings.serving_forgotten_days):
        return None
    words = silence(latest, settings, now) or "no window of it is there any more"
    gone = {"evaluated_windows": 0, "missing_window_count": 0, "status": HealthStatus.UNHEALTHY, "detail": words}
    return state.model_copy(update={"latest_window_end": latest, **gone})


def remember(home: Home, health: ServingHealth) -> None:
    """Store how the deployments were found.

    Raises:
        StorageError: it cannot be written.
    """
    text = json.dumps(health.as_json(), ensure_ascii=False, indent=1)
    write_atomically(serving_health_path(home), text.encode("utf-8", "backslashreplace"), shared=True)


def remembered(home: Home) -> list[DeploymentHealthState]:
    """Return how the deployments were found last; none where nothing was found yet.

    Raises:
        MetadataError: the file cannot be read; says what to do.
    """
    found = read_serving_health(home)
    return [] if found is None else list(found.deployments)
