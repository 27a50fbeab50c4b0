"""Where a user's files lie, as typed: a local path or an fsspec URL, made absolute, named and shown without secrets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL

_WORD = re.compile(r"\S+")
_RUN = re.compile(r"[^/]+")
_USER = re.compile(r"[^/@:]+:(?!\d+/)")
"""A user name before a password, and no host before a port."""
_QUERY = re.compile(r"\?[^=?/\s]+=.*$")
_VALUE = re.compile(r"([?&][^=?&/\s]+=)[^&\s'\"]+")
LONGEST = 2000
"""Letters that other systems and people are told of what went wrong."""
_LOOKED_AT = 10 * LONGEST
"""Letters that are searched for secrets, far more than are told: one that is cut in two would not be found."""


def is_url(path: str) -> bool:
    """Say whether a path is an fsspec URL and not a local path."""
    return "://" in path or "::" in path


def absolute(path: str) -> str:
    """Return a local path made absolute; a URL as it is."""
    return path if is_url(path) else os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 (globs are no paths)


def absolute_database(url: str) -> str:
    """Return the URL of a SQLite file made absolute; another URL as it is."""
    scheme, _, path = url.partition(":///")
    local = scheme.partition("+")[0] == "sqlite" and path and not path.startswith("/")
    return f"{scheme}:///{absolute(path)}" if local else url


def with_driver(url: URL) -> URL:
    """Return the URL with the driver that is installed for PostgreSQL; SQLAlchemy 2.1 would look for another."""
    return url.set(drivername="postgresql+psycopg2") if url.drivername in {"postgresql", "postgres"} else url


def without_login(path: str) -> str:
    """Return a path without the user names and passwords in its URLs: the same place, whoever asks."""
    return _WORD.sub(lambda word: _word_without_login(word[0]), path) if "@" in path else path


def _word_without_login(word: str) -> str:
    return "::".join(map(_link_without_login, _links(word))) if "@" in word else word


def _links(word: str) -> list[str]:
    """The links of a chain; a `::` in a login, that is before the last `@` up to the next `/`, is a password's."""

    def parted(run: re.Match[str]) -> str:
        login, at, rest = run[0].rpartition("@")
        return login + at + rest.replace("::", " ")  # No word holds a blank of its own.

    return _RUN.sub(parted, word).split(" ")


def _link_without_login(link: str) -> str:
    """One link, walked through once: log lines of any length are shown by this.

    A login ends with the last `@` before the next `/`; one with a password, which may hold `/` unescaped, with the
    last of all.
    """
    last, kept, done = link.rfind("@"), [], 0
    begin = link.find("://")
    while 0 <= begin < last:
        start = begin + len("://")
        slash = link.find("/", start)
        end = link.rfind("@", start, slash if slash >= 0 else len(link))
        if end < 0 and _USER.match(link, start):
            end = last
        if end >= 0:
            kept.append(link[done:start])
            done = end + 1
        begin = link.find("://", max(done, start))
    return "".join([*kept, link[done:]])


def without_query(path: str) -> str:
    """Return a path without the query of its URL, `?name=value...`; a `?` that stands for any letter stays."""
    return _QUERY.sub("", path)


def redacted(text: str) -> str:
    """Return a path, or a text that holds URLs, fit to be shown: without logins and the values of queries."""
    return without_values(without_login(text)) if is_url(text) else text


def presentable(text: str) -> str:
    """Return the beginning of a text of any length, fit to be shown, of at most LONGEST letters."""
    return redacted(text[:_LOOKED_AT])[:LONGEST]


def without_values(url: str) -> str:
    """Return a URL whose query, which may hold a password, names its fields alone."""
    return _VALUE.sub(r"\1***", url)
