"""One training, written to an MLflow server: runs in a worker, which alone imports MLflow and can be ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""By default MLflow's client tries a server that is down for four minutes, and tells its makers how it is used."""
JOB_TAG = "job_id"
ENDED = ("FINISHED", "FAILED", "KILLED")
TABLE = "products.json"
TABLE_TAG = "mlflow.loggedArtifacts"
"""With it MLflow's pages show the file as a table."""
AT_ONCE = 100
"""Parameters or tags in one request; of metrics ten times as many. More are refused."""


@dataclass(frozen=True)
class Mirrored:
    """One training as MLflow has it; times are milliseconds since 1970, metrics (name, value, time, step)."""

    job_id: str
    name: str
    status: str
    started: int
    ended: int
    tags: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: Sequence[tuple[str, float, int, int]] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()


@dataclass(frozen=True)
class Server:
    """Where a tenant's trainings are mirrored, and the seconds that one request may take."""

    uri: str = field(repr=False)
    experiment: str
    seconds: float


@dataclass(frozen=True)
class Question:
    """Which of these jobs does the server not have to their end?"""

    server: Server
    job_ids: tuple[str, ...]


@dataclass(frozen=True)
class Parcel:
    """A training to be mirrored."""

    server: Server
    training: Mirrored


def lacking(question: Question) -> tuple[tuple[str, ...], str | None]:
    """Return the jobs that the server lacks, or why it could not be asked.

    What MLflow raises is told as text: its errors would make the caller import MLflow as well.
    """
    try:
        client, place = _opened(question.server)
        known = {job_id for job_id in question.job_ids if _run(client, place, job_id, ended=True) is not None}
    except Exception as error:  # Whatever answers at that address, it harms nothing.
        return (), f"{type(error).__name__}: {error}"
    return tuple(job_id for job_id in question.job_ids if job_id not in known), None


def send(parcel: Parcel) -> str | None:
    """Write a training; return why that could not be done, None where it was.

    Written again it is the same run: found by its job's id, with the same values at the same times. It is given its
    end last, so that one without an end is known to be torn.
    """
    try:
        _send(*_opened(parcel.server), parcel.training)
    except Exception as error:  # Whatever answers at that address, it harms nothing.
        return f"{type(error).__name__}: {error}"
    return None


def _opened(server: Server) -> tuple[Any, str]:
    """A client, and the id of the experiment, which is made where it is not there."""
    os.environ.update(QUIET, MLFLOW_HTTP_REQUEST_TIMEOUT=str(max(1, round(server.seconds))))
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(server.uri)
    if (found := client.get_experiment_by_name(server.experiment)) is None:
        try:
            return client, client.create_experiment(server.experiment)
        except MlflowException:  # Another process may have made it in this very moment.
            if (found := client.get_experiment_by_name(server.experiment)) is None:
                raise
    return client, found.experiment_id


def _run(client: Any, place: str, job_id: str, *, ended: bool) -> Any:
    """The run of a job; None where there is none, or none that has ended where that is asked for."""
    found = client.search_runs([place], f"tags.{JOB_TAG} = '{job_id}'", max_results=1)
    return found[0] if found and (not ended or found[0].info.status in ENDED) else None


def _send(client: Any, place: str, training: Mirrored) -> None:
    from mlflow.entities import Metric, Param, RunTag

    found = _run(client, place, training.job_id, ended=False)
    if found is None:
        found = client.create_run(place, training.started, {JOB_TAG: training.job_id}, training.name)
    run_id = found.info.run_id
    own = {**training.tags, JOB_TAG: training.job_id}  # Whatever a person calls it, by this one it is found again.
    for tags in _portions(own.items(), AT_ONCE):
        client.log_batch(run_id, tags=[RunTag(*one) for one in tags])
    for parameters in _portions(training.parameters.items(), AT_ONCE):
        client.log_batch(run_id, params=[Param(*one) for one in parameters])
    for metrics in _portions(training.metrics, 10 * AT_ONCE):
        client.log_batch(run_id, metrics=[Metric(*one) for one in metrics])
    if training.rows:
        client.log_text(run_id, json.dumps({"columns": training.columns, "data": training.rows}), TABLE)
        client.set_tag(run_id, TABLE_TAG, json.dumps([{"path": TABLE, "type": "table"}]))
    client.set_terminated(run_id, training.status, training.ended)


def _portions(values: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(values)
    while some := list(islice(left, size)):
        yield some
