"""Measuring a process from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fresh import FailedError, in_fresh_process

HUNGRY = "pipeline_tests.benchmarks.hungry"


def test_a_process_and_its_child_are_measured_apart(tmp_path: Path) -> None:
    """Memory is that of the process and of its child each alone, CPU seconds those of the work, not of waiting."""
    done = in_fresh_process(HUNGRY, "eat", home=tmp_path)
    assert 143 <= done.peak <= 220
    assert 76 <= done.child_peak <= 130
    assert 0.3 <= done.found["cpu"] <= 3


def test_nothing_of_the_callers_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process knows of no database and no setting of the caller's; its home is the folder that it is given."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/real")
    monkeypatch.setenv("TUNING_ENABLED", "false")
    monkeypatch.setenv("WORKERS", "3")
    found = in_fresh_process(HUNGRY, "eat", home=tmp_path).found["environment"]
    assert not {"DATABASE_URL", "TUNING_ENABLED"} & set(found)
    assert (found["WORKERS"], found["PIPELINE_HOME"], found["OMP_NUM_THREADS"]) == ("3", str(tmp_path), "1")


def test_a_failed_process_says_why(tmp_path: Path) -> None:
    """The last words of a process that ends with an error are in the error."""
    with pytest.raises(FailedError, match="the oven is broken"):
        in_fresh_process(HUNGRY, "fail", home=tmp_path)


@pytest.mark.parametrize("words", ["", "the bread is baked", "[1, 2]", '{"cpu":'])
def test_a_process_without_figures_has_failed(words: str, tmp_path: Path) -> None:
    """One that ends well but prints no JSON object last is named, with what it printed and its messages."""
    with pytest.raises(FailedError, match="the bread is baked") as failed:
        in_fresh_process(HUNGRY, "talk", words, home=tmp_path)
    assert str(failed.value).endswith(f"must print a JSON object last, not {words!r}")
