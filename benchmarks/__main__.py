"""`python -m benchmarks`: measure, and write Markdown and plots into benchmarks/results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import (
    accuracy,
    cost,
    drift,
    growth,
    lineage,
    orchestration,
    outage,
    promotion,
    queueing,
    registry,
    serving,
    ticks,
)
from benchmarks.alone import OURS
from benchmarks.page import Choice, Page
from benchmarks.tasks import REAL_DATA, TASKS, at_hand

RESULTS = Path(__file__).parent / "results"
ALL: dict[str, Callable[[Choice], Iterator[Page]]] = {
    "accuracy": accuracy.measure,
    "cost": cost.measure,
    "drift": drift.measure,
    "growth": growth.measure,
    "lineage": lineage.measure,
    "orchestration": orchestration.measure,
    "outage": outage.measure,
    "promotion": promotion.measure,
    "queue": queueing.measure,
    "registry": registry.measure,
    "serving": serving.measure,
    "ticks": ticks.measure,
}
HELP = f"""Measure this project beside its peers, and write pages and plots.

\b
BENCHMARKS (all when none is named)
  accuracy       errors, ranges, CPU seconds and memory of each system
  cost           CPU of a full training against tuned Prophet, by family
  drift          how often stable sales are called drifting, and how soon
                 a shift is found
  growth         CPU a product and memory with 100, 300 and 1,000 products
  lineage        walking the lineage of 10,000 trainings
  orchestration  what Dagster adds to a training
  outage         a training whose provider fails, and is away for a minute
  promotion      a year of weekly retraining: old models, swings, refusals
  queue          a thousand trainings in the queue: order, and its cost
  registry       registering, paging, loading a champion, on SQLite and
                 where PIPELINE_TEST_DATABASE_URL names a server there too
  serving        a day of model servers' windows, read and judged
  ticks          a look of each sensor and schedule at 10,000 products

\b
TASKS: {", ".join(name for name, task in TASKS.items() if not task.real)}
  and, where {REAL_DATA} names a folder that has them as
  NAME/sales.parquet: {", ".join(name for name, task in TASKS.items() if task.real)}

\b
SYSTEMS: {OURS} (this project),
  {f",{chr(10)}  ".join(accuracy.SYSTEMS[1:])}

Each system works in a fresh process, one thread a process. What is measured needs a quiet machine; progress goes to
stderr, the pages to stdout and to files.

\b
EXAMPLES
  python -m benchmarks
  python -m benchmarks accuracy --tasks horno_sol --out /tmp/try
  python -m benchmarks accuracy --systems {OURS},prophet_plain
  python -m benchmarks cost growth
"""
app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=HELP)
def measure(
    names: Annotated[list[str] | None, typer.Argument(metavar="BENCHMARK", show_default=False)] = None,
    tasks: Annotated[
        str | None, typer.Option(help="Names with commas; accuracy measures them, cost the first.")
    ] = None,
    systems: Annotated[str | None, typer.Option(help="Names with commas, for accuracy.")] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the pages and plots.", show_default="benchmarks/results")
    ] = RESULTS,
) -> None:
    """Run the benchmarks that are named, or all."""
    wanted = _known("benchmark", names, list(ALL)) or tuple(ALL)
    choice = Choice(
        _known("task", tasks.split(",") if tasks else None, list(TASKS)),
        _known("system", systems.split(",") if systems else None, list(accuracy.SYSTEMS)),
    )
    if lacking := set(choice.tasks or ()) - {task.name for task in at_hand()}:
        sys.exit(f"no sales of {', '.join(sorted(lacking))}: {REAL_DATA} has to name a folder that holds them")
    out.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        for page in ALL[name](choice):
            _write(page, out, name)
        print(page.text, flush=True)


def _write(page: Page, out: Path, name: str) -> None:
    (out / f"{name}.md").write_text(page.text, encoding="utf-8")
    for file, plot in page.plots.items():
        (out / file).write_text(plot, encoding="utf-8")


def _known(kind: str, names: list[str] | None, known: list[str]) -> tuple[str, ...] | None:
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        sys.exit(f"no {kind} is called {unknown[0]!r}; there are: {', '.join(known)}")
    return tuple(names) if names else None


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
