"""This project beside its peers: errors, ranges, CPU seconds and memory, task by task, each in a fresh process."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.alone import OURS
from benchmarks.comparison import Result, Row, page
from benchmarks.fresh import FailedError, Fresh, in_fresh_process
from benchmarks.page import Choice, Page, Steps, steps
from benchmarks.peers import MEANS, PEERS
from benchmarks.scoring import Daily, ranges, score
from benchmarks.tasks import Material, Task, at_hand, prepare

SYSTEMS = (OURS, *PEERS, *MEANS)


class _LackingError(Exception):
    """What a system needs is not there; the message follows its name."""


def measure(choice: Choice) -> Iterator[Page]:
    """Yield the page after each task, so that little is lost when a later one is interrupted."""
    tasks = [task for task in at_hand() if choice.takes(task=task.name)]
    systems = [name for name in SYSTEMS if choice.takes(system=name)]
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, steps(len(tasks) * len(systems)) as progress:
        for task in tasks:
            results.append(_task(task, systems, Path(folder) / task.name, progress))
            yield page(results, [one.name for one in tasks[len(results) :]])


def _task(task: Task, systems: Sequence[str], folder: Path, progress: Steps) -> Result:
    material = prepare(task, folder)
    rows: dict[str, Row] = {}
    lacking = []
    for system in systems:
        with progress.doing(f"{task.name}: {system}"):
            try:
                run = _run(task, system, folder, {name: row.run for name, row in rows.items()})
            except _LackingError as error:
                lacking.append(f"`{system}` {error}")
                continue
            except FailedError as error:
                lacking.append(f"`{system}` failed: {str(error).splitlines()[-1]}")
                progress.say(f"{task.name}: {system} failed:\n{error}")
                continue
            rows[system] = _row(task, material, system, run, folder)
            progress.say(f"{task.name}: {system}: {_said(rows[system])}")
    return Result(task, _pairs(task, material.sales), tuple(rows.values()), tuple(lacking))


def _pairs(task: Task, sales: Daily) -> int:
    """Number of forecasts: products that count, summed over the origins."""
    return sum(int(sales.eligible(origin).sum()) for origin in sales.origins(task.origins))


def _run(task: Task, system: str, folder: Path, done: Mapping[str, Fresh]) -> Fresh:
    """Let a system write its forecasts into the folder."""
    if system in MEANS:
        return averaged(system, folder, done)
    needed = PEERS[system].needs if system in PEERS else ()
    missing = sorted({name for name in (one.split(".")[0] for one in needed) if not importlib.util.find_spec(name)})
    if missing:
        raise _LackingError(f"needs {', '.join(missing)}, which is not installed: `make bench` does")
    return in_fresh_process("benchmarks.alone", task.name, str(folder), system, home=folder / "home")


def averaged(system: str, folder: Path, done: Mapping[str, Fresh]) -> Fresh:
    """Write the mean of what the members have forecast, below zero too, and return what they cost together.

    What one of them lacks counts as zero, as in the scores.

    Args:
        system: name of the mean.
        folder: where the members have left their forecasts.
        done: what has been measured, by system.
    """
    members = MEANS[system]
    missing = [f"`{name}`" for name in members if name not in done]
    if missing:
        raise _LackingError(f"is a mean with {' and '.join(missing)}, not measured in this run")
    made = pd.concat([pd.read_parquet(folder / f"{name}.parquet") for name in members])
    made["y_hat"] = made["y_hat"] / len(members)
    made.groupby(["product", "origin", "date"], as_index=False)["y_hat"].sum().to_parquet(folder / f"{system}.parquet")
    runs = [done[name] for name in members]
    cpu = sum(run.found["cpu"] for run in runs)
    return Fresh({"cpu": cpu}, max(run.peak for run in runs), max(run.child_peak for run in runs))


def _row(task: Task, material: Material, system: str, run: Fresh, folder: Path) -> Row:
    made, sales, cpu = pd.read_parquet(folder / f"{system}.parquet"), material.sales, run.found["cpu"]
    pairs = _pairs(task, sales)
    saw = sees_covariates(system) if material.covariates is not None else None
    if system in PEERS and PEERS[system].sampled:
        a_forecast = cpu / run.found["forecasts"]
        beside = _beside(sales, made, folder)
        return Row(system, None, a_forecast * pairs, a_forecast, run, beside=beside, covariates=saw)
    held = ranges(sales, made, task.origins) if system == OURS else None
    return Row(system, score(sales, made, task.origins), cpu, cpu / pairs, run, held, covariates=saw)


def sees_covariates(system: str) -> bool:
    """Return whether a system looks at covariates where there are any; a mean does if a member does."""
    return system == OURS or any(PEERS[name].covariates for name in MEANS.get(system, (system,)))


def _beside(sales: Daily, made: pd.DataFrame, folder: Path) -> tuple[float, float | None]:
    products, ours = frozenset(made["product"]), folder / f"{OURS}.parquet"
    mine = score(sales, pd.read_parquet(ours), 1, products).wape if ours.exists() else None
    return score(sales, made, 1, products).wape, mine


def _said(row: Row) -> str:
    error = "sampled" if row.scores is None else f"WAPE {row.scores.wape:.4f}, RMSSE {row.scores.rmsse:.4f}"
    return f"{error}, {row.cpu:.1f} CPU s"
