"""Dagster runs started from the command line; they show in the UI like any other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Any

import dagster as dg

from pipeline.installation import Installation
from pipeline.tenants import tenant_ids

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PARTITIONS = "tenants"
HOST_TAG, PROCESS_TAG = "pipeline/host", "pipeline/process"


@dataclass(frozen=True)
class RunResult:
    """How a run ended; `errors` holds the root cause of each failed step."""

    run_id: str
    success: bool
    errors: tuple[str, ...]


def register_tenants(installation: Installation) -> list[str]:
    """Make every tenant a partition, and return their ids."""
    known = tenant_ids(installation.home)
    with dg.DagsterInstance.get() as instance:
        new = set(known) - set(instance.get_dynamic_partitions(PARTITIONS))
        if new:
            instance.add_dynamic_partitions(PARTITIONS, sorted(new))
    return known


def run_job(tenant_id: str, job: str = "train_and_forecast", config: Mapping[str, Any] | None = None) -> RunResult:
    """Run a job for one tenant in this process, and wait for its end."""
    from pipeline.definitions import defs

    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance, tenant_id)
        result = (
            defs()
            .resolve_job_def(job)
            .execute_in_process(
                run_config={**QUIET, **(config or {})},
                instance=instance,
                partition_key=tenant_id,
                raise_on_error=False,
                tags={
                    "cause": "command line",
                    "tenant": tenant_id,
                    HOST_TAG: gethostname(),
                    PROCESS_TAG: str(os.getpid()),
                },
            )
        )
    return RunResult(result.run_id, result.success, tuple(_errors(result.all_events)))


def close_dead_runs(instance: dg.DagsterInstance, tenant_id: str) -> None:
    """Mark the tenant's runs as failed whose process on this machine was killed: they hold its place in the queue."""
    started = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING],
        tags={"tenant": tenant_id, HOST_TAG: gethostname()},
    )
    for run in instance.get_runs(started):
        if not Path(f"/proc/{run.tags.get(PROCESS_TAG, '')}").exists():
            instance.report_run_failed(run, "its process was killed; what it had finished is kept")


def _errors(events: Sequence[dg.DagsterEvent]) -> list[str]:
    found = []
    for event in events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            if error is not None:
                found.append(f"{event.step_key}: {_said(error.message)}")
    return found


def _said(message: str) -> str:
    """An error's text without the module of its class, which says nothing to those who read it."""
    where, colon, text = message.strip().partition(": ")
    name = where.rpartition(".")[2]
    return f"{name}: {text}" if colon and where.replace(".", "").replace("_", "").isalnum() else message.strip()
