"""How runs ended: whose they were, what failed in them, and which checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from pipeline import errors
from pipeline.errors import PipelineError

OURS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, PipelineError)}
"""Names of the errors whose text says what was wrong; what they were raised from says less."""
INTERRUPTIONS = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}
"""Names of what a run ends of that was asked to stop."""
NO_FAULTS = {"DagsterAssetCheckFailedError", *INTERRUPTIONS}
BY_HAND = "__ASSET_JOB"
"""How Dagster calls the job of whatever is materialized by hand."""
LONGEST = 200
"""Letters of a subject."""


@dataclass(frozen=True)
class Fault:
    """Why a step failed: our own error, else the root of it; `kind` is the error's name."""

    step: str
    kind: str
    message: str

    def __str__(self) -> str:
        """A line for people."""
        return f"{self.step}: {self.message}"


def tenant_of(run: dg.DagsterRun) -> str:
    """Return whose run it is; empty where it is nobody's, as the purge of Dagster's history."""
    return run.tags.get("tenant") or run.tags.get("dagster/partition", "").partition("/")[0]


def subject_of(run: dg.DagsterRun) -> str:
    """Return what a run is known by among its tenant's: its job, or what was materialized by hand."""
    if not run.asset_selection or not run.job_name.startswith(BY_HAND):
        return run.job_name
    assets = ", ".join(sorted(key.to_user_string() for key in run.asset_selection))
    partition = run.tags.get("dagster/partition")
    return f"{assets} of {partition}"[:LONGEST] if partition else assets[:LONGEST]


def faults(events: Sequence[dg.DagsterEvent]) -> list[Fault]:
    """Return what failed, step by step; a check that blocked the run tells its findings itself.

    A step that was asked to stop has not failed.
    """
    found = []
    for event in events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None and error.cls_name not in OURS:
                error = error.cause
            if error is not None and error.cls_name not in NO_FAULTS:
                found.append(Fault(event.step_key or "", error.cls_name or "Exception", _said(error.message)))
    return found


def interrupted(events: Sequence[dg.DagsterEvent]) -> bool:
    """Say whether a run ended because its process was asked to stop, by Ctrl-C or SIGTERM; Dagster calls it failed."""
    ends = [event.job_failure_data.error for event in events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
    return any(error is not None and error.cls_name in INTERRUPTIONS for error in ends)


def failed_checks(events: Sequence[dg.DagsterEvent]) -> list[str]:
    """Return what the asset checks of severity error found."""
    checks = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return [
        f"{check.asset_key.to_user_string()}: {check.check_name}{' (blocking)' if check.blocking else ''}: "
        f"{check.description}"
        for check in checks
        if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
    ]


def _said(message: str) -> str:
    """An error's text without the module of its class, which says nothing to those who read it."""
    where, colon, text = message.strip().partition(": ")
    name = where.rpartition(".")[2]
    return f"{name}: {text}" if colon and where.replace(".", "").replace("_", "").isalnum() else message.strip()
