"""Dagster's real daemon on our dagster.yaml: order, places, and what a killed run leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contracts import Priority
from pipeline.queue import instance_file, priority_tags
from pipeline.settings import Settings
from pipeline_tests.defs.server import PATIENCE, free_port
from pipeline_tests.test_queue import TEMPLATE

LAUNCH = """
mutation ($job: JobOrPipelineSelector!, $config: RunConfigData!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {selector: $job, runConfigData: $config, executionMetadata: {tags: $tags}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
RUNS = "{ runsOrError { ... on Runs { results { runId status startTime endTime } } } }"
PLACES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
MODULE = "pipeline_tests.defs.quick_jobs"

pytestmark = pytest.mark.long


@dataclass
class Queue:
    """A Dagster instance of its own, asked through GraphQL; its daemon begins when it is told to."""

    folder: Path
    port: int
    stack: ExitStack
    names: dict[str, str] = field(default_factory=dict)

    def ask(self, query: str, **variables: Any) -> Any:
        """Send a query and return its only field."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self.port}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        assert "errors" not in said, said["errors"]
        return next(iter(said["data"].values()))

    def add(self, name: str, priority: Priority, *, tenant: str | None = None, seconds: float = 0) -> None:
        """Put a run into the queue; a tenant of its own unless one is named."""
        tags = {**priority_tags(priority), "dagster/partition": tenant or name}
        config = {"ops": {"wait": {"config": {"seconds": seconds, "told": str(self.folder / name)}}}}
        (place,) = self.ask(PLACES)["nodes"]
        where = {"repositoryName": place["name"], "repositoryLocationName": place["location"]["name"]}
        found = self.ask(
            LAUNCH,
            job=where | {"jobName": "waiting"},
            config=json.dumps(config),
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )
        assert found["__typename"] == "LaunchRunSuccess", found
        self.names[found["run"]["runId"]] = name

    def start_daemon(self) -> None:
        """Let Dagster's daemon take runs from the queue."""
        self.stack.enter_context(self.process("dagster-daemon", "run"))

    @contextmanager
    def process(self, program: str, *arguments: str) -> Iterator[None]:
        """Run one of Dagster's own programs on this instance for the block."""
        command = [str(Path(sys.executable).parent / program), *arguments, "-m", MODULE]
        environment = {**os.environ, "DAGSTER_HOME": str(self.folder)}
        with (self.folder / f"{program}.log").open("wb") as out:
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            finally:
                _end_group(process.pid)

    def runs(self) -> dict[str, dict[str, Any]]:
        """Every run by its name here; Dagster's own retries by their ids."""
        return {self.names.get(run["runId"], run["runId"]): run for run in self.ask(RUNS)["results"]}

    def wait(self, *names: str, status: str = "SUCCESS", seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
        """Return the runs once those that are named have come to this status."""
        end = time.monotonic() + seconds
        while {(runs := self.runs())[name]["status"] for name in names} != {status}:
            assert time.monotonic() < end, f"{names} are not {status}: {runs}"
            time.sleep(0.5)
        return runs


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def queue_of(folder: Path, places: int) -> Iterator[Queue]:
    """An instance whose limits are those of so many places for trainings."""
    text = instance_file(TEMPLATE, Settings(max_concurrent_jobs=places))
    (folder / "dagster.yaml").write_text(text, encoding="utf-8")
    with ExitStack() as stack:
        queue = Queue(folder, free_port(), stack)
        stack.enter_context(queue.process("dagster-webserver", "--port", str(queue.port)))
        end = time.monotonic() + PATIENCE
        while True:
            try:
                queue.ask("{ version }")
                break
            except OSError:
                assert time.monotonic() < end, "the webserver does not answer"
                time.sleep(0.5)
        yield queue


def test_priorities_order_the_queue(tmp_path: Path) -> None:
    """With one place, the urgent come first and the low last, and the first come first among equals."""
    order = [Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.URGENT]
    with queue_of(tmp_path, 1) as queue:
        for number in (1, 2):
            for priority in order:
                queue.add(f"{priority}-{number}", priority)
        queue.start_daemon()
        runs = queue.wait(*queue.names.values())
    started = sorted(runs, key=lambda name: runs[name]["startTime"])
    assert started == [f"{priority}-{number}" for priority in reversed(order) for number in (1, 2)]
    ends = [runs[name]["endTime"] for name in started]
    assert all(runs[name]["startTime"] >= end for name, end in zip(started[1:], ends, strict=False))


def test_a_low_training_gets_on_and_tenants_do_not_overlap(tmp_path: Path) -> None:
    """While urgent ones queue, a low one takes the place that is left for it; one tenant's runs come one by one."""
    with queue_of(tmp_path, 3) as queue:
        for number in range(4):
            queue.add(f"urgent-{number}", Priority.URGENT, tenant="one" if number < 2 else None, seconds=2)
        queue.add("low", Priority.LOW)
        queue.start_daemon()
        runs = queue.wait(*queue.names.values())
    urgent = [runs[f"urgent-{number}"] for number in range(4)]
    assert runs["low"]["startTime"] < max(run["startTime"] for run in urgent)
    first, second = sorted(urgent[:2], key=lambda run: run["startTime"])
    assert second["startTime"] >= first["endTime"]
    moments = sorted({run["startTime"] for run in urgent})
    assert max(sum(run["startTime"] <= at < run["endTime"] for run in urgent) for at in moments) <= 2


def test_a_killed_run_frees_its_place_within_a_minute(tmp_path: Path) -> None:
    """The next run of the tenant starts a minute after the kill at the latest, and the killed one is failed."""
    with queue_of(tmp_path, 1) as queue:
        queue.add("killed", Priority.NORMAL, tenant="one", seconds=600)
        queue.add("next", Priority.NORMAL, tenant="one")
        queue.start_daemon()
        queue.wait("killed", status="STARTED")
        while not (told := queue.folder / "killed").exists():
            time.sleep(0.2)
        os.kill(int(told.read_text(encoding="utf-8")), signal.SIGKILL)
        killed_at = time.time()
        runs = queue.wait("next")
    assert runs["killed"]["status"] == "FAILURE"
    assert runs["next"]["startTime"] - killed_at < 60
