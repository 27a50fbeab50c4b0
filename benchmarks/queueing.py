"""A thousand trainings in Dagster's queue: in which order they begin, and what the queue itself takes."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import dagster as dg
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from benchmarks.page import Choice, Page, figure, steps, table, verdict
from contracts import Priority
from pipeline.queue import instance_file, priority_tags
from pipeline.settings import Settings

RUNS = 1_000
SEED = 11
TEMPLATE = Path(__file__).parent.parent / "dagster.yaml"
LAUNCHER = "\nrun_launcher:\n  module: benchmarks.queueing\n  class: EndingLauncher\n"


@dataclass(frozen=True)
class Waited:
    """One run: its class, its place of arrival, and its place in the order in which they began, from 0."""

    priority: Priority
    arrived: int
    began: int


@dataclass(frozen=True)
class Queued:
    """What became of the runs, and seconds: to put one into the queue, and of each look at all that wait."""

    runs: list[Waited]
    putting: float
    looks: list[float]


class EndingLauncher(RunLauncher[dg.DagsterInstance], ConfigurableClass):
    """Ends a run in the moment in which it would begin, so that nothing is measured but the queue."""

    launched: ClassVar[list[str]] = []
    """Ids, in the order in which they began."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Where it is configured."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """It has no settings."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make it as dagster.yaml says."""
        return cls(inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Note the run, and end it well."""
        run = context.dagster_run
        self.launched.append(run.run_id)
        ended = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, run.job_name, message="nothing was to be done")
        self._instance.report_dagster_event(ended, run.run_id)

    def terminate(self, run_id: str) -> bool:
        """Nothing is ever at work."""
        return False


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the page of the queue."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, steps(2 * RUNS) as progress:
        (Path(folder) / "dagster.yaml").write_text(
            instance_file(TEMPLATE.read_text(encoding="utf-8"), Settings()) + LAUNCHER, encoding="utf-8"
        )
        with dg.DagsterInstance.from_config(folder) as instance:
            found = _queued(instance, lambda what: _done(progress.doing(what)))
    yield page(found)


def _done(step: Any) -> None:
    with step:
        pass


def page(found: Queued) -> Page:
    """Return the page of what was measured."""
    places = Settings().max_concurrent_jobs
    rows = []
    for priority in Priority:
        own = [run for run in found.runs if run.priority is priority]
        in_turn = [run.arrived for run in sorted(own, key=lambda run: run.began)]
        rows.append(
            [
                priority.value,
                str(len(own)),
                str(min(run.began for run in own) + 1),
                str(max(run.began for run in own) + 1),
                verdict(in_turn == sorted(in_turn)),
            ]
        )
    lines = [
        "# What the queue takes",
        "",
        f"{len(found.runs):,} trainings of as many tenants, a quarter of each priority, put into the queue in a random "
        f"order; MAX_CONCURRENT_JOBS = {places}. Each ends in the moment in which it would begin. The queue is "
        "Dagster's own, with the limits of `dagster.yaml`, looked through again and again in one process; its daemon "
        "waits 5 s between two looks.",
        "",
        *table(("", "runs", "first to begin", "last to begin", "first come first served"), rows),
        *table(
            ("", ""),
            [
                ["urgent before high, high before normal", verdict(_in_classes(found.runs))],
                ["a low one among the first to begin", verdict(_first_low(found.runs) < places)],
                ["putting one into the queue, ms (median)", figure(1000 * found.putting, 0)],
                ["looks", str(len(found.looks))],
                ["a look, ms (median)", _spread(found.looks)],
                ["looks, a run, ms", figure(1000 * sum(found.looks) / len(found.runs), 0)],
            ],
        ),
    ]
    return Page("\n".join(lines))


def _spread(looks: list[float]) -> str:
    return f"{figure(1000 * statistics.median(looks), 0)} (first {figure(1000 * looks[0], 0)})"


def _in_classes(runs: list[Waited]) -> bool:
    """Whether the classes above low began one after the other."""
    order = [Priority.URGENT, Priority.HIGH, Priority.NORMAL]
    upper = [run.priority for run in sorted(runs, key=lambda run: run.began) if run.priority is not Priority.LOW]
    return upper == sorted(upper, key=order.index)


def _first_low(runs: list[Waited]) -> int:
    return min(run.began for run in runs if run.priority is Priority.LOW)


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def idle() -> None:
    """A job that is never at work."""
    nothing()


defs = dg.Definitions(jobs=[idle])


def _queued(instance: dg.DagsterInstance, step: Callable[[str], None]) -> Queued:
    """Put the runs into the queue, then let it take them until none is left."""
    priorities = [priority for priority in Priority for _ in range(RUNS // len(Priority))]
    random.Random(SEED).shuffle(priorities)
    with WorkspaceProcessContext(instance, ModuleTarget(__name__, None, str(Path.cwd()), "bench")) as workspace:
        putting, ids = [], []
        for number, priority in enumerate(priorities):
            begun = time.perf_counter()
            ids.append(_put(instance, workspace, priority, number))
            putting.append(time.perf_counter() - begun)
            step("into the queue")
        EndingLauncher.launched.clear()
        looks = list(_looks(workspace, lambda: step("out of the queue")))
    place = {run_id: number for number, run_id in enumerate(EndingLauncher.launched)}
    runs = [Waited(priority, number, place[ids[number]]) for number, priority in enumerate(priorities)]
    return Queued(runs, statistics.median(putting), looks)


def _put(instance: dg.DagsterInstance, workspace: WorkspaceProcessContext, priority: Priority, number: int) -> str:
    request = workspace.create_request_context()
    (location,) = request.code_locations
    (repository,) = location.get_repositories().values()
    job = repository.get_full_job("idle")
    run = instance.create_run_for_job(
        idle,
        tags={**priority_tags(priority), "dagster/partition": f"tenant-{number}"},
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(),
    )
    instance.submit_run(run.run_id, request)
    return run.run_id


def _looks(workspace: WorkspaceProcessContext, step: Callable[[], None]) -> Iterator[float]:
    """Look through the queue until all runs have begun; yield the seconds of each look."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=0)
    with daemon:
        while (before := len(EndingLauncher.launched)) < RUNS:
            begun = time.perf_counter()
            list(daemon.run_iteration(workspace))
            yield time.perf_counter() - begun
            for _ in range(len(EndingLauncher.launched) - before):
                step()
