"""The lineage log: whole lines by many writers, and reading whatever became of them."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import LineageEvent
from pipeline.monitoring.lineage import log
from pipeline.monitoring.lineage.log import Reader, day_files, record
from pipeline_tests.metadata import METADATA
from pipeline_tests.monitoring.lineage.events import CHAIN, MOMENT, TRAINED, written

WRITER = """
import sys
from pathlib import Path
from pipeline.monitoring.lineage.log import record
from pipeline_tests.monitoring.lineage.events import CHAIN, MOMENT
who, folder = sys.argv[1], Path(sys.argv[2])
for number in range(40):
    mark = {"who": who, "number": number, "filling": who * 3000}
    assert record(folder, [one.model_copy(update={"metadata": mark}) for one in CHAIN], MOMENT)
"""
WRITERS = 4


def read(path: Path) -> tuple[list[str], list[str]]:
    """The types of a file's events, and its faults."""
    reader = Reader()
    found = [step.event_type for _, step in reader.steps(path)]
    return found, [str(fault) for fault in reader.faults]


def test_what_is_noted_is_read(tmp_path: Path) -> None:
    """Events stand in the file of the UTC day of writing, as the contract says them, in their order."""
    path = written(tmp_path, CHAIN, dt.datetime(2026, 11, 2, 23, 59, tzinfo=dt.UTC))
    assert path.name == "lineage-2026-11-02.ndjson"
    assert [LineageEvent.model_validate_json(line) for line in path.read_bytes().splitlines()] == CHAIN
    assert read(path) == ([one.event_type for one in CHAIN], [])


@given(METADATA[LineageEvent])
def test_every_event_is_read_as_it_is(event: LineageEvent) -> None:
    """Whatever names, versions and texts an event holds, its line is read with the same ones."""
    step = log.step_of(json.loads(event.model_dump_json()))
    assert {role: tuple(ref) for role, ref in step.inputs.items()} == {
        r: (v.name, v.version) for r, v in event.inputs.items()
    }
    assert step.metadata == json.loads(event.model_dump_json())["metadata"]


@given(METADATA[LineageEvent], st.lists(st.text(min_size=1), max_size=12), st.booleans())
def test_a_line_is_never_passed_over(event: LineageEvent, others: list[str], ascii_: bool) -> None:
    """Whatever else is looked for, and however a writer escapes, the line that holds a wanted version is parsed."""
    line = json.dumps(json.loads(event.model_dump_json()), ensure_ascii=ascii_).encode()
    for version in {one.version for one in event.outputs.values()}:
        assert log._holding([*others, version])(line)


def test_writers_do_not_mix_lines(tmp_path: Path) -> None:
    """Four processes that note at once, in portions of 60 KB, lose no event and mix none."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, who, str(tmp_path)], cwd=Path(__file__).parents[3])
        for who in "abcd"[:WRITERS]
    ]
    assert [one.wait(120) for one in writers] == [0] * WRITERS
    (path,) = day_files(tmp_path)
    found = [json.loads(line)["metadata"] for line in path.read_bytes().splitlines()]
    assert read(path)[1] == []
    assert sorted((one["who"], one["number"]) for one in found) == sorted(
        (who, number) for who in "abcd"[:WRITERS] for number in range(40) for _ in CHAIN
    )
    assert all(one["filling"] == one["who"] * 3000 for one in found)


def test_a_torn_last_line_is_tolerated(tmp_path: Path) -> None:
    """What was cut off is told with its place, and the next event begins on a line of its own."""
    path = written(tmp_path, CHAIN)
    with path.open("ab") as file:
        file.write(TRAINED.model_dump_json().encode()[:50])
    found, faults = read(path)
    assert (len(found), faults) == (len(CHAIN), [f"{path.name}, line {len(CHAIN) + 1}: {log.TORN}"])
    written(tmp_path, [TRAINED])
    found, (fault,) = read(path)
    assert len(found) == len(CHAIN) + 1
    assert fault == f"{path.name}, line {len(CHAIN) + 1}: {log.TORN}"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"no json at all", "expected ident at line 1 column 2"),
        (b'{"event_type": "x"}', "form of a LineageEvent"),
        (b'{"event_type":"x","event_time":"t","inputs":[],"outputs":{},"metadata":{}}', "form of a LineageEvent"),
        (b'{"event_type":1,"event_time":"t","inputs":{},"outputs":{},"metadata":{}}', "1 is no text"),
        (b'{"event_type":"x","event_time":"t","metadata":{},"inputs":{"model":{"name":"n","version":3}}}', "3 is"),
        ('{"event_type": "Brötchen"}'.encode("latin-1"), "invalid unicode"),
        ('{"event_type": "x"}'.encode("utf-16"), "no event"),
        (b"[" * 200_000, "recursion limit"),
        (b'{"metadata": ' + b"9" * 6000 + b"}", "no event: "),
        (b"\x00" * 100, "expected value"),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_a_line_that_is_no_event_is_told_and_the_rest_goes_on(tmp_path: Path, line: bytes, fault: str) -> None:
    """Garbage, another encoding, another form: each is named with file and line, and the events around it are read."""
    path = written(tmp_path, CHAIN[:2])
    with path.open("ab") as file:
        file.write(line + b"\n")
    written(tmp_path, CHAIN[2:])
    found, faults = read(path)
    assert len(found) == len(CHAIN)
    assert faults
    assert faults[0].startswith(f"{path.name}, line 3: ")
    assert any(fault in one for one in faults)


def test_a_mark_of_the_encoding_is_no_fault(tmp_path: Path) -> None:
    """A line that begins with UTF-8's byte order mark is an event all the same."""
    path = tmp_path / "lineage-2026-11-02.ndjson"
    path.write_bytes(b"\xef\xbb\xbf" + TRAINED.model_dump_json().encode() + b"\n")
    assert read(path) == (["training_run_completed"], [])


def test_a_gigabyte_line_is_passed_over(tmp_path: Path) -> None:
    """A line of a gigabyte takes no gigabyte: it is told, what stands behind it is read."""
    path = written(tmp_path, CHAIN[:1])
    with path.open("r+b") as file:
        file.seek(path.stat().st_size + 2**30)  # A hole: it takes no place on the disk.
        file.write(b"\n" + TRAINED.model_dump_json().encode() + b"\n")
    code = (
        "import resource, sys; from pathlib import Path; from pipeline.monitoring.lineage.log import Reader\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "reader = Reader(); found = [s.event_type for _, s in reader.steps(Path(sys.argv[1]))]\n"
        "grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024\n"
        "print(len(found), [f.line for f in reader.faults], grown < 300)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "[2]", "True"], done.stdout + done.stderr


def test_many_faulty_lines_of_a_file_are_bounded(tmp_path: Path) -> None:
    """A file of garbage leaves at most so many faults, and the last says that there were more."""
    path = tmp_path / "lineage-2026-11-02.ndjson"
    path.write_bytes(b"garbage\n" * 5000)
    _, faults = read(path)
    assert len(faults) == log.MOST_FAULTS + 1
    assert "more than" in faults[-1]


def test_what_vanishes_while_it_is_read_is_told(tmp_path: Path) -> None:
    """A file that goes between listing and reading is named; a folder that is not there holds nothing."""
    path = written(tmp_path, CHAIN)
    (listed,) = day_files(tmp_path)
    path.unlink()
    found, (fault,) = read(listed)
    assert found == []
    assert fault.startswith(f"{path.name}: cannot be read")
    assert day_files(tmp_path / "nowhere") == []


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """Only files named by a day are read, the oldest first."""
    for name in (
        "lineage-2026-02-01.ndjson",
        "lineage-2026-01-31.ndjson",
        "lineage-2026-13-01.ndjson",
        "notes.txt",
        ".lineage-2026-01-01.ndjson.tmp",
    ):
        (tmp_path / name).touch()
    assert [path.name for path in day_files(tmp_path)] == ["lineage-2026-01-31.ndjson", "lineage-2026-02-01.ndjson"]
    assert [path.name for path in day_files(tmp_path, dt.date(2026, 2, 1))] == ["lineage-2026-02-01.ndjson"]


def test_what_cannot_be_noted_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the folder cannot be made the event is lost, which is logged, and what was made stands."""
    (tmp_path / "lineage").write_text("a file where the folder should be")
    assert record(tmp_path / "lineage", CHAIN, MOMENT) is False
    assert "5 lineage events could not be written" in caplog.text


def test_a_full_disk_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where every write says that no space is left the events are lost, which is logged."""
    (tmp_path / f"lineage-{MOMENT:%Y-%m-%d}.ndjson").symlink_to("/dev/full")
    assert record(tmp_path, CHAIN, MOMENT) is False
    assert "No space left on device" in caplog.text


def test_reading_while_others_write_finds_whole_events(tmp_path: Path) -> None:
    """Whoever reads while events are noted sees whole ones, and at the most a torn last line."""
    stop, seen = threading.Event(), list[log.FaultyLine]()

    def look() -> None:
        while not stop.is_set():
            reader = Reader()
            for path in day_files(tmp_path):
                list(reader.steps(path))
            seen.extend(reader.faults)

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(50):
        written(tmp_path, CHAIN)
    stop.set()
    thread.join()
    assert [fault for fault in seen if not fault.torn] == []
