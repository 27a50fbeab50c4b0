"""Where the bytes of artefacts lie: a local folder, handled with full care, or any fsspec file system."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pipeline.errors import ConfigurationError
from pipeline.home import write_atomically
from pipeline.places import redacted

OWNER_ONLY = 0o700
TIMEOUT = 60.0
LISTING = 20
"""How many times as long as another request a listing may take: it is a request for each thousand objects."""
TRIES = 4
"""Silent connections that fit into one request's time."""
SLOW = 0.1
"""Share of a request's time after which one that gets no answer is taken for a sign that the place is down."""
TIMES = ("LastModified", "last_modified", "mtime", "updated")
"""What file systems call the time of an object where they list it."""


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

    def touch(self, key: str, content: Callable[[], bytes]) -> None:
        """Make `key` as young as if it were written now; `content` gives the bytes that it holds and keeps."""


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

    def touch(self, key: str, content: Callable[[], bytes]) -> None:
        """Set the file's time."""
        os.utime(self._root / key)


class RemoteBlobs:
    """An fsspec file system whose writes are seen whole or not at all, as object stores' are.

    One that does not answer in time is left alone for as long again: whoever needs a hundred files waits once.

    Args:
        url: the place.
        timeout: seconds that one request may take, its repetitions included; a listing has `LISTING` times as long.
            File systems that work without an event loop have their own.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        from fsspec.asyn import AsyncFileSystem
        from fsspec.core import url_to_fs

        self._files: Any
        try:
            self._files, self._root = url_to_fs(url, **_options(url, timeout))
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"the artefact store {redacted(url)!r} cannot be opened: {error}") from error
        self._shown = redacted(url).rstrip("/")
        self._timeout, self._bounded, self._silent_until = timeout, isinstance(self._files, AsyncFileSystem), 0.0

    def place(self, key: str) -> str:
        """The URL of `key`, without what must not be shown."""
        return f"{self._shown}/{key}"

    def exists(self, key: str) -> bool:
        """Whether an object is there; asked in a way that takes no server that is down for an object that is gone."""
        return self._details(key) is not None

    def read(self, key: str, limit: int) -> bytes:
        """Return at most `limit` + 1 bytes."""
        details = self._details(key)
        if details is None:
            raise FileNotFoundError(self.place(key))
        size = min(int(details["size"]), limit + 1)
        # A server refuses a range of an object that is empty.
        return bytes(self._ask("cat_file", self._path(key), start=0, end=size)) if size else b""

    def write(self, key: str, content: bytes) -> None:
        """Store the object in one request."""
        path = self._path(key)
        self._ask("makedirs", path.rpartition("/")[0], exist_ok=True)
        self._ask("pipe_file", path, content)

    def remove(self, key: str) -> None:
        """Remove the object if it is there."""
        if self.exists(key):
            self._ask("rm_file", self._path(key))

    def move(self, key: str, to: str) -> None:
        """Copy the object and remove the first one."""
        self._ask("makedirs", self._path(to).rpartition("/")[0], exist_ok=True)
        self._ask("cp_file", self._path(key), self._path(to))
        self._ask("rm_file", self._path(key))

    def listing(self, under: str = "") -> Iterator[Blob]:
        """Yield every object, asked anew: file systems like to remember listings."""
        try:
            found = self._ask("find", self._path(under).rstrip("/"), patience=LISTING, detail=True)
        except FileNotFoundError:
            found = {}
        for path, details in found.items():
            key = path.removeprefix(self._root.rstrip("/")).lstrip("/")
            yield Blob(key, int(details["size"]), self._moment(path, details))

    def modified(self, key: str) -> datetime | None:
        """The object's time."""
        details = self._details(key)
        return None if details is None else self._moment(self._path(key), details)

    def touch(self, key: str, content: Callable[[], bytes]) -> None:
        """Write the object again: object stores set a time in no other way."""
        self.write(key, content())

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"

    def _details(self, key: str) -> dict[str, Any] | None:
        try:
            details: dict[str, Any] = self._ask("info", self._path(key))
        except FileNotFoundError:
            return None
        return details if details["type"] == "file" else None

    def _moment(self, path: str, details: dict[str, Any]) -> datetime:
        """When an object was written: as its details say, where they do; else it is asked for."""
        told = next((details[name] for name in TIMES if isinstance(details.get(name), datetime)), None)
        moment: datetime = told or self._ask("modified", path)
        return moment.astimezone(UTC)

    def _ask(self, method: str, *arguments: object, patience: float = 1, **options: object) -> Any:
        """Call a method of the file system, bounded in time; all that it raises is an OSError then."""
        if time.monotonic() < self._silent_until:
            raise OSError(f"{self._shown} did not answer a moment ago, and is left alone for {self._timeout:g} s")
        if self._bounded and method != "modified":
            options["timeout"] = patience * self._timeout
        begun = time.monotonic()
        self._files.invalidate_cache()  # What another process stored or removed since is not in what is remembered.
        try:
            return getattr(self._files, method)(*arguments, **options)
        except FileNotFoundError:
            raise
        except Exception as error:  # a server that is not there is no bug of ours
            if _silent(error) and time.monotonic() - begun >= SLOW * self._timeout:
                self._silent_until = time.monotonic() + self._timeout
            if isinstance(error, TimeoutError):
                raise OSError(f"no answer within {patience * self._timeout:g} s") from error
            if isinstance(error, OSError):
                raise
            raise OSError(f"{type(error).__name__}: {error}") from error


def _silent(error: Exception) -> bool:
    """Whether nobody answered: a refusal, or a server that is busy, is an answer.

    The libraries of object stores have errors of their own for that; their names, or those of their bases, tell.
    """
    return any("Timeout" in base.__name__ or "Connection" in base.__name__ for base in type(error).__mro__)


def _options(url: str, timeout: float) -> dict[str, Any]:
    """Let S3's own library give up one silent connection early enough to try another."""
    if not url.startswith(("s3://", "s3a://")):
        return {}
    share = timeout / TRIES
    return {"config_kwargs": {"connect_timeout": share, "read_timeout": share}}


def open_blobs(root: str | Path, timeout: float = TIMEOUT) -> Blobs:
    """Return what keeps the bytes under `root`: a folder, a `file://` URL, or another fsspec URL.

    Raises:
        ConfigurationError: the URL names no file system that is installed.
    """
    text = str(root)
    if text.startswith("file://"):
        return LocalBlobs(Path(text.removeprefix("file://")))
    return RemoteBlobs(text, timeout) if "://" in text else LocalBlobs(Path(root))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
