"""Where a user's files lie, as typed: a local path or an fsspec URL, made absolute, named and shown without secrets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL

_LOGIN = re.compile(r"://(?:[^/\s]*|[^/@\s:]+:(?!\d+/)\S*)@")
"""A user name, or one with a password, which may hold `@` and, unescaped, `/`."""
_LINK = re.compile(r"::(?![^/\s]*@)")
"""Between the links of a chain; what stands in a login, up to its `@`, is a password's."""
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
    return "::".join(_LOGIN.sub("://", link) for link in _LINK.split(path))


def without_query(path: str) -> str:
    """Return a path without the query of its URL, `?name=value...`; a `?` that stands for any letter stays."""
    return _QUERY.sub("", path)


def redacted(text: str) -> str:
    """Return a path, or a text that holds URLs, fit to be shown: without logins and the values of queries."""
    return _VALUE.sub(r"\1***", without_login(text)) if is_url(text) else text


def presentable(text: str) -> str:
    """Return the beginning of a text of any length, fit to be shown, of at most LONGEST letters."""
    return redacted(text[:_LOOKED_AT])[:LONGEST]
