"""Files as a source: the contract, every way to point at them, and reading what holds still."""

from __future__ import annotations

import gzip
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from contracts import FileSource
from pipeline.errors import ChangingFileError, SourceError, SourceNotFoundError
from pipeline.places import redacted
from pipeline.sources import location
from pipeline.sources.files import FilesSource
from pipeline.sources.location import Location
from pipeline_tests.sources.builders import days, write_rows
from pipeline_tests.sources.contract import SalesSourceContract


class TestCsv(SalesSourceContract):
    """CSV files in a folder."""

    suffix = ".csv"

    def open(self, place: Path) -> FilesSource:
        """Return the folder as a source."""
        return FilesSource(FileSource(path=str(place)))

    def put(self, place: Path, name: str, rows: pd.DataFrame) -> None:
        """Write one file."""
        write_rows(place / f"{name}{self.suffix}", rows)

    def remove(self, place: Path, name: str) -> None:
        """Remove one file."""
        (place / f"{name}{self.suffix}").unlink()


class TestParquet(TestCsv):
    """Parquet files in a folder."""

    suffix = ".parquet"


class TestGzippedCsv(TestCsv):
    """Gzipped CSV files in a folder."""

    suffix = ".csv.gz"

    def put(self, place: Path, name: str, rows: pd.DataFrame) -> None:
        """Write one gzipped file."""
        (place / f"{name}{self.suffix}").write_bytes(gzip.compress(rows.to_csv(index=False).encode(), mtime=0))


class TestMemoryUrl(TestCsv):
    """CSV files behind an fsspec URL that is no local path."""

    def open(self, place: Path) -> FilesSource:
        """Return the folder in memory as a source."""
        return FilesSource(FileSource(path=f"memory:/{place}"))

    def put(self, place: Path, name: str, rows: pd.DataFrame) -> None:
        """Write one file into memory."""
        fsspec.filesystem("memory").pipe_file(f"{place}/{name}.csv", rows.to_csv(index=False).encode())

    def remove(self, place: Path, name: str) -> None:
        """Remove one file from memory."""
        fsspec.filesystem("memory").rm_file(f"{place}/{name}.csv")


@pytest.fixture
def tree(folder: Path) -> Path:
    """A folder of two sales files, one of them deeper, among files that are none."""
    write_rows(folder / "b.csv", days("2024-01-01", [1]))
    write_rows(folder / "2024" / "a.parquet", days("2024-02-01", [2]))
    for name in ("notes.txt", ".hidden.csv", "b.csv.tmp"):
        (folder / name).write_text("x")
    for place in (folder / ".cache", folder / "2024" / ".checkpoints"):
        place.mkdir()
        (place / "copy.csv").write_text("x")
    return folder


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("{tree}", ["2024/a.parquet", "b.csv"]),
        ("{tree}/", ["2024/a.parquet", "b.csv"]),
        ("file://{tree}", ["2024/a.parquet", "b.csv"]),
        ("{tree}/b.csv", ["b.csv"]),
        ("file://{tree}/b.csv", ["b.csv"]),
        ("{tree}/*.csv", ["b.csv"]),
        ("{tree}/20*/*", ["2024/a.parquet"]),
        ("{tree}/**/*.csv", ["b.csv"]),
        ("file://{tree}/**/*.parquet", ["2024/a.parquet"]),
    ],
)
def test_every_way_to_point_at_files(tree: Path, path: str, names: list[str]) -> None:
    """A file, a folder, a glob and a URL name their files relative to where they begin, and can be read."""
    place = Location(path.format(tree=tree))
    parts = place.parts()
    assert [part.name for part in parts] == names
    assert all(len(place.content(part)) == part.size for part in parts)


def test_names_with_glob_signs_are_files(folder: Path) -> None:
    """A file whose name holds brackets is that file, not a pattern."""
    path = write_rows(folder / "sales [2024].csv", days("2024-01-01", [1]))
    assert [part.name for part in Location(str(path)).parts()] == ["sales [2024].csv"]


@pytest.mark.parametrize("path", ["{folder}/none.csv", "{folder}", "{folder}/*.csv", "memory://nowhere/x.csv"])
def test_nothing_there_is_said(folder: Path, path: str) -> None:
    """An absent file, an empty folder and a glob without a match are each an error that names the path."""
    with pytest.raises(SourceNotFoundError, match=r"there is no|nothing to read"):
        Location(path.format(folder=folder)).parts()


def test_an_unknown_protocol_is_said() -> None:
    """A URL that no library serves is an error that names it, without its password."""
    with pytest.raises(SourceError, match="nosuch") as caught:
        Location("nosuch://user:secret@host/x.csv").parts()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("s3://key:secret@bucket/x", "s3://bucket/x"),
        ("sftp://secret@host/in/*.csv", "sftp://host/in/*.csv"),
        ("sftp://bob:p@secret@host/x", "sftp://host/x"),
        ("zip://a.csv::https://bob:secret@host:8080/x@y.zip", "zip://a.csv::https://host:8080/x@y.zip"),
        ("https://host/x.csv?X-Amz-Signature=secret&b=secret", "https://host/x.csv?X-Amz-Signature=***&b=***"),
        ("cannot open 's3://k:secret@b/x?sig=secret': no", "cannot open 's3://b/x?sig=***': no"),
        ("s3://bucket/202?-*.csv", "s3://bucket/202?-*.csv"),
        ("s3://bucket/path@v2/a.csv", "s3://bucket/path@v2/a.csv"),
        ("/data/me@home/a?b=c.csv", "/data/me@home/a?b=c.csv"),
    ],
)
def test_what_is_shown_of_a_path(path: str, shown: str) -> None:
    """User names, passwords and the values of queries are never shown; the rest is, as it was typed."""
    assert redacted(path) == shown


def test_a_signature_is_no_part_of_a_name() -> None:
    """A file behind a signed URL has the file's name alone, in every account and message, and can be read."""
    fsspec.filesystem("memory").pipe_file("/signed/till.csv?X-Amz-Signature=s3cret", b"rows")
    place = Location("memory://signed/till.csv?X-Amz-Signature=s3cret")
    (part,) = place.parts()
    assert part.name == "till.csv"
    assert place.content(part) == b"rows"


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location, "FIRST_WAIT_SECONDS", 0.001)


class _Restless:
    """A file system whose file is written to while it is read, a number of times."""

    def __init__(self, path: Path, changes: int) -> None:
        self.inner = fsspec.filesystem("file")
        self.path, self.changes = path, changes

    def cat_file(self, path: str) -> bytes:
        content: bytes = self.inner.cat_file(path)
        if self.changes:
            self.changes -= 1
            with self.path.open("ab") as file:
                file.write(b"2024-01-09,bread,1\n")
        return content

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@pytest.mark.usefixtures("_quick")
def test_a_file_that_settles_is_read_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes twice while it is read is read a third time, and then completely."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1]))
    restless = _Restless(path, changes=2)
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda path: (restless, path))
    content = Location(str(path)).content(Location(str(path)).parts()[0])
    assert content == path.read_bytes()
    assert content.count(b"2024-01-09") == 2


@pytest.mark.usefixtures("_quick")
def test_a_file_that_never_settles_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes at every attempt ends in an error that names it."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1]))
    restless = _Restless(path, changes=1000)
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda path: (restless, path))
    with pytest.raises(ChangingFileError, match=r"a\.csv.*changed while it was read"):
        Location(str(path)).content(Location(str(path)).parts()[0])
