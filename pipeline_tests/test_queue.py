"""The queue's rules: tags that order it, limits that follow the settings, a file that Dagster takes."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contracts import Priority
from pipeline.queue import HEADER, NUMBERS, PRIORITY_TAG, instance_file, priority_of, priority_tags
from pipeline.settings import Settings

TEMPLATE = (Path(__file__).parent.parent / "dagster.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("priority", Priority)
def test_a_priority_is_told_by_its_tags(priority: Priority) -> None:
    """What a run is tagged with says which class it belongs to."""
    assert priority_of(priority_tags(priority)) is priority


@given(st.integers(-(10**6), 10**6))
def test_any_number_has_a_class(number: int) -> None:
    """A number that a person chose belongs to the class just below it, and a lower one to no higher class."""
    found = priority_of({PRIORITY_TAG: str(number)})
    order = list(Priority)
    assert found is Priority.LOW or NUMBERS[found] <= number
    assert order.index(priority_of({PRIORITY_TAG: str(number - 1)})) >= order.index(found)


@pytest.mark.parametrize("tags", [{}, {PRIORITY_TAG: "soon"}, {PRIORITY_TAG: ""}])
def test_without_a_number_a_run_is_normal(tags: dict[str, str]) -> None:
    """That is what Dagster takes it for."""
    assert priority_of(tags) is Priority.NORMAL


@pytest.mark.parametrize(("jobs", "upper"), [(1, 1), (2, 1), (3, 2), (20, 19)])
def test_the_limits_are_those_of_the_settings(
    jobs: int, upper: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster reads from the file as many places as MAX_CONCURRENT_JOBS says, and the time from its own setting."""
    text = instance_file(TEMPLATE, Settings(max_concurrent_jobs=jobs, max_training_time_minutes=7))
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        limits = {limit["key"]: limit["limit"] for limit in queue.tag_concurrency_limits}
        assert instance.run_monitoring_max_runtime_seconds == 7 * 60 + 300 + 300
    assert queue.max_concurrent_runs == jobs + 1
    assert limits == {"dagster/partition": 1, "pipeline/batch": 1, "pipeline/work": jobs, "pipeline/lane": upper}


def test_the_file_of_the_checkout_is_that_of_the_default_settings() -> None:
    """Whoever uses dagster.yaml as it lies there has the same limits as whoever uses the command line."""
    assert instance_file(TEMPLATE, Settings()) == HEADER + TEMPLATE
    assert yaml.safe_load(TEMPLATE)["concurrency"]["runs"]["max_concurrent_runs"] == Settings().max_concurrent_jobs + 1


def test_a_file_without_a_place_for_a_limit_is_refused() -> None:
    """A limit that cannot be written is not left out in silence."""
    with pytest.raises(ValueError, match=r"max_runtime_seconds.*needs one"):
        instance_file(TEMPLATE.replace("max_runtime_seconds", "max_seconds"), Settings())
