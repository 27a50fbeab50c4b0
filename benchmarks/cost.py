"""What a full training costs, against tuning Prophet for each product alone, both measured in this run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.anatomy import FITS, ORIGINS, UNUSUAL
from benchmarks.fresh import Fresh, in_fresh_process
from benchmarks.page import Choice, Page, figure, steps, table, verdict
from benchmarks.peers import SAMPLED
from benchmarks.tasks import TASKS, Task, at_hand, prepare

BAR, GOAL = 1 / 10, 1 / 20
PREFERRED = "ddop_bakery"
PEER = "prophet_tuned"
BLIND = "The tuned Prophet sees no covariates, this project does: their work is not the same."
Parts = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Measured:
    """The task, and what a full training, the sampled peer, the steps one by one and starting a worker cost."""

    task: Task
    covariates: bool
    whole: Fresh
    peer: Fresh
    steps: Fresh
    start: Fresh

    @property
    def a_product(self) -> float:
        """CPU seconds that the peer takes for a product."""
        return float(self.peer.found["cpu"] / self.peer.found["forecasts"])

    @property
    def ratio(self) -> float:
        """CPU seconds of the training, over those of the peer for all products."""
        return float(self.whole.found["cpu"] / (self.a_product * self.whole.found["products"]))


def measure(choice: Choice) -> Iterator[Page]:
    """Yield the ratio, and the CPU seconds by family and by step."""
    task = _task(choice)
    with tempfile.TemporaryDirectory(prefix="bench-") as place, steps(4) as progress:
        folder = Path(place) / task.name
        with progress.doing(f"{task.name}: reading"):
            covariates = prepare(task, folder).covariates is not None
        tenant = str(folder / "tenant.json")
        with progress.doing(f"{task.name}: a full training"):
            whole = in_fresh_process("benchmarks.training", "whole", tenant, home=folder / "whole")
        with progress.doing(f"{task.name}: {PEER} on {SAMPLED} products"):
            peer = in_fresh_process("benchmarks.alone", task.name, str(folder), PEER, home=folder / "peer")
        with progress.doing(f"{task.name}: step by step"):
            parts = in_fresh_process("benchmarks.training", "steps", tenant, home=folder / "steps")
            start = in_fresh_process("benchmarks.training", "start", tenant, home=folder / "start")
    yield page(Measured(task, covariates, whole, peer, parts, start))


def _task(choice: Choice) -> Task:
    """The bakery chain where it is at hand, else a sample business; or the first that was chosen."""
    known = [task for task in at_hand() if choice.takes(task=task.name)]
    if choice.tasks is None:
        known.sort(key=lambda task: task.name != PREFERRED)
    return known[0] if known else next(iter(TASKS.values()))


def page(found: Measured) -> Page:
    """Return the page of what was measured."""
    task, whole = found.task, found.whole
    products, cpu = whole.found["products"], whole.found["cpu"]
    spent = {(part, what): seconds for part, what, seconds in found.steps.found["steps"]}
    rows = [
        ("this project, all products", f"{products}", figure(cpu, 1), figure(cpu / products, 2)),
        (
            f"Prophet tuned by Optuna for each alone ({SAMPLED} sampled)",
            f"{products}",
            f"about {figure(found.a_product * products, 0)}",
            figure(found.a_product, 2),
        ),
    ]
    lines = [
        "# What a full training costs",
        "",
        f"{task.name}: {task.about}. A full training is plan, searches, nested evaluation, final fits, weights, "
        f"ranges and stored artefacts; worker processes: {whole.found['workers']}, one thread each.",
        "",
        *table(("", "products", "CPU s", "CPU s a product"), rows),
        f"Ratio: **1/{1 / found.ratio:.1f}**. Bar 1/{1 / BAR:.0f}: {verdict(found.ratio <= BAR)}; "
        f"goal 1/{1 / GOAL:.0f}: {'reached' if found.ratio <= GOAL else 'missed'}.",
        "",
        *([BLIND, ""] if found.covariates else []),
        f"Wall time {whole.found['wall']:.0f} s; peak memory {whole.peak:.0f} MB, of the largest worker "
        f"{whole.child_peak:.0f} MB.",
        "",
        "## By family and step",
        "",
        "CPU seconds of the engine's functions, called one after the other in one process, their libraries imported "
        "before. *Past origins* are those of the nested evaluation.",
        "",
        *_by_step(spent),
        *_rest(spent, cpu, found.start.found["cpu"], whole.found["workers"]),
    ]
    return Page("\n".join(lines))


def _by_step(spent: Parts) -> list[str]:
    whats = sorted({what for part, what in spent if part in (ORIGINS, FITS)}, key=lambda what: -_total(spent, what))
    rows = [
        [what, *(figure(spent.get((part, what)), 1) for part in (ORIGINS, FITS)), figure(_total(spent, what), 1)]
        for what in whats
    ]
    sums = [figure(sum(s for (one, _), s in spent.items() if one == part), 1) for part in (ORIGINS, FITS)]
    return table(("", ORIGINS, FITS, "together"), [*rows, ["sum", *sums, figure(_inside(spent), 1)]])


def _rest(spent: Parts, cpu: float, start: float, workers: int) -> Sequence[str]:
    return [
        f"The full training took {cpu:.1f} CPU s, {cpu - _inside(spent):+.1f} against this sum: starting workers "
        f"with their libraries ({workers} at once, {start:.1f} CPU s each), sending tasks, manifests, "
        "artefacts, the registry.",
        "",
        f"Not part of a training: finding the unusual days, {spent[UNUSUAL, UNUSUAL]:.1f} CPU s.",
        "",
    ]


def _total(spent: Parts, what: str) -> float:
    return sum(seconds for (part, one), seconds in spent.items() if one == what and part in (ORIGINS, FITS))


def _inside(spent: Parts) -> float:
    return sum(seconds for (part, _), seconds in spent.items() if part in (ORIGINS, FITS))
