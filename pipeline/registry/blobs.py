"""Where the bytes of artefacts lie: a local folder, handled with full care, or any fsspec file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pipeline.errors import ConfigurationError
from pipeline.home import write_atomically
from pipeline.places import redacted

OWNER_ONLY = 0o700


class Blob(NamedTuple):
    """What lies under a key: its size, and when it was written or touched last, UTC."""

    key: str
    bytes: int
    modified: datetime


class Blobs(Protocol):
    """Bytes by key; a key is a relative path with `/`. Every method may raise OSError."""

    def place(self, key: str) -> str:
        """Where the bytes of `key` lie, for messages."""

    def exists(self, key: str) -> bool:
        """Whether there are bytes for `key`."""

    def read(self, key: str, limit: int) -> bytes:
        """Return the bytes of `key`, cut off one byte after `limit`."""

    def write(self, key: str, content: bytes) -> None:
        """Store all of `content`, or nothing that can be seen."""

    def remove(self, key: str) -> None:
        """Remove `key` if it is there."""

    def move(self, key: str, to: str) -> None:
        """Give the bytes of `key` another key."""

    def listing(self, under: str = "") -> Iterator[Blob]:
        """Yield all that is there, or all in one folder, in no order."""

    def modified(self, key: str) -> datetime | None:
        """When `key` was written or touched last; None where it is not there."""

    def touch(self, key: str) -> None:
        """Make `key` as young as if it were written now; the bytes stay."""


class LocalBlobs:
    """A folder on a local disk: files 0600, folders 0700, renamed into place after a flush to disk."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().resolve()

    def place(self, key: str) -> str:
        """The absolute path of `key`."""
        return str(self._root / key)

    def exists(self, key: str) -> bool:
        """Whether a file is there; temporaries have other names."""
        return (self._root / key).is_file()

    def read(self, key: str, limit: int) -> bytes:
        """Return at most `limit` + 1 bytes: enough to see that a file is too long."""
        with (self._root / key).open("rb") as file:
            return file.read(limit + 1)

    def write(self, key: str, content: bytes) -> None:
        """Write to a temporary name beside the target, flush, rename, and make the rename last."""
        path = self._root / key
        self._root.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
        path.parent.mkdir(mode=OWNER_ONLY, exist_ok=True)
        write_atomically(path, content)
        for folder in (path.parent, self._root):
            _flush_folder(folder)

    def remove(self, key: str) -> None:
        """Remove the file if it is there."""
        (self._root / key).unlink(missing_ok=True)

    def move(self, key: str, to: str) -> None:
        """Rename the file."""
        target = self._root / to
        target.parent.mkdir(mode=OWNER_ONLY, exist_ok=True)
        (self._root / key).rename(target)

    def listing(self, under: str = "") -> Iterator[Blob]:
        """Yield every file; one that vanishes meanwhile is left out."""
        for path in (self._root / under).rglob("*"):
            with suppress(FileNotFoundError):
                if path.is_file():
                    found = path.stat()
                    yield Blob(path.relative_to(self._root).as_posix(), found.st_size, _moment(found.st_mtime))

    def modified(self, key: str) -> datetime | None:
        """The file's time."""
        try:
            return _moment((self._root / key).stat().st_mtime)
        except FileNotFoundError:
            return None

    def touch(self, key: str) -> None:
        """Set the file's time."""
        os.utime(self._root / key)


class RemoteBlobs:
    """An fsspec file system whose writes are seen whole or not at all, as object stores' are."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self._files: Any
        try:
            self._files, self._root = url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"the artefact store {redacted(url)!r} cannot be opened: {error}") from error
        self._shown = redacted(url).rstrip("/")

    def place(self, key: str) -> str:
        """The URL of `key`, without what must not be shown."""
        return f"{self._shown}/{key}"

    def exists(self, key: str) -> bool:
        """Whether an object is there; asked in a way that takes no server that is down for an object that is gone."""
        try:
            with _plain_errors():
                return bool(self._files.info(self._path(key))["type"] == "file")
        except FileNotFoundError:
            return False

    def read(self, key: str, limit: int) -> bytes:
        """Return at most `limit` + 1 bytes."""
        with _plain_errors(), self._files.open(self._path(key), "rb") as file:
            return bytes(file.read(limit + 1))

    def write(self, key: str, content: bytes) -> None:
        """Store the object in one request."""
        path = self._path(key)
        with _plain_errors():
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, content)

    def remove(self, key: str) -> None:
        """Remove the object if it is there."""
        if self.exists(key):
            with _plain_errors():
                self._files.rm_file(self._path(key))

    def move(self, key: str, to: str) -> None:
        """Copy the object and remove the first one."""
        with _plain_errors():
            self._files.makedirs(self._path(to).rpartition("/")[0], exist_ok=True)
            self._files.mv(self._path(key), self._path(to))

    def listing(self, under: str = "") -> Iterator[Blob]:
        """Yield every object, asked anew: file systems like to remember listings."""
        with _plain_errors():
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._path(under).rstrip("/"), detail=True)
            except FileNotFoundError:
                found = {}
        for path, details in found.items():
            key = path.removeprefix(self._root.rstrip("/")).lstrip("/")
            with _plain_errors():
                yield Blob(key, int(details["size"]), self._files.modified(path).astimezone(UTC))

    def modified(self, key: str) -> datetime | None:
        """The object's time."""
        if not self.exists(key):
            return None
        with _plain_errors():
            self._files.invalidate_cache()
            moment: datetime = self._files.modified(self._path(key))
        return moment.astimezone(UTC)

    def touch(self, key: str) -> None:
        """Write the object again: object stores set a time in no other way."""
        with _plain_errors():
            self._files.pipe_file(self._path(key), self._files.cat_file(self._path(key)))

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn what a file system's own library raises into OSError: a server that is not there is no bug of ours."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def open_blobs(root: str | Path) -> Blobs:
    """Return what keeps the bytes under `root`: a folder, a `file://` URL, or another fsspec URL."""
    text = str(root)
    if text.startswith("file://"):
        return LocalBlobs(Path(text.removeprefix("file://")))
    return RemoteBlobs(text) if "://" in text else LocalBlobs(Path(root))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
