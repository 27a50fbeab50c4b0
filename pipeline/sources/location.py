"""A path, a folder, a glob or an fsspec URL: which files it stands for, and their bytes read in one piece."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fsspec
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from pipeline.errors import ChangingFileError, SourceError, SourceNotFoundError, UnreadableFileError
from pipeline.places import redacted, without_query
from pipeline.sources.base import Part
from pipeline.sources.stamps import is_settled

SUFFIXES = (".csv", ".csv.gz", ".parquet")
ATTEMPTS = 5
FIRST_WAIT_SECONDS = 0.2
_TAG_KEYS = ("ETag", "etag")
_MODIFIED_KEYS = ("mtime", "LastModified", "last_modified", "updated")


@dataclass(frozen=True)
class Location:
    """The files that a path stands for."""

    path: str

    def parts(self) -> list[Part]:
        """Return the files in order of name; a name is relative to the folder or the glob's fixed beginning.

        The query of a URL, which may be a signature, is no part of a name.

        Raises:
            SourceNotFoundError: there is no such path, or no sales file in it.
            SourceError: the URL's protocol is unknown or its library is not installed.
        """
        fs, root = self._open()
        found = self._listing(fs, root)
        # Names are cut off and put back as text: a URL does not survive the normalising of paths.
        start = len(self._base(fs, root)) + 1
        parts = [
            Part(without_query(path[start:]), info.get("size"), _modified(fs, path, info), _version(info))
            for path, info in found
        ]
        return sorted(parts, key=lambda part: part.name)

    def content(self, part: Part) -> bytes:
        """Return a file's bytes as they were at one moment.

        The size and time of change before and after must agree (the content itself, where the store
        tells no time). A file that changes is read again a few times.

        Raises:
            SourceNotFoundError: the file has gone.
            ChangingFileError: it changed during every attempt.
            UnreadableFileError: it may not be read.
        """
        fs, root = self._open()
        path = root if fs.isfile(root) else f"{self._base(fs, root)}/{part.name}"
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=5),
            retry=retry_if_exception_type((ChangingFileError, ConnectionError, TimeoutError)),
            reraise=True,
        )
        return retrying(_read_once, fs, path, part.name)

    def _open(self) -> tuple[Any, str]:
        try:
            fs, root = fsspec.core.url_to_fs(self.path)
        except (ValueError, ImportError) as error:
            raise SourceError(f"{redacted(self.path)!r} cannot be opened: {redacted(str(error))}") from error
        fs.invalidate_cache()
        return fs, str(root)

    def _listing(self, fs: Any, root: str) -> list[tuple[str, dict[str, Any]]]:
        if _is_glob(root) and not fs.exists(root):
            return self._some(_files(fs.glob(root, detail=True), self._base(fs, root)), "no file matches it")
        if fs.isfile(root):
            return [(root, fs.info(root))]
        if not fs.exists(root):
            raise SourceNotFoundError(f"there is no {redacted(self.path)!r}; give a file, a folder, a glob or a URL")
        sales = [(path, info) for path, info in _files(fs.find(root, detail=True), root) if _is_sales(path)]
        return self._some(sales, f"the folder holds no file that ends in {', '.join(SUFFIXES)}")

    def _some(self, found: list[tuple[str, dict[str, Any]]], why: str) -> list[tuple[str, dict[str, Any]]]:
        if not found:
            raise SourceNotFoundError(f"nothing to read at {redacted(self.path)!r}: {why}")
        return found

    def _base(self, fs: Any, root: str) -> str:
        if _is_glob(root) and not fs.exists(root):
            root = re.split(r"[*?\[]", root, maxsplit=1)[0]
            return root.rpartition("/")[0]
        return root.rpartition("/")[0] if fs.isfile(root) else root.rstrip("/")


def _is_glob(root: str) -> bool:
    return any(sign in root for sign in "*?[")


def _is_sales(path: str) -> bool:
    return path.lower().endswith(SUFFIXES)


def _files(found: dict[str, dict[str, Any]], base: str) -> list[tuple[str, dict[str, Any]]]:
    """The files below `base` that neither are hidden nor lie in a hidden folder."""
    shown = {path: info for path, info in found.items() if "/." not in f"/{path[len(base) :].lstrip('/')}"}
    return [(path, info) for path, info in shown.items() if info.get("type") == "file"]


def _modified(fs: Any, path: str, info: dict[str, Any]) -> float | None:
    value = next((info[key] for key in _MODIFIED_KEYS if key in info), None)
    if value is None:
        try:
            value = fs.modified(path)
        except NotImplementedError:
            return None
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else None


def _version(info: dict[str, Any]) -> str | None:
    """What else tells one content from another of the same size: a store's tag, or a web server's time of change.

    A time of change that is young is marked: should another change come in the same second, the next look finds a
    difference all the same, and one run too many finds nothing.
    """
    tag = next((info[key] for key in _TAG_KEYS if info.get(key)), None)
    if tag is not None:
        return f"etag {tag}"
    told = info.get("Last-Modified")
    return told if told is None or is_settled(told) else f"{told}, young"


def _stamp(fs: Any, path: str) -> tuple[int | None, float | None]:
    info = fs.info(path)
    return info.get("size"), _modified(fs, path, info)


def _read_once(fs: Any, path: str, name: str) -> bytes:
    try:
        before = _stamp(fs, path)
        content: bytes = fs.cat_file(path)
        fs.invalidate_cache()
        after = _stamp(fs, path)
        steady = before == after and before[0] in (None, len(content))
        if steady and before[1] is None:
            steady = hashlib.sha256(fs.cat_file(path)).digest() == hashlib.sha256(content).digest()
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"file {name!r} has gone since it was listed") from error
    except (PermissionError, IsADirectoryError) as error:
        raise UnreadableFileError(f"file {name!r} may not be read: {error.strerror}") from error
    if not steady:
        raise ChangingFileError(
            f"file {name!r} changed while it was read ({before[0]} bytes before, {after[0]} after); "
            "write it under another name and rename it when it is whole"
        )
    return content
