"""The page of errors: what is measured stands in it, and what cannot be measured is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.accuracy import averaged, measure
from benchmarks.alone import OURS
from benchmarks.comparison import HEADINGS, Result, Row, page
from benchmarks.fresh import Fresh
from benchmarks.page import Choice
from benchmarks.peers import PEERS
from benchmarks.scoring import Ranges, Scores
from benchmarks.tasks import Bars, Task
from pipeline.sample.catalogue import BAKERY, CAFE
from pipeline_tests.test_docs import rows

SHOP = Task("shop", "a shop", 2, bars=Bars(0.30, 0.28, (0.85, 0.95)))
MEAN = "mean_prophet_lightgbm"


def row(system: str, wape: float, coverage: float | None = None) -> Row:
    """A system with an error, and for this project a coverage."""
    ranges = None if coverage is None else Ranges(coverage, 0.96, 3.1, 4.2)
    return Row(system, Scores(wape, 0.9, 0.8, 0.01, 40), 2.0, 0.05, Fresh({}, 200.0, 0.0), ranges)


def summary(*measured: Row, task: Task = SHOP) -> list[str]:
    """The task's line of the first table."""
    return next(cells for cells in rows(page([Result(task, 40, measured)]).text) if cells[0] == task.name)


@pytest.mark.parametrize(
    ("wape", "coverage", "bar", "goal", "range_told"),
    [
        (0.2800, 0.85, "held", "held", "held"),
        (0.28004, 0.95, "held", "held", "held"),
        (0.2801, 0.849, "held", "**missed**", "**missed**"),
        (0.3001, 0.96, "**missed**", "**missed**", "**missed**"),
    ],
)
def test_what_has_to_be_reached_is_judged(wape: float, coverage: float, bar: str, goal: str, range_told: str) -> None:
    """An error at most the bar, to four decimals as it is printed, holds; so does a coverage within its ends."""
    told = summary(row(OURS, wape, coverage), row("auto_ets", 0.31), row("seasonal_naive", 0.5))
    assert told[2:4] == [f"{wape:.4f}", "0.3100 (auto_ets)"]
    assert told[4:] == [f"0.300: {bar}", f"0.280: {goal}", f"{coverage:.3f}, 0.85 to 0.95: {range_told}"]


def test_a_task_is_judged_by_its_own_metric() -> None:
    """Where RMSSE counts, neither the best peer nor the bar is taken from WAPE."""
    task = replace(SHOP, metric="rmsse", bars=Bars(0.85, 0.75))
    assert summary(row(OURS, 0.9, 0.9), row("auto_ets", 0.1), task=task)[1:] == [
        *("RMSSE", "0.8000", "0.8000 (auto_ets)", "0.850: held", "0.750: **missed**", "0.900")
    ]


def test_what_was_not_asked_for_is_no_miss() -> None:
    """Without this project's figures, or products for its coverage, a dash stands in place of a verdict."""
    assert summary(row("auto_ets", 0.31))[2:] == ["-", "0.3100 (auto_ets)", "-", "-", "-"]
    assert summary(row(OURS, 0.2, float("nan")))[3:] == ["-", "0.300: held", "0.280: held", "-"]


def test_a_sample_that_sees_less_is_said_to() -> None:
    """A peer without covariates beside this project with them is not like for like, and its sentence says so."""
    tuned = Row("prophet_tuned", None, 400.0, 10.0, Fresh({}, 200.0, 180.0), beside=(0.4, 0.3), covariates=False)
    blind = "It sees no covariates, this project does"
    assert blind in page([Result(SHOP, 40, (tuned,))]).text
    assert blind not in page([Result(SHOP, 40, (replace(tuned, covariates=None),))]).text


def test_an_unfinished_page_says_so() -> None:
    """The tasks that are still to come are named until none is left."""
    done = Result(SHOP, 40, (row(OURS, 0.2),))
    assert "still to be measured are cafe, bakery" in page([done], ["cafe", "bakery"]).text
    assert "still to be measured" not in page([done]).text


def leave(folder: Path, system: str, values: dict[str, float]) -> Fresh:
    """Leave a system's forecasts in the folder, one a product, as its process does."""
    day = pd.Timestamp("2024-07-01")
    made = pd.DataFrame({"product": list(values), "origin": day - pd.Timedelta(days=1), "date": day})
    made.assign(y_hat=list(values.values())).to_parquet(folder / f"{system}.parquet")
    return Fresh({"cpu": 3.0 + len(values)}, 100.0 + len(values), 10.0 * len(values))


def test_a_mean_is_of_what_its_members_forecast(tmp_path: Path) -> None:
    """It is half of both, zero for what one lacks, at the CPU seconds of both and the memory of the larger."""
    first = leave(tmp_path, "prophet_covariates", {"a": -1.0, "b": 4.0})
    second = leave(tmp_path, "lightgbm_recursive", {"a": 5.0})
    found = averaged(MEAN, tmp_path, {"prophet_covariates": first, "lightgbm_recursive": second})
    made = pd.read_parquet(tmp_path / f"{MEAN}.parquet")
    assert dict(zip(made["product"], made["y_hat"], strict=True)) == {"a": 2.0, "b": 2.0}
    assert (found.found["cpu"], found.peak, found.child_peak) == (9.0, 102.0, 20.0)


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a peer's library, or a mean's members, the page says what was left out and how to have it."""
    monkeypatch.setitem(PEERS, "auto_ets", replace(PEERS["auto_ets"], needs=("no_such_library.models",)))
    first, last = measure(Choice((BAKERY.id, CAFE.id), ("auto_ets", MEAN)))
    assert "`auto_ets` needs no_such_library, which is not installed" in last.text
    assert f"`{MEAN}` is a mean with `prophet_covariates` and `lightgbm_recursive`, not measured" in last.text
    assert not last.plots
    # Each task that is done is a page, so that an interrupted run keeps it.
    assert f"still to be measured are {CAFE.id}." in first.text
    assert f"## {BAKERY.id}" in first.text
    assert f"## {CAFE.id}" not in first.text
    assert f"## {CAFE.id}" in last.text


def test_a_peer_is_measured_in_a_process_of_its_own() -> None:
    """Its errors, CPU seconds and memory stand in the task's table, and its dot in the plot beside it."""
    pytest.importorskip("statsforecast", reason="needs the extra [bench]")
    (made,) = measure(Choice((CAFE.id,), ("seasonal_naive",)))
    found = dict(zip(HEADINGS, next(row for row in rows(made.text) if row[0] == "seasonal_naive"), strict=True))
    assert 0.2 < float(found["WAPE"]) < 0.4
    assert 100 < float(found["peak MB"]) < 600
    assert found["covariates"] == "no"
    assert f"(accuracy-{CAFE.id}.svg)" in made.text
    assert "seasonal_naive" in made.plots[f"accuracy-{CAFE.id}.svg"]
