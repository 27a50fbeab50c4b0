"""What a sweep takes beside objects: quarantine and the log of accesses in their time, remains of killed writers."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from contracts import ArtefactRef
from pipeline.registry import ArtefactStore, Registry
from pipeline.registry.access import old_months
from pipeline.registry.blobs import open_blobs
from pipeline.registry.contents import Kind
from pipeline.registry.sweep import Announced, Proposal, carry_out, propose
from pipeline.settings import Settings
from pipeline_tests.registry.builders import member, register, start

DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place on disk, and one on an S3 server."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{uuid4().hex}"
    return str(tmp_path / "models")


def proposed(registry: Registry, store: ArtefactStore, at: dt.datetime, **settings: object) -> Proposal:
    """What would go at a moment."""
    return propose(registry, store, Settings.model_validate(settings), [], at)


def spoilt(root: str, registry: Registry) -> tuple[ArtefactStore, ArtefactRef]:
    """A registry's store with a broken object in quarantine, and the same content stored again, as a model's file."""
    store = ArtefactStore(root)
    store.mark(registry.identity)
    ref = store.put("model.json", b"model")
    open_blobs(root).write(f"{ref.sha256[:2]}/{ref.sha256[2:]}.zst", b"rubbish")
    store.put("model.json", b"model")
    register(registry, start(registry), members=(member("linear").model_copy(update={"files": (ref,)}),))
    return store, ref


def test_quarantine_is_kept_for_its_time(registry: Registry, root: str) -> None:
    """Broken bytes go QUARANTINE_DAYS after they were moved, and the whole object of the same name stays."""
    store, ref = spoilt(root, registry)
    assert proposed(registry, store, NOW + 29 * DAY).objects == ()
    assert proposed(registry, store, NOW + 31 * DAY, quarantine_days=40).objects == ()
    proposal = proposed(registry, store, NOW + 31 * DAY)
    assert [(one.kind, one.sha256) for one in proposal.objects] == [(Kind.QUARANTINED, ref.sha256)]
    swept = carry_out(proposal, registry, store, "tests")
    assert (swept.quarantined, swept.objects) == (1, 0)
    assert [one.kind for one in store.contents()] == [Kind.OBJECT]
    assert store.verify(ref) is None


def test_the_time_in_quarantine_counts_from_the_move(registry: Registry, tmp_path: Path) -> None:
    """An object that had lain for a year before it broke is kept in quarantine as long as any other."""
    store, _ = spoilt(str(tmp_path / "models"), registry)
    (path,) = (tmp_path / "models" / "quarantine").iterdir()
    os.utime(path, (0, 0))
    assert proposed(registry, store, NOW + 29 * DAY).objects == ()
    assert carry_out(proposed(registry, store, NOW + 31 * DAY), registry, store, "tests").quarantined == 1


class Killed(BaseException):
    """Ends a writer as a signal would, but leaves the test alive."""


def killed_while(write: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write, and be killed before the rename: the temporary file is left."""

    def killed(*_arguments: object, **_options: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(Killed):
            write()


OTHERS = ("ab/notes.tmp", ".upload.tmp", "photos/.upload-1.tmp", "ab/.cdef.x1y2z3a4.tmp", "quarantine/.mine.tmp")


def test_remains_of_a_killed_writer_go(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own temporary files go two days after they were written, a fresh one and those of other programs stay."""
    models = tmp_path / "models"
    store = ArtefactStore(models)
    store.mark(registry.identity)
    killed_while(lambda: store.put("model.json", b"model"), monkeypatch)
    killed_while(lambda: store.mark("f" * 32), monkeypatch)
    for name in OTHERS:
        (models / name).parent.mkdir(exist_ok=True)
        (models / name).write_text("a person's")
    assert proposed(registry, store, NOW + 1 * DAY).objects == ()
    proposal = proposed(registry, store, NOW + 3 * DAY)
    assert {one.kind for one in proposal.objects} == {Kind.REMAINS}
    assert carry_out(proposal, registry, store, "tests").remains == 2
    left = {path.relative_to(models).as_posix() for path in models.rglob("*") if path.is_file()}
    assert left == {*OTHERS, f"registries/{registry.identity}"}


@pytest.mark.parametrize("case", ["not said", "two", "another's", "before"])
def test_what_may_be_anothers_stays(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Quarantine and remains follow the rule of objects: they go from a store that is ours alone, if they are ours."""
    root = str(tmp_path / "models")
    settings = {"model_storage_path": root, "model_storage_own": True}
    store, _ = spoilt(root, registry)
    store.put("unused.json", b"unused")
    killed_while(lambda: store.put("other.json", b"other"), monkeypatch)
    at = NOW + 60 * DAY
    kinds = {one.kind for one in proposed(registry, store, at, **settings).objects}
    assert kinds == set(Kind)
    own = tmp_path / "models" / "registries" / registry.identity
    if case == "two":
        store.mark("f" * 32)
    elif case == "another's":
        own.rename(own.with_name("f" * 32))
    elif case == "before":
        own.write_text((NOW + DAY).isoformat())
    settings["model_storage_own"] = case != "not said"
    assert proposed(registry, store, at, **settings).objects == ()


def test_old_logs_of_accesses_go(registry: Registry, tmp_path: Path) -> None:
    """A month's log goes ACCESS_LOG_DAYS after the month's end; this month's, and what has another name, stays."""
    folder = tmp_path / "home" / "access"
    folder.mkdir(parents=True)
    for name in ("2025-10.jsonl", "2025-11.jsonl", "2025-12.jsonl", "2026-13.jsonl", "notes.txt"):
        (folder / name).write_text("{}\n")
    at, store = dt.datetime(2026, 12, 1, 4, tzinfo=dt.UTC), ArtefactStore(tmp_path / "models")
    home = {"pipeline_home": tmp_path / "home"}
    assert [one.name for one in proposed(registry, store, at - DAY, **home).access] == ["2025-10.jsonl"]
    proposal = proposed(registry, store, at, **home)
    assert [one.name for one in proposal.access] == ["2025-10.jsonl", "2025-11.jsonl"]
    assert not proposal.empty
    assert proposed(registry, store, at, **home, access_log_days=500).access == ()
    assert carry_out(proposal, registry, store, "tests").access == 2
    assert sorted(path.name for path in folder.iterdir()) == ["2025-12.jsonl", "2026-13.jsonl", "notes.txt"]
    assert old_months(tmp_path / "nowhere", at) == ()


def test_old_days_of_the_lineage_go(registry: Registry, tmp_path: Path) -> None:
    """A day of the lineage goes LINEAGE_KEPT_DAYS after it, once announced; what has another name stays."""
    folder = tmp_path / "home" / "lineage"
    folder.mkdir(parents=True)
    names = [
        "lineage-2026-11-01.ndjson",
        "lineage-2026-11-02.ndjson",
        "lineage-2026-11-03.ndjson",
        "openlineage-url.json",
    ]
    for name in names:
        (folder / name).write_text("{}\n")
    at, store = dt.datetime(2026, 12, 3, 4, tzinfo=dt.UTC), ArtefactStore(tmp_path / "models")
    proposal = proposed(registry, store, at, pipeline_home=tmp_path / "home", lineage_kept_days=30)
    assert [one.name for one in proposal.lineage] == names[:2]
    assert not proposal.empty
    assert Announced().among(proposal).lineage == ()
    assert carry_out(Announced.of(proposal).among(proposal), registry, store, "tests").lineage == 2
    assert sorted(path.name for path in folder.iterdir()) == names[2:]


def test_the_rest_is_announced(registry: Registry, root: str, tmp_path: Path) -> None:
    """What was announced and what is to be announced now are the two halves of one look at the store."""
    store, _ = spoilt(root, registry)
    home = tmp_path / "home"
    (home / "access").mkdir(parents=True)
    (home / "access" / "2020-01.jsonl").write_text("{}\n")
    proposal = proposed(registry, store, NOW + 31 * DAY, pipeline_home=home)
    nothing = Announced()
    assert (nothing.among(proposal).objects, nothing.among(proposal).access) == ((), ())
    assert (nothing.beside(proposal).objects, nothing.beside(proposal).access) == (proposal.objects, proposal.access)
    Announced.of(proposal).write(tmp_path / "announced.json")
    known = Announced.read(tmp_path / "announced.json")
    assert (known.among(proposal).objects, known.among(proposal).access) == (proposal.objects, proposal.access)
    assert known.beside(proposal).empty


def test_what_an_earlier_release_announced_is_read(tmp_path: Path) -> None:
    """The file of a release that knew no logs of accesses announces what it did, and no logs."""
    place = tmp_path / "announced.json"
    place.write_text('{"models": [1], "jobs": ["a"], "fits": [2], "objects": ["ab/cd.zst"]}')
    assert Announced.read(place) == Announced(
        frozenset({1}), frozenset({"a"}), frozenset({2}), frozenset({"ab/cd.zst"}), frozenset()
    )
