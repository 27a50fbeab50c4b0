"""The page of errors: this project's row beside its peers', and whether what has to be reached is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.alone import OURS
from benchmarks.fresh import Fresh
from benchmarks.page import Page, figure, table, verdict
from benchmarks.peers import SAMPLED
from benchmarks.scatter import Dot, error_against_cost
from benchmarks.scoring import Ranges, Scores
from benchmarks.tasks import Task

HEADINGS = (
    *("system", "covariates", "WAPE", "MASE", "RMSSE", "bias", "coverage"),
    *("CPU s", "a forecast, ms", "peak MB", "child MB"),
)


@dataclass(frozen=True)
class Row:
    """What one system did at one task; `scores` is None for one that was only sampled."""

    system: str
    scores: Scores | None
    cpu: float
    a_forecast: float
    run: Fresh
    ranges: Ranges | None = None
    beside: tuple[float, float | None] | None = None
    """WAPE of one that was sampled, and of this project on the same products and origin."""
    covariates: bool | None = None
    """Whether it saw them; None: the task has none."""


@dataclass(frozen=True)
class Result:
    """A task's rows, and what could not be measured."""

    task: Task
    pairs: int
    rows: tuple[Row, ...]
    lacking: tuple[str, ...] = ()

    @property
    def ours(self) -> Row | None:
        """This project's row, if it was measured."""
        return next((row for row in self.rows if row.system == OURS), None)

    @property
    def drawable(self) -> bool:
        """Whether any system has an error."""
        return any(row.scores is not None for row in self.rows)

    def error(self, row: Row) -> float | None:
        """Return what the task is judged by."""
        return None if row.scores is None else float(getattr(row.scores, self.task.metric))


def page(results: Sequence[Result], coming: Sequence[str] = ()) -> Page:
    """Return the table of each task and its plot; `coming` are the tasks that are still to be measured."""
    lines = ["# This project beside its peers", "", *table(*_summary(results))]
    if coming:
        lines += [f"Not finished: still to be measured are {', '.join(coming)}.", ""]
    for result in results:
        lines += _section(result)
    plots = {f"accuracy-{result.task.name}.svg": _plot(result) for result in results if result.drawable}
    return Page("\n".join(lines), plots)


def _summary(results: Sequence[Result]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """One line a task: this project, the best peer, and whether what has to be reached is."""
    lines: list[Sequence[str]] = []
    for result in results:
        ours, bars = result.ours, result.task.bars
        peers = [(e, row.system) for row in result.rows if row is not ours and (e := result.error(row)) is not None]
        best = f"{min(peers)[0]:.4f} ({min(peers)[1]})" if peers else "-"
        mine = result.error(ours) if ours else None
        covered = ours.ranges.coverage if ours and ours.ranges else None
        lines.append(
            (
                result.task.name,
                result.task.metric.upper(),
                figure(mine, 4),
                best,
                _most(mine, bars.bar if bars else None),
                _most(mine, bars.goal if bars else None),
                _within(covered, bars.coverage if bars else None),
            )
        )
    return ("task", "judged by", "this project", "best peer", "bar", "goal", "coverage"), lines


def _most(value: float | None, most: float | None) -> str:
    """Judge what was measured; what was not asked for is no miss."""
    if value is None or most is None:
        return "-"
    return f"{most:.3f}: {verdict(round(value, 4) <= most)}"


def _within(value: float | None, ends: tuple[float, float] | None) -> str:
    if ends is None or figure(value) == "-":
        return figure(value)
    assert value is not None
    return f"{figure(value)}, {ends[0]:g} to {ends[1]:g}: {verdict(ends[0] <= round(value, 4) <= ends[1])}"


def _section(result: Result) -> list[str]:
    about = f"{result.task.about}. {result.task.origins} origins, 14 days ahead, {result.pairs:,} forecasts."
    lines = [f"## {result.task.name}", "", about[0].upper() + about[1:]]
    lines += ["", *table(HEADINGS, [_cells(row) for row in result.rows])]
    for row in result.rows:
        lines += _sampled(row, result.pairs)
    if result.ours and result.ours.ranges:
        lines += _ranges(result.ours.ranges)
    lines += [f"- Not measured: {one}" for one in result.lacking] + ([""] if result.lacking else [])
    if result.drawable:
        lines += [f"![error against CPU time](accuracy-{result.task.name}.svg)", ""]
    return lines


def _sampled(row: Row, pairs: int) -> list[str]:
    if row.beside is None:
        return []
    theirs, mine = row.beside
    blind = " It sees no covariates, this project does: the two errors are not like for like."
    return [
        f"`{row.system}` takes too long for all: it was tried on {SAMPLED} products, spread over volumes, at the last "
        f"origin; its CPU seconds are those of a product times {pairs:,}. On these products it has a WAPE of "
        f"{theirs:.3f}, this project {figure(mine)}.{blind if row.covariates is False else ''}",
        "",
    ]


def _ranges(found: Ranges) -> list[str]:
    return [
        f"Ranges of 0.05 to 0.95. Products of 5 units a day and more: {figure(found.coverage)} of the days inside. "
        f"Smaller ones: {figure(found.below_upper)} of the days not above the upper end; interval score "
        f"{figure(found.interval, 2)} times the mean sale, that of the product's own last 90 days "
        f"{figure(found.interval_of_past, 2)}.",
        "",
    ]


def _cells(row: Row) -> list[str]:
    """A row as text; this project in bold."""
    name = "**this project**" if row.system == OURS else row.system
    saw = {None: "-", True: "yes", False: "no"}[row.covariates]
    errors = ["-"] * 4
    if row.scores is not None:
        errors = [figure(getattr(row.scores, one), 4) for one in ("wape", "mase", "rmsse")]
        errors.append(figure(row.scores.bias, sign=True))
    covered = figure(row.ranges.coverage) if row.ranges else "-"
    child = figure(row.run.child_peak, 0) if row.run.child_peak else "-"
    cost = f"{'about ' if row.scores is None else ''}{figure(row.cpu, 1)}"
    return [name, saw, *errors, covered, cost, figure(1000 * row.a_forecast, 1), figure(row.run.peak, 0), child]


def _plot(result: Result) -> str:
    dots = [
        Dot("this project" if row.system == OURS else row.system, row.a_forecast, result.error(row), row.system == OURS)
        for row in result.rows
    ]
    bar = result.task.bars.bar if result.task.bars else None
    title = f"{result.task.name}: error against cost"
    return error_against_cost(dots, title=title, error_name=result.task.metric.upper(), bar=bar)
