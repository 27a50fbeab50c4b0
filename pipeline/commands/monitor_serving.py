"""`pipeline monitor serving-health`: how the deployments are, by what they report."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.limits import MOST_HOURS_OF_WINDOWS
from pipeline.commands.shared import aside, prepared, show

if TYPE_CHECKING:
    from pipeline.monitoring.serving.assess import ServingHealth

NOT_WELL = 3
FAULTS_SHOWN = 10
"""Faults and conflicts that a person is told; the JSON has more."""


def serving_health(
    path: Annotated[
        Path | None, typer.Option("--path", help="Folder with YYYY-MM-DD/HH/*.jsonl; SERVING_METRICS_PATH when unset.")
    ] = None,
    deployment: Annotated[str | None, typer.Option("--deployment", help="Only this one.")] = None,
    hours: Annotated[
        int | None,
        typer.Option(
            "--hours", help="Hours of windows that are read; SERVING_LOOKBACK_HOURS.", min=1, max=MOST_HOURS_OF_WINDOWS
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first line that cannot be used.")] = False,
    as_json: Annotated[
        bool | None, typer.Option("--json/--table", help="JSON, or a table; unset: a table at a terminal, else JSON.")
    ] = None,
) -> None:
    """Judge how deployments are, by the windows that they report.

    Exit status 3: one is not healthy. 1: the folder, the deployment or, with --strict, a line cannot be used.

    Example: pipeline monitor serving-health --path artifacts/serving/metrics
    """
    from pipeline.errors import ConfigurationError
    from pipeline.monitoring.serving.assess import assess, metrics_folder, remembered

    installation = prepared()
    settings, home = installation.settings, installation.home
    if path is not None and not path.is_dir():
        raise ConfigurationError(f"--path {path} is no folder; it holds YYYY-MM-DD/HH/*.jsonl")
    folder, known = (path, []) if path is not None else (metrics_folder(settings, home), remembered(home))
    health = assess(folder, settings, dt.datetime.now(dt.UTC), known, hours=hours, strict=strict)
    if deployment is not None:
        health = _only(health, deployment, folder)
    if as_json or (as_json is None and not sys.stdout.isatty()):
        typer.echo(json.dumps(health.as_json(), indent=2))
    else:
        _table(health, folder)
    if any(state.status != "healthy" for state in health.deployments):
        raise typer.Exit(NOT_WELL)


def _only(health: ServingHealth, deployment: str, folder: Path) -> ServingHealth:
    from dataclasses import replace

    from pipeline.errors import ConfigurationError

    found = [state for state in health.deployments if state.deployment_id == deployment]
    if not found:
        names = ", ".join(state.deployment_id for state in health.deployments) or "none"
        raise ConfigurationError(f"no window of the deployment {deployment!r} was read in {folder}; there are: {names}")
    return replace(health, deployments=found)


def _table(health: ServingHealth, folder: Path) -> None:
    rows = [
        {
            "deployment": state.deployment_id,
            "status": state.status,
            "windows": state.evaluated_windows,
            "missing": state.missing_window_count,
            "latest (UTC)": f"{state.latest_window_end:%m-%d %H:%M}",
            "detail": state.detail,
        }
        for state in health.deployments
    ]
    show(
        rows,
        as_json=False,
        title=f"Deployments ({len(health.read.windows):,} windows in {health.read.files:,} files)",
        right=("windows", "missing"),
        empty=f"no deployment: no window in {folder}",
        spare=("windows", "latest (UTC)"),
        whole=("status",),
    )
    told = [
        *map(str, health.read.faults),
        *(f"{one.dropped}: it contradicts {one.kept}: {one.reason}" for one in health.read.conflicts),
    ]
    for text in told[:FAULTS_SHOWN]:
        aside(text, typer.colors.YELLOW)
    if (more := health.read.fault_count + health.read.conflict_count - FAULTS_SHOWN) > 0:
        aside(f"and {more:,} more that could not be used; --json names them", typer.colors.YELLOW, logging.WARNING)
