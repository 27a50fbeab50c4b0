"""Windows are read whatever stands beside them: bad lines are told with file and line, good ones are kept."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import MetadataError
from pipeline.monitoring.serving.faults import TOLD, TOLD_OF_A_FILE
from pipeline.monitoring.serving.windows import LONGEST, Read, read_windows
from pipeline_tests.monitoring.servers import NOON, file_at, lines, report, steady, window

GOOD = lines([window(1)])
LATIN = json.dumps(window(0, model_name="caf\u00e9"), ensure_ascii=False).encode("latin-1")
FAULTS: list[tuple[bytes, str]] = [
    (lines([window(0, window_end="2026-03-02T12:00:00")]), "a moment is written in ISO 8601 with its timezone"),
    (lines([window(0, window_start="2026-03-02T12:00:00Z")]), "is not after window_start"),
    (lines([window(0, window_start="0001-01-01T00:00:00+14:00")]), "lies outside the years 1 to 9999"),
    (lines([window(0, window_end=1772452800)]), "a moment is written in ISO 8601"),
    (lines([window(0, request_count=-1)]), "request_count: Input should be greater than or equal to 0, not -1"),
    (lines([window(0, schema_version="v2")]), "schema_version: Input should be 'v1', not 'v2'"),
    (lines([window(0, deployment_id=" ")]), "deployment_id: "),
    (lines([window(0, latency_p99_ms=float("nan"))]), "latency_p99_ms: Input should be a finite number"),
    (lines([{"schema_version": "v1"}]), "window_start: Field required; "),
    (lines([window(0, further=1)]), "further: "),
    (b"[1, 2]\n", "Input should be an object"),
    (b"hello\n", "Invalid JSON"),
    (json.dumps(window(0)).encode("utf-16") + b"\n", "it is not UTF-8: byte 0xff at place 1"),
    (LATIN + b"\n", "not UTF-8: byte 0xe9"),
    (b"x" * (LONGEST + 1) + b"\n", "longer than 65,536 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "words"), FAULTS, ids=range(len(FAULTS)))
def test_a_bad_line_is_told_and_set_aside(tmp_path: Path, bad: bytes, words: str) -> None:
    """File, line number and reason are told, the lines before and after are read; strict mode stops with the same."""
    path = file_at(tmp_path)
    path.write_bytes(GOOD + b"\n  \n" + bad + lines([window(2)]))
    read = read_windows(tmp_path)
    assert len(read.windows) == 2
    assert {fault.path for fault in read.faults} == {str(path)}
    assert read.faults[0].line == 4
    assert words in read.faults[0].reason
    with pytest.raises(MetadataError, match=r"server\.jsonl, line 4: ") as raised:
        read_windows(tmp_path, strict=True)
    assert words in str(raised.value)


def test_a_window_of_the_future_is_set_aside(tmp_path: Path) -> None:
    """One that ends later than it can have is told, and hides neither the others nor that they are old."""
    report(tmp_path, [window(5), window(0, window_end="2099-01-01T00:00:00Z")], "a.jsonl")
    read = read_windows(tmp_path, until=NOON)
    assert len(read.windows) == 1
    assert read.faults[0].reason.startswith(
        "window_end: 2099-01-01 00:00:00 UTC is in the future, beyond 2026-03-02 12"
    )
    assert len(read_windows(tmp_path, until=NOON - dt.timedelta(minutes=6)).windows) == 0
    assert len(read_windows(tmp_path, until=NOON - dt.timedelta(minutes=5)).windows) == 1


def test_a_count_that_no_counter_has_is_a_faulty_line(tmp_path: Path) -> None:
    """A number of four hundred digits is set aside as a line, not met later by whoever reckons with it."""
    report(tmp_path, [window(0, failure_count=10**400), window(1)])
    read = read_windows(tmp_path)
    assert (len(read.windows), read.fault_count) == (1, 1)
    assert "failure_count" in read.faults[0].reason


def test_servers_that_are_of_no_use_are_named(tmp_path: Path) -> None:
    """A file all of whose windows are set aside, a link, and a folder that is no day: each with its first reason."""
    report(tmp_path, [window(-3), window(-2)], "ahead.jsonl")
    report(tmp_path, [window(0, request_count=-1), window(0)], "mixed.jsonl")
    (file_at(tmp_path).parent / "link.jsonl").symlink_to(file_at(tmp_path, name="mixed.jsonl"))
    (tmp_path / "20260302").mkdir()
    read = read_windows(tmp_path, until=NOON)
    assert {Path(one.path).name for one in read.unusable} == {"ahead.jsonl", "link.jsonl", "20260302"}
    assert read.unusable_count == 3


def test_faults_that_are_told_are_bounded(tmp_path: Path) -> None:
    """However many files are wrong, so many faults are kept; all are counted."""
    for number in range(TOLD // TOLD_OF_A_FILE + 5):
        file_at(tmp_path, name=f"{number}.jsonl").write_bytes(b"x\n" * (TOLD_OF_A_FILE + 1))
    read = read_windows(tmp_path)
    assert len(read.faults) == TOLD
    assert read.fault_count == (TOLD // TOLD_OF_A_FILE + 5) * (TOLD_OF_A_FILE + 1)


def test_a_torn_last_line_is_told_as_such(tmp_path: Path) -> None:
    """A record that ends without a newline is torn where it is cut, and whole where only the newline is missing."""
    path = file_at(tmp_path)
    path.write_bytes(GOOD + lines([window(2)])[:-20])
    (fault,) = read_windows(tmp_path).faults
    assert (fault.line, fault.reason) == (2, "the last line is torn: it ends within the record, without a newline")
    path.write_bytes(GOOD + lines([window(2)])[:-1])
    assert (len(read_windows(tmp_path).windows), read_windows(tmp_path).fault_count) == (2, 0)


def test_a_byte_order_mark_is_no_part_of_a_record(tmp_path: Path) -> None:
    """A file that begins with the mark of UTF-8 is read from its first line on."""
    file_at(tmp_path).write_bytes(b"\xef\xbb\xbf" + GOOD)
    assert (len(read_windows(tmp_path).windows), read_windows(tmp_path).fault_count) == (1, 0)


def test_a_gigabyte_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A process that may hold less than the line reads past it, tells it, and reads the next."""
    path = file_at(tmp_path)
    path.write_bytes(GOOD)
    with path.open("r+b") as file:  # A hole: it takes no room on the disk.
        file.seek(2**30)
        file.write(b"\n" + lines([window(2)]))
    code = (
        "import resource, sys; from pathlib import Path; from pipeline.monitoring.serving.windows import read_windows;"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        f"resource.setrlimit(resource.RLIMIT_AS, (now + {2**26}, now + {2**26}));"
        "read = read_windows(Path(sys.argv[1])); print(len(read.windows), read.faults[0].line, read.faults[0].reason)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("2 2 the line is longer than 65,536 bytes"), done.stderr


def test_one_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    """Of a file of another kind a few lines are told and all are counted; another file's fault is told, too."""
    file_at(tmp_path, name="a.jsonl").write_bytes(b"?\n" * 1000)
    file_at(tmp_path, name="b.jsonl").write_bytes(b"?\n" + GOOD)
    read = read_windows(tmp_path)
    assert (read.fault_count, len(read.faults)) == (1001, TOLD_OF_A_FILE + 1)
    assert Path(read.faults[-1].path).name == "b.jsonl"
    assert len(read.windows) == 1


def test_repeats_are_dropped_and_the_rest_is_sorted(tmp_path: Path) -> None:
    """What was reported twice counts once, also under another model's heartbeat; order is that of the four names."""
    records = [window(m, deployment_id=d, endpoint_name=e) for m in range(3) for d in "ba" for e in "zy"]
    later = window(0, deployment_id="a", endpoint_name="y", heartbeat_emitted_at="2026-03-02T12:00:09Z")
    random.Random(1).shuffle(records)
    report(tmp_path, records, "one.jsonl")
    report(tmp_path, [*records, later], "two.jsonl")
    read = read_windows(tmp_path)
    order = [(w.source.deployment_id, w.source.endpoint_name, w.start, w.end) for w in read.windows]
    assert order == sorted(set(order))
    assert (len(order), read.repeats, read.conflicts) == (12, 13, [])


@pytest.mark.parametrize(("first", "second", "kept"), [(0, 5, "two"), (5, 0, "one"), (3, 3, "one")])
def test_different_figures_are_a_conflict(tmp_path: Path, first: int, second: int, kept: str) -> None:
    """Of two reports of a window the one with the later heartbeat counts, else the first; which one is said."""
    for name, late, failed in (("one", first, 1), ("two", second, 2)):
        heartbeat = (NOON + dt.timedelta(seconds=late)).isoformat()
        report(tmp_path, [window(0, failure_count=failed, heartbeat_emitted_at=heartbeat)], f"{name}.jsonl")
    read = read_windows(tmp_path)
    (counts,), (conflict,) = read.windows, read.conflicts
    assert counts.failures == {"one": 1, "two": 2}[kept]
    assert f"{kept}.jsonl, line 1" in conflict.kept
    assert conflict.dropped != conflict.kept
    assert ("later heartbeat" in conflict.reason) is (first != second)
    assert read.repeats == 0


def test_only_the_hours_that_are_asked_for_are_read(tmp_path: Path) -> None:
    """The folder's name decides: the hour of the given moment and all later ones."""
    for hours in (0, 1, 2, 30):
        report(tmp_path, [window(60 * hours)])
    assert len(read_windows(tmp_path, NOON - dt.timedelta(hours=1, minutes=1)).windows) == 3
    assert len(read_windows(tmp_path, NOON - dt.timedelta(hours=1)).windows) == 2
    assert len(read_windows(tmp_path).windows) == 4


def test_names_that_are_no_hours_are_told_and_links_are_not_followed(tmp_path: Path) -> None:
    """Links, at each depth, and folders of other names are faults; hidden files and other kinds are passed over."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    report(outside, [window(0)])
    report(root, [window(1)])
    hour = file_at(root, NOON).parent
    (root / "2026-03-01").symlink_to(outside / "2026-03-02")
    (root / "2026-03-02" / "13").symlink_to(outside / "2026-03-02" / "12")
    (hour / "link.jsonl").symlink_to(outside / "2026-03-02" / "12" / "server.jsonl")
    (root / "2026-13-01").mkdir()
    (root / "2026-03-02" / "7").mkdir()
    (root / "2026-03-02" / "24").mkdir()
    os.mkfifo(hour / "pipe.jsonl")
    (hour / ".new.jsonl").write_bytes(b"?")
    (hour / "notes.txt").write_bytes(b"?")
    (hour / "folder.jsonl").mkdir()
    read = read_windows(root)
    assert len(read.windows) == 1
    reasons = {str(Path(fault.path).relative_to(root)): fault.reason for fault in read.faults}
    assert set(reasons) == {
        "2026-03-01", "2026-03-02/13", "2026-03-02/12/link.jsonl", "2026-13-01", "2026-03-02/7", "2026-03-02/24",
        "2026-03-02/12/pipe.jsonl",
    }  # fmt: skip
    assert "symbolic link" in reasons["2026-03-02/13"]
    assert "folders are named YYYY-MM-DD" in reasons["2026-13-01"]
    assert "HH, 00 to 23" in reasons["2026-03-02/24"]
    assert "no regular file" in reasons["2026-03-02/12/pipe.jsonl"]


def test_a_folder_that_vanishes_is_done_without(tmp_path: Path) -> None:
    """While one thread reads, another makes and removes folders and files: nothing is raised, what stays is read."""
    root, over = tmp_path / "root", threading.Event()
    report(root, steady(30, deployment_id="stays"))

    def churn() -> None:
        while not over.is_set():
            for hour in range(20, 24):
                report(root, [window(0, now=NOON.replace(hour=hour), deployment_id=f"gone-{hour}")], "gone.jsonl")
            for hour in range(20, 24):
                shutil.rmtree(root / "2026-03-02" / str(hour))

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        reads = [read_windows(root) for _ in range(150)]
    finally:
        over.set()
        thread.join()
    for read in reads:
        assert sum(one.source.deployment_id == "stays" for one in read.windows) == 30
    vanished = [fault for read in reads for fault in read.faults if "vanished" in fault.reason]
    assert vanished
    assert all("2026-03-02/2" in fault.path for fault in vanished)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """Before the first server writes there is no folder, and that is no fault."""
    assert read_windows(tmp_path / "nowhere", strict=True) == Read([], 0, 0, [], 0, [], 0)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.binary(max_size=80) | st.sampled_from([GOOD, GOOD[:300], lines([window(2, request_count=2**70)]), b"{}\n"]),
        max_size=8,
    ),
    st.binary(max_size=12).filter(lambda name: name not in (b"", b".", b"..") and not {0, 47} & set(name)),
)
def test_no_bytes_stop_the_reading(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], name: bytes) -> None:
    """Whatever stands in a file, of whatever name, the reading ends; each line is a window, blank, or a fault."""
    root = tmp_path_factory.mktemp("fuzz")
    folder = file_at(root).parent
    content = b"".join(parts)
    with open(os.fsencode(folder) + b"/x" + name + b".jsonl", "wb") as file:  # noqa: PTH123 - a name of any bytes
        file.write(content)
    read = read_windows(root)
    first = content.removeprefix(b"\xef\xbb\xbf")
    written = [line for line in first.split(b"\n") if line.strip()]
    assert len(read.windows) + read.repeats + read.conflict_count + read.fault_count == len(written)
    json.dumps([fault._asdict() for fault in read.faults]).encode()
    shutil.rmtree(root)


def kept(records: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Which report of each window counts, slowly: the later heartbeat, else the first."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in records:
        key = tuple(record[n] for n in ("deployment_id", "endpoint_name", "window_start", "window_end"))
        if key not in found or record["heartbeat_emitted_at"] > found[key]["heartbeat_emitted_at"]:
            found[key] = record
    return found


REPORT = st.builds(
    lambda minute, late, failed, deployment: window(
        minute,
        deployment_id=deployment,
        failure_count=failed,
        heartbeat_emitted_at=(NOON + dt.timedelta(seconds=late)).isoformat(),
    ),
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.sampled_from("ab"),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(REPORT, max_size=25))
def test_which_report_counts_is_as_told_slowly(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    """The kept windows are those of the slow rule, and each line is kept, a repeat or a conflict."""
    root = tmp_path_factory.mktemp("kept")
    file_at(root).write_bytes(lines(records))
    read = read_windows(root)
    assert sorted(one.failures for one in read.windows) == sorted(r["failure_count"] for r in kept(records).values())
    assert len(read.windows) + read.repeats + read.conflict_count == len(records)
    shutil.rmtree(root)
