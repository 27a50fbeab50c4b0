"""Secrets of sources: a tenant's file names variables of the environment, and holds no password itself."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from pipeline.errors import ConfigurationError
from pipeline.redaction import SOURCE_PREFIX

PREFIX = SOURCE_PREFIX
"""Only variables of this prefix are looked up: a tenant's file cannot send other secrets somewhere."""

_REFERENCE = re.compile(r"\$\{([^}]*)\}")


def filled(text: str) -> str:
    """Return a URL with each `${PIPELINE_SOURCE_...}` replaced by the variable's value.

    A reference that is the whole text stands for a whole URL or token; inside a URL the value is escaped, so that a
    password may hold `@` and `/`.

    Raises:
        ConfigurationError: the name has another prefix, or no such variable is set.
    """
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return _value(whole[1])
    return _REFERENCE.sub(lambda found: quote(_value(found[1]), safe=""), text)


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that a reference to a bearer token stands for; none where there is no token.

    Raises:
        ConfigurationError: as `filled` does, or it holds what no header may, which a client would tell with the token.
    """
    if token is None:
        return {}
    value = filled(token)
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            f"the token {token} holds a letter that no header may: only printable ASCII can be sent"
        )
    return {"Authorization": f"Bearer {value}"}


def holds_password(url: str) -> bool:
    """Say whether a password stands in a URL as it is."""
    login = re.search(r"://[^/@\s]*?:(.+)@", url)
    return login is not None and not _REFERENCE.fullmatch(login[1])


def _value(name: str) -> str:
    if not re.fullmatch(rf"{PREFIX}[A-Z0-9_]+", name):
        raise ConfigurationError(
            f"${{{name}}} cannot be used in a tenant's source: only variables in capitals that begin with {PREFIX} are"
        )
    value = os.environ.get(name, "").rstrip("\r\n")  # A secret that was read from a file ends with its line.
    if not value:
        raise ConfigurationError(f"the variable {name}, which a tenant's source names, is not set here")
    return value
