"""Metadata files are checked in one order, which stops where the next check would make no sense."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import CheckReport, Contract, LineageEvent, ServingMetricsWindow, TrainingMetadata
from pipeline.installation import Installation
from pipeline.monitoring.adapters import shipped
from pipeline.monitoring.metadata import MAX_BYTES
from pipeline.monitoring.reports import report_on
from pipeline.monitoring.validation import MOST, validate, within
from pipeline.settings import Settings
from pipeline_tests.metadata import JSON, METADATA
from pipeline_tests.monitoring.foreign import DATASET, bundle, document, parquet

NOW = dt.datetime(2026, 3, 2, 4, 6, 6, tzinfo=dt.UTC)
FIVE = ["file_exists", "valid_json", "dataset_name_present", "dataset_version_present", "freshness_computable"]
EVENT: dict[str, Any] = {
    "event_type": "dataset_build_completed", "event_time": "2026-03-02T04:05:06Z", "inputs": {},
    "outputs": {"dataset": {"name": "shop/sales", "version": "1"}}, "metadata": {"row_count": 1},
}  # fmt: skip


def report(path: Path, contract: type[Contract] | None = None) -> CheckReport:
    """The report of a file."""
    return report_on(path, shipped(), NOW, contract)


def checks(found: CheckReport) -> dict[str, bool]:
    """What was checked, in order, and whether it passed."""
    return {one.check: one.passed for one in found.results}


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_a_good_data_set_passes_the_five_checks_in_order(tmp_path: Path, kind: str) -> None:
    """Whichever system it is of, the checks are the same."""
    path = document(tmp_path / "a.json") if kind == "json" else parquet(tmp_path / "a.parquet")
    found = report(path)
    assert found.all_passed
    assert found.metadata_path == str(path)
    assert list(checks(found)) == FIVE
    assert found.results[-1].detail == "built 60 seconds ago"


@pytest.mark.parametrize(
    ("changes", "failed", "words"),
    [
        ({"dataset_name": None}, "dataset_name_present", "None"),
        ({"dataset_name": " "}, "dataset_name_present", "not blank"),
        ({"dataset_name": 7}, "dataset_name_present", "7"),
        ({"dataset_version": ""}, "dataset_version_present", "''"),
        ({"built_at": None}, "freshness_computable", "built_at: Field required"),
        ({"built_at": "2026-03-02T04:05:06"}, "freshness_computable", "timezone"),
        ({"built_at": "2026-03-02T04:08:06Z"}, "freshness_computable", "120 seconds in the future"),
        ({"row_count": -1}, "freshness_computable", "row_count = -1"),
        ({"row_count": float("nan")}, "freshness_computable", "row_count"),
        ({"target": ""}, "freshness_computable", "target"),
        ({"colour": "red"}, "freshness_computable", "colour = 'red'"),
    ],
)
def test_the_first_fault_ends_the_report(tmp_path: Path, changes: dict[str, Any], failed: str, words: str) -> None:
    """What comes before the fault has passed; it is told with its value; nothing comes after it."""
    found = report(document(tmp_path / "a.json", **changes))
    assert checks(found) == {name: name != failed for name in FIVE[: FIVE.index(failed) + 1]}
    assert words in found.results[-1].detail
    assert not found.all_passed


def test_what_cannot_be_read_is_no_json(tmp_path: Path) -> None:
    """A torn file fails the second check, an absent one, also under a file and of an impossible name, the first."""
    (tmp_path / "torn.json").write_text('{"dataset_name": "a"')
    assert checks(report(tmp_path / "torn.json")) == {"file_exists": True, "valid_json": False}
    for name in ("gone.json", "gone.parquet", "gone.ndjson", "torn.json/a.json", "nul\0.json", "x" * 300):
        assert checks(report(tmp_path / name)) == {"file_exists": False}, name


def test_other_contracts_have_one_check_of_their_own(tmp_path: Path) -> None:
    """A bundle, and any file whose fields are those of a contract, is held against it."""
    assert checks(report(bundle(tmp_path / "good"))) == dict.fromkeys(
        ("file_exists", "valid_json", "contract_kept"), True
    )
    bad = report(bundle(tmp_path / "bad", run_id=""))
    assert checks(bad) == {"file_exists": True, "valid_json": True, "contract_kept": False}
    assert "run_id = ''" in bad.results[-1].detail
    assert checks(report(document(tmp_path / "event.json", EVENT)))["contract_kept"]
    assert not checks(report(document(tmp_path / "naive.json", EVENT, event_time="2026-03-02T04:05:06")))[
        "contract_kept"
    ]


LINES = ("file_exists", "lines_whole", "valid_json", "contract_kept")


def test_lines_are_checked_one_by_one(tmp_path: Path) -> None:
    """A fault is told with its line, set aside, and hides neither those of other kinds nor the good lines."""
    good, path = json.dumps(EVENT), tmp_path / "lineage-2026-03-02.ndjson"
    lines = [
        good,
        '{"event_type": "a"',
        "",
        json.dumps({**EVENT, "event_type": ""}),
        "[1]",
        "Café",
        good,
        "{" + "x" * MAX_BYTES,
    ]
    path.write_bytes("\n".join(lines).encode("latin-1") + b"\n" + good.encode() + b"\n")
    found = report(path)
    assert checks(found) == {"file_exists": True, "lines_whole": False, "valid_json": False, "contract_kept": False}
    whole, valid, kept = (one.detail for one in found.results[1:])
    assert whole == f"line 8: more than {MAX_BYTES} bytes, too many for metadata"
    assert [fault.split(":")[0] for fault in valid.split("; ")] == ["line 2", "line 5", "line 6"]
    assert kept.startswith("line 4: event_type = ''")


def test_a_torn_last_line_is_tolerated(tmp_path: Path) -> None:
    """A writer may be at it, or was cut off: it is told, and everything passes; in the middle it is a fault."""
    good, path = json.dumps(EVENT), tmp_path / "a.ndjson"
    path.write_text(f"{good}\n{good[:-9]}")
    found = report(path)
    assert checks(found) == dict.fromkeys(LINES, True)
    assert "line 2 has no end" in found.results[1].detail
    path.write_text(f"{good}\n{good}")
    assert report(path).results[-1].detail == "2 lines keep it"
    path.write_text(f"{good[:-9]}\n{good}\n")
    assert not report(path).all_passed


def test_a_lineage_line_that_was_cut_off_is_tolerated_where_it_stands(tmp_path: Path) -> None:
    """The next event began on a line of its own: the torn one is told and no fault, and garbage is one still."""
    good, path = json.dumps(EVENT), tmp_path / "lineage-2026-03-02.ndjson"
    path.write_text(f"{good}\n{good[:-9]}\n{good}\n")
    found = report(path, LineageEvent)
    assert found.all_passed
    assert "line 2 has no end" in found.results[1].detail
    path.write_text(f"{good}\ngarbage\n{good}\n")
    assert not report(path, LineageEvent).all_passed


def test_a_forecast_of_many_products_is_a_line_of_lineage(tmp_path: Path) -> None:
    """An event that tells of ten thousand models is longer than other metadata, and keeps its contract."""
    models = {f"product {number} {'x' * 80}": "20260302_040506" for number in range(10_000)}
    path = tmp_path / "lineage-2026-03-02.ndjson"
    path.write_text(json.dumps({**EVENT, "metadata": {"models": models}}) + "\n")
    assert path.stat().st_size > MAX_BYTES
    assert report(path, LineageEvent).all_passed
    assert not report(path).all_passed


def test_many_faults_are_counted_and_a_few_told(tmp_path: Path) -> None:
    """A report stays short however broken the file is."""
    path = tmp_path / "a.jsonl"
    path.write_text("nothing\n" * 2000)
    detail = report(path).results[2].detail
    assert detail.endswith("; and 1995 more")
    assert len(detail) < 1000


def test_a_line_without_end_is_not_held(tmp_path: Path) -> None:
    """A gigabyte without a newline is one line that is too long, and the last one."""
    path = tmp_path / "a.ndjson"
    with path.open("wb") as file:
        file.truncate(2**30)
    found = report(path)
    assert checks(found)["lines_whole"] is False
    assert "line 1: more than" in found.results[1].detail


def test_pipes_and_folders_are_no_files_of_lines(tmp_path: Path) -> None:
    """What would never end, or cannot be read as lines, is refused without waiting for it."""
    os.mkfifo(tmp_path / "pipe.ndjson")
    (tmp_path / "folder.ndjson").mkdir()
    for name in ("pipe.ndjson", "folder.ndjson"):
        assert checks(report(tmp_path / name)) == {"file_exists": True, "lines_whole": False}


def test_a_folder_holds_artefacts(tmp_path: Path) -> None:
    """Files of metadata and bundles, in order, at any depth; a bundle's own files, hidden and other ones are none."""
    bundle(tmp_path / "b" / "run", uri="x")
    document(tmp_path / "a.json")
    parquet(tmp_path / "c" / "d.PARQUET")
    (tmp_path / "c" / "e.jsonl").touch()
    for name in ("notes.txt", ".hidden.json", ".git/f.json"):
        document(tmp_path / name)
    (tmp_path / "c" / "loop").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in within(tmp_path)]
    assert found == ["a.json", "b/run", "c/d.PARQUET", "c/e.jsonl"]
    assert within(tmp_path / "b" / "run") == [tmp_path / "b" / "run"]
    assert within(tmp_path / "gone") == [tmp_path / "gone"]


def test_a_folder_that_vanishes_while_it_is_read_ends_well(tmp_path: Path) -> None:
    """Every file of it is reported, as it was or as gone; nothing is raised."""
    for number in range(300):
        document(tmp_path / "folder" / f"{number:03}" / "a.json")
    killer = threading.Thread(target=shutil.rmtree, args=(tmp_path / "folder",))
    killer.start()
    reports = [report(path) for path in within(tmp_path / "folder")]
    killer.join()
    for found in reports:
        assert found.all_passed or "o such file" in found.results[-1].detail or "file_exists" in checks(found)
    assert within(tmp_path / "folder") == [tmp_path / "folder"]
    assert checks(report(tmp_path / "folder")) == {"file_exists": False}


def test_no_more_than_a_bound_is_looked_at(tmp_path: Path) -> None:
    """A folder that is none of metadata costs no more than a set number of files."""
    for number in range(MOST + 5):
        (tmp_path / f"{number}.json").touch()
    assert len(within(tmp_path)) == MOST


def test_the_whole_installation_is_validated(tmp_path: Path) -> None:
    """Own data sets, trainings, lineage, the last day's windows, and what METADATA_PATHS names; all as one form."""
    home, foreign = tmp_path / "home", tmp_path / "foreign"
    settings = Settings(pipeline_home=home, metadata_paths=f"{foreign}, {tmp_path / 'gone.json'}")
    opened = Installation(settings)
    assert [one.metadata_path for one in validate(opened, NOW).failed] == [str(foreign), str(tmp_path / "gone.json")]
    document(home / "data" / "shop" / "sales.json", dataset_name="shop/sales")
    document(home / "data" / "shop" / "features.json", dataset_version="")
    document(home / "data" / "shop" / "extraction_report.json", {"no": "metadata"})
    (home / "data" / "shop" / "training_metadata.ndjson").write_text("{}\n")
    (home / "lineage").mkdir()
    (home / "lineage" / "lineage-2026-03-02.ndjson").write_text(json.dumps(EVENT) + "\n")
    for day in ("2026-03-02", "2026-03-01", "2026-02-28"):
        (home / "artifacts" / "serving" / "metrics" / day / "04").mkdir(parents=True)
        (home / "artifacts" / "serving" / "metrics" / day / "04" / "a.jsonl").write_text("{}\n")
    parquet(foreign / "stations.parquet")
    bundle(foreign / "run")
    found = {one.metadata_path.removeprefix(f"{tmp_path}/"): one.all_passed for one in validate(opened, NOW).reports}
    assert found == {
        "home/data/shop/sales.json": True,
        "home/data/shop/features.json": False,
        "home/data/shop/training_metadata.ndjson": False,
        "home/lineage/lineage-2026-03-02.ndjson": True,
        "home/artifacts/serving/metrics/2026-03-01/04/a.jsonl": False,
        "home/artifacts/serving/metrics/2026-03-02/04/a.jsonl": False,
        "foreign/run": True,
        "foreign/stations.parquet": True,
        "gone.json": False,
    }


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from([TrainingMetadata, LineageEvent, ServingMetricsWindow]))
def test_what_keeps_its_contract_passes(data: st.DataObject, kind: type[Contract]) -> None:
    """Any valid instance, as a document and as a line, passes every check, and is known by its fields."""
    text = data.draw(METADATA[kind]).model_dump_json()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.json", "a.ndjson"):
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            assert report(path).all_passed, report(path)


@settings(max_examples=100, deadline=None)
@given(
    values=st.dictionaries(st.sampled_from(sorted(DATASET)), JSON) | JSON, name=st.sampled_from(["a.json", "a.ndjson"])
)
def test_whatever_stands_there_ends_in_a_report(values: Any, name: str) -> None:
    """A report begins with file_exists, fails at most once a document, and is what its contract says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(json.dumps({**DATASET, **values} if isinstance(values, dict) else values))
        found = report(path)
    assert next(iter(checks(found))) == "file_exists"
    if name == "a.json":
        assert [one.passed for one in found.results] == [True] * (len(found.results) - 1) + [found.all_passed]
    assert CheckReport.model_validate_json(found.model_dump_json()) == found
