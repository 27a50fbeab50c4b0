"""`pipeline monitor compute-freshness` and `run-checks`: JSON on stdout, the outcome as exit status."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from contracts import CheckReport, FreshnessResult
from pipeline_tests.commands.conftest import Terminal, apart
from pipeline_tests.monitoring.foreign import bundle, document, parquet

HOUR = dt.timedelta(hours=1)


def ago(age: dt.timedelta) -> str:
    """A moment of the past as JSON."""
    return (dt.datetime.now(dt.UTC) - age).isoformat()


def test_freshness_is_computed(fresh: Terminal, tmp_path: Path) -> None:
    """A FreshnessResult and nothing else is printed; status 0 when fresh, 3 when stale."""
    path = document(tmp_path / "a.json", built_at=ago(HOUR))
    for arguments, status, said in (
        ((), 3, "STALE"),
        (("--threshold-seconds", "7200"), 0, "FRESH"),
        (("--threshold-seconds", "0"), 3, "STALE"),
    ):
        answer = fresh("monitor", "compute-freshness", "--metadata-path", path, *arguments)
        found = FreshnessResult.model_validate_json(answer.out)
        assert (answer.status, found.status, answer.err) == (status, said, "")
        assert 3600 <= found.freshness_seconds < 3700


def test_thresholds_are_settings(fresh: Terminal, tmp_path: Path) -> None:
    """FRESHNESS_SECONDS for all, FRESHNESS_SECONDS_BY_DATASET by name, a day and a half for our own sales."""
    path = document(tmp_path / "a.json", built_at=ago(HOUR))
    sales = document(tmp_path / "sales.json", built_at=ago(30 * HOUR), dataset_name="shop/sales")
    asked = ("monitor", "compute-freshness", "--metadata-path")
    assert fresh(*asked, path, FRESHNESS_SECONDS="4000").status == 0
    assert fresh(*asked, path, FRESHNESS_SECONDS_BY_DATASET='{"feat*": 4000}').status == 0
    assert fresh(*asked, sales).status == 0
    assert fresh(*asked, sales, FRESHNESS_SECONDS_BY_DATASET='{"shop/*": 60}').status == 3
    assert "FRESHNESS_SECONDS_BY_DATASET" in fresh(*asked, path, FRESHNESS_SECONDS_BY_DATASET="60").err


def test_foreign_tables_have_freshness(fresh: Terminal, tmp_path: Path) -> None:
    """A Parquet file of another system is asked as a file of ours is, also in a process of its own."""
    stamp = f"{dt.datetime.now(dt.UTC) - HOUR:%Y%m%d_%H%M%S}"
    path = parquet(tmp_path / "stations.parquet", build_timestamp=stamp)
    answer = apart(fresh.world, "monitor", "compute-freshness", "--metadata-path", path, cwd=tmp_path)
    found = FreshnessResult.model_validate_json(answer.out)
    assert (answer.status, found.dataset_name, found.dataset_version) == (3, "stations", stamp)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.json", "cannot be read: No such file"),
        ("run", "is TrainingMetadata; DatasetMetadata is wanted here"),
        ("naive.json", "built_at = '2026-03-02T04:05:06'"),
        ("future.json", "in the future"),
        ("torn.json", "no JSON"),
    ],
)
def test_freshness_that_cannot_be_computed(fresh: Terminal, tmp_path: Path, name: str, words: str) -> None:
    """Status 1, a message on stderr that names the file, nothing on stdout."""
    bundle(tmp_path / "run")
    document(tmp_path / "naive.json", built_at="2026-03-02T04:05:06")
    document(tmp_path / "future.json", built_at=ago(-HOUR))
    (tmp_path / "torn.json").write_text("{")
    answer = fresh("monitor", "compute-freshness", "--metadata-path", tmp_path / name)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("MetadataError: ")
    assert words in answer.err


def test_one_artefact_has_one_report(fresh: Terminal, tmp_path: Path) -> None:
    """A file or a bundle: a CheckReport; status 0 when all passed, else 3, also where nothing is there."""
    run, good, bad = bundle(tmp_path / "run"), document(tmp_path / "a.json"), document(tmp_path / "b.json", entity="")
    for path, status, checks in ((run, 0, 3), (good, 0, 5), (bad, 3, 5), (tmp_path / "gone", 3, 1)):
        answer = fresh("monitor", "run-checks", "--metadata-path", path)
        found = CheckReport.model_validate_json(answer.out)
        assert (answer.status, len(found.results), answer.err) == (status, checks, "")
        assert found.all_passed is (status == 0)


def test_a_folder_has_a_list_of_reports(fresh: Terminal, tmp_path: Path) -> None:
    """One an artefact, in order; status 3 as soon as one failed; of an empty folder none, and status 3 too."""
    folder = tmp_path / "exports"
    folder.mkdir()
    empty = fresh("monitor", "run-checks", "--metadata-path", folder)
    assert (empty.status, json.loads(empty.out)) == (3, [])
    bundle(folder / "run")
    document(folder / "a.json")
    assert fresh("monitor", "run-checks", "--metadata-path", folder).status == 0
    (folder / "b.ndjson").write_text("nothing\n")
    answer = fresh("monitor", "run-checks", "--metadata-path", folder)
    reports = [CheckReport.model_validate_json(json.dumps(one)) for one in json.loads(answer.out)]
    assert [(Path(one.metadata_path).name, one.all_passed) for one in reports] == [
        ("a.json", True), ("b.ndjson", False), ("run", True),
    ]  # fmt: skip
    assert answer.status == 3


def test_what_is_typed_wrong_is_a_usage_error(fresh: Terminal) -> None:
    """Status 2, as of every command."""
    assert fresh("monitor", "compute-freshness").status == 2
    assert fresh("monitor", "compute-freshness", "--metadata-path", "x", "--threshold-seconds", "-1").status == 2
    assert fresh("monitor", "run-checks").status == 2
