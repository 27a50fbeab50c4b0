"""Dagster runs started from the command line; they show in the UI like any other."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Any

import dagster as dg
from filelock import FileLock
from sqlalchemy.exc import DBAPIError

from pipeline.commands.processes import HOST_TAG, PROCESS_TAG, is_alive, tags_of_this_process
from pipeline.defs.ends import failed_checks, faults, interrupted
from pipeline.defs.waiting import waiting
from pipeline.errors import ConfigurationError, PipelineError, StorageError
from pipeline.installation import Installation, open_installation
from pipeline.logs import bound
from pipeline.monitoring.metrics.read import Waiting
from pipeline.monitoring.metrics.textfile import write_metrics
from pipeline.queue import TRAINING, WORK_TAG, number_of
from pipeline.tenants import tenant_ids

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PARTITIONS = "tenants"
KILLED = "its process was killed; what it had finished is kept"
STOPPED = "it was asked to stop; what it had finished is kept"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    `errors` holds the cause of each failed step: our own error, else the root of it. `failed_checks` holds what
    the asset checks of severity error found. One that was asked to stop is `cancelled`: it has neither. It was
    `interrupted` where the whole command was asked, by Ctrl-C or SIGTERM.
    """

    run_id: str
    success: bool
    errors: tuple[str, ...]
    failed_checks: tuple[str, ...] = ()
    cancelled: bool = False
    interrupted: bool = False


@contextmanager
def opened_instance() -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance of DAGSTER_HOME; several processes may create it at the same time.

    Raises:
        ConfigurationError: DAGSTER_HOME, or what its file dagster.yaml says, cannot be used.
        StorageError: its databases are damaged or cannot be reached, or the disk is full.
    """
    folder = os.environ["DAGSTER_HOME"]
    try:
        with _found_instance(folder) as instance:
            yield instance
    except _gives_up() as error:
        said = " ".join(str(getattr(error.__cause__, "orig", None) or error).split())
        raise StorageError(
            f"Dagster's history cannot be reached where DAGSTER_DATABASE_URL says: {said} (start the server, "
            f"correct the address, or create the database with createdb)"
        ) from error
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StorageError(
            f"Dagster's history in {folder!r} cannot be read or written: {cause}; make room on the disk, or move the "
            f"damaged file away: sales, models and forecasts do not lie there"
        ) from error


def _found_instance(folder: str) -> dg.DagsterInstance:
    try:
        with FileLock(Path(folder) / "opening.lock"):
            return dg.DagsterInstance.get()
    except (dg.DagsterInvariantViolationError, dg.DagsterInvalidConfigError) as error:
        raise ConfigurationError(f"DAGSTER_HOME = {folder!r} cannot be used: {error}") from error


def _gives_up() -> tuple[type[Exception], ...]:
    """What Dagster raises once it has tried PostgreSQL often enough; its library takes long to import."""
    if "DAGSTER_DATABASE_URL" not in os.environ:
        return ()
    from dagster_postgres.utils import DagsterPostgresException

    return (DagsterPostgresException,)


def register_tenants(installation: Installation) -> list[str]:
    """Make every tenant a partition, and return their ids."""
    known = tenant_ids(installation.home)
    with opened_instance() as instance:
        new = set(known) - set(instance.get_dynamic_partitions(PARTITIONS))
        if new:
            instance.add_dynamic_partitions(PARTITIONS, sorted(new))
    return known


def run_job(
    tenant_id: str,
    job: str = "train_and_forecast",
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> RunResult:
    """Run a job for one tenant in this process, with tags to find it by again, and wait for its end."""
    from pipeline.definitions import defs

    with opened_instance() as instance, bound():
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
                    **(tags or {}),
                    "cause": "command line",
                    "tenant": tenant_id,
                    **tags_of_this_process(),
                },
            )
        )
        events = result.all_events
        if stopped := interrupted(events):
            _cancel_interrupted(instance, result.run_id)
        _leave_metrics(instance)
    cancelled = stopped or any(event.event_type is dg.DagsterEventType.RUN_CANCELED for event in events)
    told = tuple(map(str, faults(events))), tuple(failed_checks(events))
    return RunResult(result.run_id, result.success, *told, cancelled, stopped)


def _cancel_interrupted(instance: dg.DagsterInstance, run_id: str) -> None:
    """Mark a run as cancelled that Ctrl-C has ended; Dagster takes that for a failure."""
    if (run := instance.get_run_by_id(run_id)) is not None:
        instance.report_run_canceled(run, STOPPED)


def _leave_metrics(instance: dg.DagsterInstance) -> None:
    """Leave the figures of a run's end in their file; where that cannot be, the run is as it was."""
    opened = open_installation()
    try:
        with opened.registry:
            write_metrics(opened, lambda: waiting(instance))
    except PipelineError as error:
        logger.warning("the metrics of this run's end could not be written: %s", error)


def queued_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Return the runs that wait, in the order in which the queue takes them."""
    waiting = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), ascending=True)
    return sorted(waiting, key=lambda run: -number_of(run.tags))


def started_trainings(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Return the runs of trainings that have begun, the newest first."""
    begun = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    return list(instance.get_runs(dg.RunsFilter(statuses=begun, tags={WORK_TAG: TRAINING})))


def waiting_runs() -> list[Waiting]:
    """Return the runs that wait, as figures are made of them.

    Raises:
        ConfigurationError: DAGSTER_HOME cannot be used.
        StorageError: Dagster's history cannot be reached.
    """
    with opened_instance() as instance:
        return waiting(instance)


def cancel_run(instance: dg.DagsterInstance, run_id: str) -> str:
    """Take a run out of the queue, ask its process to stop, or close it where its process is gone; say which.

    Raises:
        ConfigurationError: it has ended, or it runs on another machine.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        raise ConfigurationError(f"run {run_id!r} cannot be cancelled: it {'has ended' if run else 'is not known'}")
    if run.status is dg.DagsterRunStatus.QUEUED:
        instance.run_coordinator.cancel_run(run_id)
        return f"Run {run_id} is out of the queue."
    if (process := run.tags.get(PROCESS_TAG)) is None:
        instance.run_coordinator.cancel_run(run_id)
    elif run.tags.get(HOST_TAG) != gethostname():
        raise ConfigurationError(f"run {run_id!r} was started on {run.tags.get(HOST_TAG)}: press Ctrl-C there")
    elif is_alive(run.tags):
        instance.report_run_canceling(run)  # Otherwise Dagster takes its end for a failure.
        os.kill(int(process), signal.SIGINT)
    else:
        instance.report_run_failed(run, KILLED)
        return f"Run {run_id} had no process any more and is marked as failed. What it has finished is kept."
    return f"Run {run_id} was asked to stop. What it has finished is kept."


def close_dead_runs(instance: dg.DagsterInstance, tenant_id: str) -> None:
    """Mark the tenant's runs as failed whose process on this machine was killed: they hold its place in the queue."""
    started = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING],
        tags={"tenant": tenant_id, HOST_TAG: gethostname()},
    )
    for run in instance.get_runs(started):
        if not is_alive(run.tags):
            instance.report_run_failed(run, KILLED)
