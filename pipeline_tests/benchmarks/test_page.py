"""What the benchmarks ask and print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import ALL, app
from benchmarks.accuracy import SYSTEMS, sees_covariates
from benchmarks.comparison import HEADINGS
from benchmarks.page import Choice, Page, figure, table
from benchmarks.tasks import TASKS
from pipeline_tests.test_docs import prose_of, section
from pipeline_tests.test_docs import table as stated


@pytest.mark.parametrize(
    ("words", "told"),
    [(["speed"], "no benchmark"), (["--tasks", "moon"], "no task"), (["--systems", "arima"], "no system")],
)
def test_unknown_names_are_named(words: list[str], told: str, tmp_path: Path) -> None:
    """A name that there is not is refused before anything is measured, with the names that there are."""
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code
    assert told in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_choice_leaves_out_what_was_not_chosen() -> None:
    """Without a choice all are taken, with one only those that are named."""
    assert Choice().takes(task="any", system="any")
    assert Choice(tasks=("a",)).takes(task="a")
    assert not Choice(tasks=("a",)).takes(task="b")
    assert not Choice(systems=("x",)).takes(system="y")


def test_figures_are_plain() -> None:
    """A figure that is not there is a dash, not nan; tables survive a bar in a name."""
    assert [figure(None), figure(float("nan")), figure(0.12345), figure(2.0, 1, sign=True)] == [
        "-",
        "-",
        "0.123",
        "+2.0",
    ]
    assert table(("name", "x"), [("a|b", "1")]) == ["| name | x |", "| --- | --: |", "| a\\|b | 1 |", ""]


def test_the_guide_explains_every_name() -> None:
    """Each benchmark, task, system and column has its row in the guide, and nothing else has one."""
    page = "guide/benchmarks.md"
    assert set(stated(section(page, "What is measured"))) == set(ALL)
    assert set(stated(section(page, "The tasks"))) == set(TASKS)
    assert set(stated(section(page, "The systems"))) == set(SYSTEMS)
    assert set(stated(section(page, "The columns"))) == {*HEADINGS}
    assert "PIPELINE_REAL_DATA" in prose_of(page)


def test_the_guide_says_who_sees_covariates() -> None:
    """What the guide's table says of each system is what the page of a run will say."""
    told = {name: row[-1] for name, row in stated(section("guide/benchmarks.md", "The systems")).items()}
    assert told == {name: "yes" if sees_covariates(name) else "no" for name in SYSTEMS}


def test_real_sales_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task whose sales are nowhere is refused before anything is written."""
    monkeypatch.delenv("PIPELINE_REAL_DATA", raising=False)
    done = CliRunner().invoke(app, ["accuracy", "--tasks", "french_bakery", "--out", str(tmp_path / "out")])
    assert "no sales of french_bakery" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_page_is_written_as_soon_as_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured before a benchmark is interrupted stands in its page, its plot beside it."""

    def interrupted(_choice: Choice) -> Iterator[Page]:
        yield Page("# one task", {"one.svg": "<svg/>"})
        raise KeyboardInterrupt

    monkeypatch.setitem(ALL, "accuracy", interrupted)
    assert CliRunner().invoke(app, ["accuracy", "--out", str(tmp_path)]).exit_code
    assert (tmp_path / "accuracy.md").read_text(encoding="utf-8") == "# one task"
    assert (tmp_path / "one.svg").exists()
