"""What `pipeline run` says at its end: a table, where things lie, and what to type next."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from pipeline.commands.dagster_runs import STOPPED, RunResult
from pipeline.commands.shared import aside, show
from pipeline.errors import DataError
from pipeline.installation import Installation
from pipeline.places import redacted
from pipeline.tables import read_table

__all__ = ["RunResult", "show_results"]


def show_results(installation: Installation, results: Mapping[str, RunResult], as_json: bool) -> None:
    """Print each tenant's outcome."""
    rows = [_row(installation, tenant_id, result) for tenant_id, result in results.items()]
    show(
        rows, as_json, "Results (WAPE: units forecast wrong for each unit sold, out of sample)", right=list(rows[0])[1:]
    )
    for tenant_id, result in results.items():
        if result.cancelled:
            aside(f"{tenant_id}: cancelled: {STOPPED}", typer.colors.YELLOW)
        for error in result.errors:
            aside(f"{tenant_id}: {error}", typer.colors.RED, logging.ERROR)
        for check in result.failed_checks:
            aside(f"{tenant_id}: check failed: {check}", typer.colors.YELLOW, logging.ERROR)
    if not as_json and any(result.success for result in results.values()):
        _where(installation, [tenant_id for tenant_id, result in results.items() if result.success])


def _row(installation: Installation, tenant_id: str, result: RunResult) -> dict[str, Any]:
    jobs = installation.registry.jobs(tenant_id, run_id=result.run_id)
    counts = ("trained", "skipped", "insufficient", "failed")
    wape, naive = _errors(installation, tenant_id) if result.success else (None, None)
    return {
        "tenant": tenant_id,
        **{name: getattr(jobs[0], name) if jobs else None for name in counts},
        "WAPE": wape,
        "naive WAPE": naive,
        "error vs naive": None if wape is None or not naive else f"{wape / naive - 1:+.0%}",
    }


def _errors(installation: Installation, tenant_id: str) -> tuple[float | None, float | None]:
    from pipeline.training.evaluation import measured

    try:
        frame = read_table(installation.home.table(tenant_id, "evaluation"), "the evaluation")
    except DataError:
        return None, None  # a tenant with too little history has no evaluation
    model, naive = measured(frame)
    return model.wape, naive.wape


def _where(installation: Installation, tenants: list[str]) -> None:
    home, first = installation.home, tenants[0]
    whose = first if len(tenants) == 1 else "TENANT"
    lines = {
        "forecasts": home.table(whose, "forecasts"),
        "models": redacted(str(installation.settings.model_storage_path or home.models)),
        "reports": home.report(whose),
    }
    for name, place in lines.items():
        typer.echo(f"{name + ':':11}{place}")
    program = _program()
    typer.echo("\nNext:")
    for command, what in (
        (f"forecast show --tenant {first}", "what to bake"),
        (f"models list --tenant {first}", "models and their errors"),
        ("dev", "the graph in a browser"),
        ("run --sales FILE --country CC", "the same on your own sales"),
    ):
        typer.echo(f"  {program} {command:34} {what}")


def _program() -> str:
    """The command as it can be typed here: by its name where it is on the path, else by its place."""
    if shutil.which("pipeline"):
        return "pipeline"
    place = Path(sys.argv[0])
    return str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else str(place)
