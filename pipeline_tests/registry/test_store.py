"""The artefact store: what it returns is what was stored, or an error."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import ArtefactRef
from pipeline.errors import IntegrityError, RegistryError
from pipeline.installation import Installation
from pipeline.registry import ArtefactStore
from pipeline.settings import Settings

CONTENT = b'{"intercept": 3.25}' * 40


@pytest.fixture(params=["compressed", "plain", "memory", "file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtefactStore:
    """A store of each kind; all obey the same contract."""
    if request.param == "s3":
        return ArtefactStore(f"{request.getfixturevalue('bucket')}/{uuid4().hex}")
    places = {"memory": f"memory://{uuid4().hex}/models", "file": f"file://{tmp_path}/models"}
    return ArtefactStore(places.get(request.param, tmp_path / "models"), compress=request.param != "plain")


@pytest.fixture(params=[True, False], ids=["compressed", "plain"])
def local(request: pytest.FixtureRequest, tmp_path: Path) -> ArtefactStore:
    """A store in a local folder."""
    return ArtefactStore(tmp_path / "models", compress=request.param)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _only_file(tmp_path: Path) -> Path:
    [path] = _files(tmp_path / "models")
    return path


def test_content_comes_back(store: ArtefactStore) -> None:
    """A reference holds name, size and hash of the content as given, and gives it back."""
    ref = store.put("model.json", CONTENT)
    assert ref == ArtefactRef(name="model.json", sha256=hashlib.sha256(CONTENT).hexdigest(), bytes=len(CONTENT))
    assert store.get(ref) == CONTENT
    assert store.verify(ref) is None
    assert store.has(ref)


def test_what_is_stored_again_is_young_again(store: ArtefactStore) -> None:
    """Objects are listed with size and time; storing the same content again makes its time newer and adds none."""
    ref = store.put("model.json", CONTENT)
    (first,) = store.objects()
    assert (first.sha256, first.bytes > 0) == (ref.sha256, True)
    time.sleep(1.1)  # Object stores count whole seconds.
    store.put("other.json", CONTENT)
    (second,) = store.objects()
    assert second.modified > first.modified
    assert not store.discard(second, second.modified)
    assert store.discard(second, second.modified + dt.timedelta(seconds=1))
    assert list(store.objects()) == []
    assert not store.discard(second, second.modified + dt.timedelta(seconds=1))


@given(content=st.binary(max_size=2000), compress=st.booleans())
def test_any_content_comes_back(tmp_path_factory: pytest.TempPathFactory, content: bytes, compress: bool) -> None:
    """Whatever the bytes, also none at all, and in whichever form they were stored."""
    root = tmp_path_factory.getbasetemp() / "any"
    ref = ArtefactStore(root, compress).put("x", content)
    assert ArtefactStore(root, not compress).get(ref) == content


def test_what_cannot_be_compressed_comes_back(local: ArtefactStore) -> None:
    """Content that grows when compressed is within the bounds of reading."""
    content = os.urandom(300_000)
    assert local.get(local.put("x", content)) == content


def test_the_same_content_is_stored_once(local: ArtefactStore, tmp_path: Path) -> None:
    """Another name or another store object adds no file, and leaves the first's bytes where they are."""
    first = local.put("a.json", CONTENT)
    before = _only_file(tmp_path).stat()
    for compress in (True, False):
        second = ArtefactStore(tmp_path / "models", compress).put("b.json", CONTENT)
        assert (second.sha256, second.name) == (first.sha256, "b.json")
    assert _only_file(tmp_path).stat().st_ino == before.st_ino


def test_objects_lie_where_their_hash_says(local: ArtefactStore, tmp_path: Path) -> None:
    """The path is made of the hash and a suffix that tells the form; only the owner may look."""
    ref = local.put("model.json", CONTENT)
    path = _only_file(tmp_path)
    assert path.parent.name + path.stem == ref.sha256
    assert path.suffix in {".zst", ".raw"}
    assert (path.read_bytes() == CONTENT) == (path.suffix == ".raw")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700


def test_an_object_from_the_first_release_can_be_read(tmp_path: Path) -> None:
    """The form in which objects lie on disk stays readable for ever."""
    content = b'{"intercept": 3.25, "slope": [0, 0, 0, 0, 0, 0, 0, 0]}'
    ref = ArtefactRef(name="m", bytes=54, sha256="d3cba0ea507c7cdfde973e4d137c7e2901e4847dd3ea06f1a701f3054df14c49")
    path = tmp_path / ref.sha256[:2] / f"{ref.sha256[2:]}.zst"
    path.parent.mkdir()
    path.write_bytes(
        bytes.fromhex(
            "28b52ffd203655010034027b22696e74657263657074223a20332e32352c2022736c6f7065223a205b302c205d7d010031714f"
        )
    )
    assert ArtefactStore(tmp_path).get(ref) == content


@pytest.mark.parametrize("place", [0, 5, -1])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_found(local: ArtefactStore, tmp_path: Path, place: int, bit: int) -> None:
    """One wrong bit anywhere is an error that names the object; nothing is returned."""
    ref = local.put("model.json", CONTENT)
    path = _only_file(tmp_path)
    stored = bytearray(path.read_bytes())
    stored[place] ^= 1 << bit
    path.write_bytes(stored)
    with pytest.raises(IntegrityError, match=rf"model\.json \({ref.sha256}\).*expected.*found"):
        local.get(ref)


@pytest.mark.parametrize("kept", [0, 1, 0.5, -1])
def test_a_torn_object_is_found(local: ArtefactStore, tmp_path: Path, kept: float) -> None:
    """An object that lost its end, all of it included, is an error."""
    ref = local.put("model.json", CONTENT)
    path = _only_file(tmp_path)
    stored = path.read_bytes()
    path.write_bytes(stored[: int(len(stored) * kept) if isinstance(kept, float) else kept])
    assert "model.json" in str(local.verify(ref))
    with pytest.raises(IntegrityError):
        local.get(ref)


def test_a_missing_object_is_found(store: ArtefactStore) -> None:
    """What was never stored is an error that names the place where it should be."""
    ref = ArtefactRef(name="lost.json", sha256="ab" * 32, bytes=3)
    assert not store.has(ref)
    assert "lost.json" in str(store.verify(ref))
    with pytest.raises(IntegrityError, match=f"missing: expected .*ab/{'ab' * 31}.*found nothing"):
        store.get(ref)


def test_a_swapped_object_is_found(local: ArtefactStore, tmp_path: Path) -> None:
    """Another whole object of the same size under this name is an error that names both hashes."""
    ref = local.put("model.json", CONTENT)
    path = _only_file(tmp_path)
    other = local.put("model.json", CONTENT[::-1])
    [other_path] = set(_files(tmp_path / "models")) - {path}
    path.write_bytes(other_path.read_bytes())
    with pytest.raises(IntegrityError, match=f"expected {ref.sha256}, found {other.sha256}"):
        local.get(ref)


def test_a_wrong_size_is_found(local: ArtefactStore) -> None:
    """A reference whose size is not the content's is an error, larger or smaller."""
    ref = local.put("model.json", CONTENT)
    for size in (0, len(CONTENT) - 1, len(CONTENT) + 1):
        with pytest.raises(IntegrityError):
            local.get(ref.model_copy(update={"bytes": size}))


def test_a_bomb_does_not_fill_the_memory(tmp_path: Path) -> None:
    """An object that would unpack to far more than its reference says is refused unopened."""
    import tracemalloc

    store = ArtefactStore(tmp_path / "models")
    ref = store.put("model.json", CONTENT)
    path = _only_file(tmp_path)
    bomb = ArtefactStore(tmp_path / "bombs").put("zeros", bytes(200_000_000))
    path.write_bytes((tmp_path / "bombs" / bomb.sha256[:2] / f"{bomb.sha256[2:]}.zst").read_bytes())
    tracemalloc.start()
    with pytest.raises(IntegrityError):
        store.get(ref)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_storing_again_mends(local: ArtefactStore, tmp_path: Path) -> None:
    """Content that is stored again replaces a damaged copy, in whichever form that was."""
    ref = local.put("model.json", CONTENT)
    for compress in (True, False):
        for path in (tmp_path / "models" / ref.sha256[:2]).iterdir():
            path.write_bytes(b"rubbish")
        ArtefactStore(tmp_path / "models", compress).put("model.json", CONTENT)
        assert local.get(ref) == CONTENT
        assert [path.parent.name for path in _files(tmp_path / "models")].count(ref.sha256[:2]) == 1


def test_temporaries_are_ignored(local: ArtefactStore, tmp_path: Path) -> None:
    """What a killed writer left beside an object is no object."""
    ref = ArtefactRef(name="x", sha256=hashlib.sha256(CONTENT).hexdigest(), bytes=len(CONTENT))
    stray = tmp_path / "models" / ref.sha256[:2] / f".{ref.sha256[2:42]}.abc.tmp"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(CONTENT[:10])
    assert not local.has(ref)
    assert local.get(local.put("x", CONTENT)) == CONTENT


def test_what_cannot_be_read_is_explained(local: ArtefactStore, tmp_path: Path) -> None:
    """A read error of the disk is a RegistryError that names object and place."""
    ref = local.put("model.json", CONTENT)
    path = _only_file(tmp_path)
    path.unlink()
    path.symlink_to("/proc/self/mem")
    with pytest.raises(RegistryError, match=rf"model\.json .* cannot be read at {path.parent}"):
        local.get(ref)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_an_error_and_leaves_nothing(small_disk: Path) -> None:
    """What does not fit leaves no object and no temporary; what is there stays whole, what fits is stored."""
    store = ArtefactStore(small_disk / "models", compress=False)
    kept = store.put("small", bytes(50_000))
    with pytest.raises(RegistryError, match=r"big .*could not be written.*No space left.*nothing was stored"):
        store.put("big", b"x" * 1_000_000)
    assert len(_files(small_disk)) == 1
    assert store.get(kept) == bytes(50_000)
    assert store.get(store.put("fits", b"y" * 50_000)) == b"y" * 50_000


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_nothing(
    local: ArtefactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Where flushing or renaming fails, no object and no temporary is left."""

    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(RegistryError, match="No space left"):
        local.put("model.json", CONTENT)
    assert _files(tmp_path) == []


WRITER = """
import sys
from pipeline.installation import Installation
from pipeline.registry import ArtefactStore
store = ArtefactStore(sys.argv[1], compress=sys.argv[2] == "True")
for number in range(100_000):
    ref = store.put("x", str(number).encode() * 20_000)
    print(ref.model_dump_json(), flush=True)
"""


@pytest.mark.parametrize("compress", [True, False])
def test_a_killed_writer_leaves_no_half_object(tmp_path: Path, compress: bool) -> None:
    """However often a writer is killed in the middle, every visible object is whole, and none is lost."""
    refs: set[ArtefactRef] = set()
    for attempt in range(2):
        root = str(tmp_path / f"models {attempt}")
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, root, str(compress)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            refs = {ArtefactRef.model_validate_json(writer.stdout.readline())}
            time.sleep(0.05 + 0.017 * attempt)
            writer.send_signal(signal.SIGKILL)
            refs |= {ArtefactRef.model_validate_json(line) for line in writer.stdout if line.endswith("\n")}
        store = ArtefactStore(root, compress)
        assert all(store.verify(ref) is None for ref in refs)
        for path in _files(Path(root)):
            if not path.name.startswith("."):
                assert _hash_of(path) == path.parent.name + path.stem


def _hash_of(path: Path) -> str:
    stored = path.read_bytes()
    if path.suffix == ".zst":
        import pyarrow as pa

        stored = pa.CompressedInputStream(pa.BufferReader(stored), "zstd").read()
    return hashlib.sha256(stored).hexdigest()


def test_the_settings_say_where(tmp_path: Path) -> None:
    """MODEL_STORAGE_PATH and ENABLE_MODEL_COMPRESSION are followed; unset, `models` under PIPELINE_HOME."""
    Installation(Settings(pipeline_home=tmp_path)).store.put("x", CONTENT)
    assert _only_file(tmp_path).suffix == ".zst"
    elsewhere = Settings(model_storage_path=str(tmp_path / "else" / "where"), enable_model_compression=False)
    Installation(elsewhere).store.put("x", CONTENT)
    assert [path.suffix for path in _files(tmp_path / "else")] == [".raw"]


def test_messages_about_a_remote_store_hold_no_secret():
    """A missing, unreadable or refused object is named by its place, without login and signature."""
    root = f"memory://bob:s3cret@{uuid4().hex}/models?sig=s3cret"
    store = ArtefactStore(root)
    ref = ArtefactRef(name="a.json", sha256="0" * 64, bytes=1)
    fault = store.verify(ref) or ""
    assert "is missing" in fault
    assert "s3cret" not in fault
    assert "?sig=***" in fault
