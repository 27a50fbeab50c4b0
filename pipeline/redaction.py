"""What no log may show: the secrets of this process, wherever they stand in a line, and every URL's login and query."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote

from pipeline.places import redacted

if TYPE_CHECKING:
    from pipeline.settings import Settings

SOURCE_PREFIX = "PIPELINE_SOURCE_"
"""Variables of the environment that tenants' sources name; whatever they hold is taken for a secret."""
SHORTEST = 4
"""Letters from which a secret is looked for by itself; a shorter one stands in half of all words."""
HIDDEN = "***"
_PASSWORDS = (re.compile(r"://[^/@\s:]*:([^@\s]+)@"), re.compile(r"://[^/@\s:]*:(\S+)@"))
"""Up to the first `@` and up to the last: a password may hold some, and so may what follows."""
_NAMED = re.compile(r"[?&][^=&\s]*(?:pass|pwd|token|key|secret|sig)[^=&\s]*=([^&\s]+)", re.IGNORECASE)


def secrets_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return what must not be shown: secret settings, sources' variables, and the passwords in any setting's URL."""
    from pydantic import SecretStr

    values = [getattr(settings, name) for name in type(settings).model_fields]
    whole = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    whole += [value for name, value in environment.items() if name.startswith(SOURCE_PREFIX)]
    urls = [value for value in values if isinstance(value, str)]
    return frozenset({*whole, *(part for text in (*whole, *urls) for part in _parts(text))})


def _parts(text: str) -> Iterator[str]:
    for pattern in (*_PASSWORDS, _NAMED):
        yield from pattern.findall(text)


class Redactor:
    """A processor of structlog that leaves plain, harmless values in a line: each can be written as JSON.

    Args:
        secrets: what is looked for in every name and value, as it is and as URLs, Python and JSON spell it.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        longest_first = sorted(forms, key=len, reverse=True)
        self._secret = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
        """Return the line, fit to be shown."""
        return {self.text(name): self.value(value) for name, value in line.items()}

    def text(self, text: str) -> str:
        """Return a text without secrets, logins and values of queries."""
        # Before URLs are cut, lest a part of a secret be left; and after it, since what was apart may stand together.
        return self._without(redacted(self._without(text)))

    def value(self, value: Any) -> Any:
        """Return a value made of texts, finite numbers, lists and dictionaries, without secrets."""
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(one) for name, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(one) for one in value]
        shown = str(value)
        told = self.text(shown)
        plain = value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
        return value if plain and told == shown else told

    def _without(self, text: str) -> str:
        return self._secret.sub(HIDDEN, text) if self._secret else text


def _forms(secret: str) -> set[str]:
    escaped = {quote(secret), quote(secret, safe=""), quote_plus(secret), unquote(secret)}
    return {secret, *escaped, repr(secret)[1:-1], json.dumps(secret)[1:-1]}
