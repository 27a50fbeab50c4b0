"""Where a user's files lie, as typed: a local path or an fsspec URL, made absolute, named and shown without secrets."""

from __future__ import annotations

import os
import re

_LOGIN = re.compile(r"://(?:[^/\s]*|[^/@\s:]+:(?!\d+/)\S*)@")
"""A user name, or one with a password, which may hold `@` and, unescaped, `/`."""
_QUERY = re.compile(r"\?[^=?/\s]+=.*$")
_VALUE = re.compile(r"([?&][^=?&/\s]+=)[^&\s'\"]+")


def is_url(path: str) -> bool:
    """Say whether a path is an fsspec URL and not a local path."""
    return "://" in path or "::" in path


def absolute(path: str) -> str:
    """Return a local path made absolute; a URL as it is."""
    return path if is_url(path) else os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 (globs are no paths)


def without_login(path: str) -> str:
    """Return a path without the user names and passwords in its URLs: the same place, whoever asks."""
    return "::".join(_LOGIN.sub("://", link) for link in path.split("::"))


def without_query(path: str) -> str:
    """Return a path without the query of its URL, `?name=value...`; a `?` that stands for any letter stays."""
    return _QUERY.sub("", path)


def redacted(text: str) -> str:
    """Return a path, or a text that holds URLs, fit to be shown: without logins and the values of queries."""
    return _VALUE.sub(r"\1***", without_login(text)) if is_url(text) else text
