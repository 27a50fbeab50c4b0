"""Trainings mirrored to MLflow: to servers that are none, and to a real one."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from pipeline.errors import ConfigurationError
from pipeline.registry.records import JobStatus
from pipeline.settings import Settings, get_settings
from pipeline.training.job import Order, training_job
from pipeline.training.mirror import mirror, mirrored
from pipeline.training.mlflow_client import JOB_TAG, TABLE, Mirrored, Parcel, Question, Server, lacking, send
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.mlflow_server import mlflow_server, nobody, saying
from pipeline_tests.training.shop import Shop
from pipeline_tests.training.test_job import nothing

GARBAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
SECONDS, HANGS = 6, "longer than 6 s|timed out"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the mirror has warned of."""
    return [one.getMessage() for one in caplog.records if one.name == "pipeline.training.mirror"]


def test_without_a_server_nothing_is_mirrored(training: Training) -> None:
    """By default no server is named, and nothing is sent."""
    assert Settings().mlflow_tracking_uri is None
    assert mirror(training.shop.installation, "bakery") == 0


@pytest.mark.parametrize(
    ("server", "told"),
    [(nobody(), "refused"), (saying(None), HANGS), (saying(GARBAGE), "MlflowException|JSON")],
    ids=["down", "hanging", "garbage"],
)
def test_a_server_that_is_none_harms_nothing(
    fresh: Shop, caplog: pytest.LogCaptureFixture, server: AbstractContextManager[str], told: str
) -> None:
    """The training ends well and in time; one warning names the address, without the password, and the job."""
    with server as place:
        fresh.configure(
            mlflow_tracking_uri=f"http://ana:secret@{place}", mlflow_seconds=SECONDS if told == HANGS else 60
        )
        begun = time.monotonic()
        with training_job(fresh.installation, "bakery", nothing, Order("test", "t")):
            pass
        assert time.monotonic() - begun < 60, "a worker's start is not counted"
        (job,) = fresh.installation.registry.jobs("bakery")
    assert job.status is JobStatus.COMPLETED
    (text,) = warnings_of(caplog)
    assert f"the last {job.id}, could not be mirrored to MLflow at http://{place}: " in text
    assert not {"ana", "secret"} & set(text.replace(":", " ").replace("@", " ").replace("/", " ").split())
    assert re.search(told, text), text
    assert fresh.installation.registry.logs("bakery", job.id, "warning")[-1].message == text


def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that names no server is an error before anything runs; it does not show what may be a secret."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///secret.db")
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match=r"MLFLOW_TRACKING_URI.*such as http://127\.0\.0\.1:5000") as raised:
        get_settings()
    assert "secret" not in str(raised.value)
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real MLflow server."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


def runs_at(address: str, experiment: str = "demand-forecast/bakery") -> list[dict[str, Any]]:
    """The runs of an experiment as the server's own interface tells them, the first started first."""
    found = _asked(address, f"experiments/get-by-name?experiment_name={experiment}")["experiment"]["experiment_id"]
    body = {"experiment_ids": [found], "order_by": ["attributes.start_time ASC"]}
    return list(_asked(address, "runs/search", body).get("runs", []))


def _asked(address: str, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/api/2.0/mlflow/{what}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        said: dict[str, Any] = json.load(answer)
    return said


def pairs(values: list[dict[str, Any]]) -> dict[str, Any]:
    """Values by key."""
    return {one["key"]: one["value"] for one in values}


def history(address: str, run_id: str, metric: str) -> list[tuple[int, int, float]]:
    """Every value of a metric: step, time, value."""
    found = _asked(address, f"metrics/get-history?run_id={run_id}&metric_key={metric}")["metrics"]
    return [(int(one.get("step", 0)), int(one["timestamp"]), one["value"]) for one in found]


@pytest.mark.long
def test_trainings_are_mirrored_to_a_real_server(trained: Shop, server: str) -> None:
    """One run a training: parameters, tags, commit, counts, figures by origin, a table of products; never twice."""
    trained.configure(mlflow_tracking_uri=server, mlflow_seconds=120)
    opened = trained.installation
    with pytest.raises(OSError, match="disk"), training_job(opened, "bakery", nothing, Order("torn", "ana")):
        raise OSError("disk full")
    with (
        pytest.raises(KeyboardInterrupt),
        training_job(opened, "bakery", nothing, Order("stopped", "ana", tags={"idea": "x"})),
    ):
        raise KeyboardInterrupt
    first, torn = runs_at(server)
    assert mirror(opened, "bakery") == 1, "the one that was stopped is made up for"
    assert mirror(opened, "bakery") == 0
    assert [one["info"]["status"] for one in runs_at(server)] == ["FINISHED", "FAILED", "KILLED"]
    assert pairs(torn["data"]["tags"])["error"] == "OSError: disk full"

    stopped, _, job = opened.registry.jobs("bakery")
    tags, parameters = pairs(first["data"]["tags"]), pairs(first["data"]["params"])
    assert (tags[JOB_TAG], tags["tenant"], tags["cause"]) == (job.id, "bakery", job.cause)
    assert tags["mlflow.source.git.commit"] == job.git_commit
    assert tags["registry"] == opened.registry.identity
    assert pairs(runs_at(server)[2]["data"]["tags"])["idea"] == stopped.tags["idea"]
    assert (parameters["horizon_days"], parameters["linear.weekly"]) == ("7", "auto")
    metrics = pairs(first["data"]["metrics"])
    assert (metrics["trained"], metrics["products_total"]) == (5, 5)
    figures = opened.registry.figures("bakery", job.id)
    (overall,) = [one.value for one in figures if (one.step, one.family, one.metric) == (0, "combination", "wape")]
    assert metrics["wape"] == pytest.approx(overall)
    by_origin = history(server, first["info"]["run_id"], "by_origin/naive/mae")
    assert [step for step, _, _ in by_origin] == [1, 2]
    assert by_origin[1][1] - by_origin[0][1] == 7 * 24 * 3_600_000
    assert products_of(first, server) == {one.product_id for one in opened.registry.trained_products("bakery", job.id)}


def products_of(run: dict[str, Any], address: str) -> set[str]:
    """The products of a run's table."""
    where = f"{run['info']['experiment_id']}/{run['info']['run_id']}/artifacts/{TABLE}"
    with urllib.request.urlopen(f"{address}/api/2.0/mlflow-artifacts/artifacts/{where}", timeout=30) as answer:
        table = json.load(answer)
    return {row[table["columns"].index("product_id")] for row in table["data"]}


@pytest.mark.long
def test_a_training_that_was_mirrored_by_half_is_taken_up(trained: Shop, server: str) -> None:
    """Sent again after it was torn, or once more in full, it is the same run with the same values, each once."""
    (job,) = trained.installation.registry.jobs("bakery")
    whole = mirrored(trained.installation, job)
    place = Server(server, "by-half", 60)
    half = Mirrored(
        job.id, whole.name, whole.status, whole.started, whole.ended, metrics=[*whole.metrics[:9], ("x", 1, -1, 0)]
    )
    assert send(Parcel(place, half)) is not None, "the server refuses a time before 1970"
    for _ in range(2):
        assert send(Parcel(place, whole)) is None
        (run,) = runs_at(server, "by-half")
        assert run["info"]["status"] == "FINISHED"
        told = Counter(name for name, *_ in whole.metrics)
        for name in ("trained", "wape", "by_origin/wape"):
            assert len(history(server, run["info"]["run_id"], name)) == told[name]


@pytest.mark.long
def test_a_training_is_found_again_whatever_its_tags(server: str) -> None:
    """A tag that an earlier release let a person call `job_id` makes no second run: the job's own id stands there."""
    place = Server(server, "tags", 60)
    training = Mirrored("a" * 32, "n", "FINISHED", 1_000, 2_000, tags={JOB_TAG: "mine", "idea": "x"})
    for _ in range(2):
        assert send(Parcel(place, training)) is None
        assert lacking(Question(place, (training.job_id,))) == ((), None)
    (run,) = runs_at(server, "tags")
    assert pairs(run["data"]["tags"])[JOB_TAG] == training.job_id


@pytest.mark.long
def test_thousands_of_products_are_few_requests(server: str) -> None:
    """Ten thousand products are one table: they are there within seconds, not a request each."""
    rows = [(f"product {number}", "20260101_000000", 0.2) for number in range(10_000)]
    training = Mirrored("many", "n", "FINISHED", 1_000, 2_000, columns=("product_id", "version", "wape"), rows=rows)
    assert send(Parcel(Server(server, "many", 60), training)) is None
    begun = time.monotonic()
    assert send(Parcel(Server(server, "many", 60), training)) is None
    assert time.monotonic() - begun < 20
    (run,) = runs_at(server, "many")
    assert len(products_of(run, server)) == 10_000
