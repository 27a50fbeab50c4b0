"""Tags that a person gives a training, to find it by: `--tag KEY=VALUE` in the terminal, a run's tags in the UI."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pipeline.errors import ConfigurationError

TAKEN = ("cause", "tenant", "job_id")
TAKEN_PREFIXES = ("dagster/", ".dagster/", "pipeline/", "mlflow.")
LONGEST = 250
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,63}(/[A-Za-z0-9_.-]{1,63})?")


def parsed_tags(given: Iterable[str]) -> dict[str, str]:
    """Return the values of `KEY=VALUE`s by key.

    Raises:
        ConfigurationError: one is not KEY=VALUE, its key cannot be used, or it is given twice.
    """
    tags: dict[str, str] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not value.strip() or len(value) > LONGEST or not value.isprintable():
            raise ConfigurationError(
                f"--tag {one!r} is not KEY=VALUE, such as idea=fewer-trees, with a value of 1 to {LONGEST} letters"
            )
        if not _KEY.fullmatch(key):
            raise ConfigurationError(f"--tag {one!r}: the key {key!r} may hold up to 63 letters, digits and . _ -")
        if not _free(key):
            taken = ", ".join((*TAKEN, *(f"{prefix}..." for prefix in TAKEN_PREFIXES)))
            raise ConfigurationError(f"--tag {one!r}: the key {key!r} is taken, as are {taken}; use another")
        if key in tags:
            raise ConfigurationError(f"--tag {one!r}: the key {key!r} is given twice, before with {tags[key]!r}")
        tags[key] = value
    return tags


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return those of a run's tags that a person gave it: neither Dagster's nor the pipeline's."""
    return {key: value for key, value in tags.items() if _free(key)}


def _free(key: str) -> bool:
    return key not in TAKEN and not key.startswith(TAKEN_PREFIXES)
