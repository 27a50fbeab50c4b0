"""Mirrors trainings to an MLflow server where one is named; the registry remains the truth."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.util import find_spec

from pipeline.compute import Crew
from pipeline.errors import RegistryError
from pipeline.installation import Installation
from pipeline.places import redacted
from pipeline.registry.jobs import COUNTS
from pipeline.registry.manifests import COMBINATION
from pipeline.registry.records import Figure, JobRecord, JobStatus
from pipeline.training.mlflow_client import Mirrored, Parcel, Question, Server, lacking, send

logger = logging.getLogger(__name__)

LATEST = 20
"""Trainings that are looked at after each one: what was missed meanwhile is made up for."""
STATUS = {JobStatus.COMPLETED: "FINISHED", JobStatus.FAILED: "FAILED", JobStatus.CANCELLED: "KILLED"}
LONGEST = 500
"""Letters of a value: servers refuse longer ones."""
FIRST = ("product_id", "version", "algorithm", "demand_class", "seconds")


def mirror(installation: Installation, tenant_id: str, latest: int = LATEST) -> int:
    """Mirror those of a tenant's latest trainings that have ended and that the server lacks; return how many.

    Nothing is raised: whatever the server does, at the most a warning is left, in the log and in that of the job that
    was not mirrored, with the server's address, after at most MLFLOW_SECONDS and a
    worker's start.
    """
    if (uri := installation.settings.mlflow_tracking_uri) is None:
        return 0
    done: list[str] = []
    missed: list[str] = []
    try:
        jobs = [job for job in installation.registry.jobs(tenant_id, limit=latest) if job.status.final]
        fault = _mirrored(installation, jobs[::-1], uri.get_secret_value(), done, missed)
    except Exception as error:  # What was trained is registered; a mirror is worth no failed training.
        fault = f"{type(error).__name__}: {error}"
    if fault is not None:
        _warn(installation, tenant_id, missed, fault)
    return len(done)


def _mirrored(
    installation: Installation, jobs: list[JobRecord], uri: str, done: list[str], missed: list[str]
) -> str | None:
    """Mirror what the server lacks, the earliest first; return what went wrong, if anything."""
    missed += [job.id for job in jobs]
    if find_spec("mlflow") is None:
        return "MLflow's client is not installed: install the extra, demand-forecast-pipeline[mlflow]"
    if not jobs:
        return None
    settings = installation.settings
    end = time.monotonic() + settings.mlflow_seconds
    server = Server(uri, f"{settings.mlflow_experiment_name}/{jobs[0].tenant_id}", settings.mlflow_seconds / 2)
    with Crew(1) as crew:
        asked = Question(server, tuple(missed))
        (answer,) = crew.map_unordered(lacking, [asked], timeout=settings.mlflow_seconds)
        if answer.value is None or answer.value[1] is not None:
            return str(answer.error) if answer.value is None else answer.value[1]
        missed[:] = answer.value[0]
        for job in [one for one in jobs if one.id in missed]:
            parcel = Parcel(server, mirrored(installation, job))
            (sent,) = crew.map_unordered(send, [parcel], timeout=max(0.1, end - time.monotonic()))
            if sent.error is not None or sent.value is not None:
                return str(sent.error) if sent.error is not None else sent.value
            missed.remove(job.id)
            done.append(job.id)
    return None


def mirrored(installation: Installation, job: JobRecord) -> Mirrored:
    """Return an ended training as MLflow has it: a run with its figures, and a table of its products."""
    registry = installation.registry
    ended = _milliseconds(job.finished_at or job.started_at)
    tags = {
        **job.tags,
        "tenant": job.tenant_id,
        "cause": job.cause,
        "requested_by": job.requested_by,
        "registry": registry.identity,
        "priority": job.priority,
        "git_commit": job.git_commit,
        "dagster_run_id": job.run_id,
        "error": job.error,
        "mlflow.user": job.requested_by,
        "mlflow.source.name": "demand-forecast-pipeline",
        "mlflow.source.git.commit": job.git_commit,
    }
    counts = {name: float(getattr(job, name)) for name in (*COUNTS, "products_total", "retry_count")}
    counts["seconds"] = (ended - _milliseconds(job.started_at)) / 1000
    products = registry.trained_products(job.tenant_id, job.id)
    names = sorted({name for one in products for name in one.figures})
    return Mirrored(
        job_id=job.id,
        name=f"{job.name} {job.started_at:%Y-%m-%d %H:%M:%S}",
        status=STATUS[job.status],
        started=_milliseconds(job.started_at),
        ended=ended,
        tags={name: str(value)[:LONGEST] for name, value in tags.items() if value is not None},
        parameters={name: str(value)[:LONGEST] for name, value in job.parameters.items()},
        metrics=[
            *((name, value, ended, 0) for name, value in counts.items()),
            *(_metric(figure, ended) for figure in registry.figures(job.tenant_id, job.id)),
        ],
        columns=[*FIRST, *names],
        rows=[
            [*(getattr(one, name) for name in FIRST), *(one.figures.get(name) for name in names)] for one in products
        ],
    )


def _metric(figure: Figure, ended: int) -> tuple[str, float, int, int]:
    """A figure over all past origins at the training's end, one of an origin at that day."""
    name = figure.metric if figure.family == COMBINATION else f"{figure.family}/{figure.metric}"
    if figure.origin is None:
        return name, figure.value, ended, 0
    day = datetime.combine(figure.origin, datetime.min.time(), UTC).timestamp()
    return f"by_origin/{name}", figure.value, int(1000 * day), figure.step


def _milliseconds(moment: datetime) -> int:
    return int(1000 * moment.timestamp())


def _warn(installation: Installation, tenant_id: str, missed: list[str], fault: str) -> None:
    """Say once what was not mirrored, and why."""
    uri = installation.settings.mlflow_tracking_uri
    secret = "" if uri is None else uri.get_secret_value()
    place = redacted(secret)
    what = f"{len(missed)} trainings of {tenant_id!r}, the last {missed[-1]}," if missed else f"{tenant_id!r}"
    text = (
        f"{what} could not be mirrored to MLflow at {place}: {redacted(fault.replace(secret, place))}; they are "
        f"registered, and the next training mirrors them too, or `pipeline models mirror --tenant {tenant_id}`"
    )
    logger.warning("%s", text)
    if missed:
        with suppress(RegistryError):
            installation.registry.log(tenant_id, missed[-1], "warning", "mirroring", text)
