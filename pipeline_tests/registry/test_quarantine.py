"""What the store does with objects that are not what they say, and the log of who touched what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import s3fs

from contracts import ArtefactRef
from pipeline.errors import IntegrityError, RegistryError
from pipeline.registry import ArtefactStore
from pipeline.registry.access import MonthlyLog
from pipeline.registry.blobs import open_blobs

CONTENT = b'{"intercept": 3.25}' * 40


@pytest.fixture(params=["local", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place on disk, one on another file system, and one on an S3 server."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{uuid4().hex}"
    return f"memory://{uuid4().hex}/models" if request.param == "memory" else str(tmp_path / "models")


def spoilt(root: str, content: bytes = CONTENT) -> tuple[ArtefactStore, ArtefactRef]:
    """A store with one object whose bytes are rubbish."""
    store = ArtefactStore(root)
    ref = store.put("model.json", content)
    open_blobs(root).write(f"{ref.sha256[:2]}/{ref.sha256[2:]}.zst", b"rubbish")
    return store, ref


def keys(root: str) -> list[str]:
    """All that lies in a place."""
    return sorted(blob.key for blob in open_blobs(root).listing())


def test_what_is_broken_is_moved_away(root: str) -> None:
    """A broken object lies in quarantine as it was found, and its place is free for a whole one."""
    store, ref = spoilt(root)
    (place,) = store.quarantine(ref)
    (key,) = keys(root)
    assert key.startswith(f"quarantine/{ref.sha256}.")
    assert place.endswith(key)
    assert open_blobs(root).read(key, 100) == b"rubbish"
    with pytest.raises(IntegrityError, match="missing"):
        store.get(ref)
    assert store.get(store.put("model.json", CONTENT)) == CONTENT


def test_what_is_whole_stays(root: str) -> None:
    """Neither a whole object nor a missing one is moved."""
    store = ArtefactStore(root)
    ref = store.put("model.json", CONTENT)
    assert store.quarantine(ref) == ()
    assert store.quarantine(ref.model_copy(update={"sha256": "ab" * 32})) == ()
    assert store.get(ref) == CONTENT


def test_storing_again_keeps_what_was_broken(root: str) -> None:
    """Where a damaged copy is replaced its bytes go to quarantine, and no sweep takes them for an object."""
    store, ref = spoilt(root)
    store.put("model.json", CONTENT)
    assert [key.split("/")[0] for key in keys(root)] == sorted(["quarantine", ref.sha256[:2]])
    assert [one.sha256 for one in store.objects()] == [ref.sha256]


def test_marks_are_found_wherever_they_lie(root: str) -> None:
    """A store without marks has none; those that are left are found beside objects, and are no objects."""
    store = ArtefactStore(root)
    assert store.marks() == {}
    ref = store.put("model.json", CONTENT)
    for registry in ("a" * 32, "b" * 32):
        store.mark(registry)
    assert set(store.marks()) == {"a" * 32, "b" * 32}
    assert [one.sha256 for one in store.objects()] == [ref.sha256]


def test_a_place_that_does_not_answer_quarantines_nothing(tmp_path: Path) -> None:
    """An object that cannot be read, for whatever reason of the disk, is left where it is."""
    store, ref = spoilt(str(tmp_path / "models"))
    (path,) = (tmp_path / "models").rglob("*.zst")
    path.unlink()
    path.symlink_to("/proc/self/mem")
    with pytest.raises(RegistryError, match="cannot be read"):
        store.quarantine(ref)
    assert path.is_symlink()


def lines(folder: Path) -> list[dict[str, object]]:
    """What the log holds."""
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_every_access_is_noted(tmp_path: Path) -> None:
    """Stored, read, found broken and moved away: each is a line with time, object, user and process."""
    folder, root = tmp_path / "access", tmp_path / "models"
    store = ArtefactStore(root, log=MonthlyLog(folder))
    ref = store.put("model.json", CONTENT)
    store.get(ref)
    (path,) = root.rglob("*.zst")
    path.write_bytes(b"rubbish")
    with pytest.raises(IntegrityError):
        store.get(ref)
    store.quarantine(ref)
    told = lines(folder)
    assert [line["action"] for line in told] == ["put", "get", "get", "quarantine"]
    assert [line["fault"] is None for line in told] == [True, True, False, False]
    assert {(line["sha256"], line["name"], line["process"]) for line in told} == {(ref.sha256, ref.name, os.getpid())}
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On a full disk, or without rights, objects are read, stored and moved all the same, with a warning."""
    blocked = tmp_path / "access"
    blocked.write_text("a file where the folder should be")
    store = ArtefactStore(tmp_path / "models", log=MonthlyLog(blocked))
    ref = store.put("model.json", CONTENT)
    assert store.get(ref) == CONTENT
    (path,) = (tmp_path / "models").rglob("*.zst")
    path.write_bytes(b"rubbish")
    with pytest.raises(IntegrityError):
        store.get(ref)
    assert store.get(store.put("model.json", CONTENT)) == CONTENT
    assert "could not be noted" in caplog.text


def test_a_process_without_a_name_is_told_by_its_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a container whose user has no name the log names the number."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    MonthlyLog(tmp_path).note("get", "ab" * 32, "x")
    assert [line["user"] for line in lines(tmp_path)] == [f"uid {os.getuid()}"]


WRITER = """
import sys
from pathlib import Path
from pipeline.registry.access import MonthlyLog
log = MonthlyLog(Path(sys.argv[1]))
for number in range(500):
    log.note("get", "ab" * 32, f"{sys.argv[2]} {number} " + "x" * 500)
"""


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    """Four processes that write at once leave every line whole, and none is lost."""
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)]) for n in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    told = {str(line["name"]).rsplit(" ", 1)[0] for line in lines(tmp_path)}
    assert told == {f"{writer} {number}" for writer in range(4) for number in range(500)}


def test_a_store_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no server answers, reading, writing and listing are errors that name the place; none takes it for loss."""
    s3fs.S3FileSystem.clear_instance_cache()  # It remembers where servers were.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = ArtefactStore(f"s3://nowhere-{uuid4().hex}/models")
    ref = ArtefactRef(name="a.json", sha256="0" * 64, bytes=1)
    for act in (lambda: store.get(ref), lambda: store.put("a.json", b"a"), lambda: list(store.objects())):
        with pytest.raises(RegistryError) as caught:
            act()
        assert not isinstance(caught.value, IntegrityError)
        assert "s3cret" not in str(caught.value)
    s3fs.S3FileSystem.clear_instance_cache()
