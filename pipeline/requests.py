"""Requests are checked here, whichever door they come through, and refused in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts import Contract
from pipeline.errors import ConfigurationError

Asked = TypeVar("Asked", bound=Contract)
LONGEST = 80
"""Letters that are shown of a value."""
RULES: Mapping[str, str] = {
    "less_than_equal": "must be at most {le:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_type": "must be text",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have at least {min_length} letters",
    "string_too_long": "must have at most {max_length} letters",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}, there are {actual_length}",
    "tuple_type": "must be a list",
    "date_type": "must be a day of the form YYYY-MM-DD",
    "date_parsing": "must be a day of the form YYYY-MM-DD",
    "date_from_datetime_parsing": "must be a day of the form YYYY-MM-DD",
    "date_from_datetime_inexact": "must be a day of the form YYYY-MM-DD",
    "extra_forbidden": "there is no such field",
    "value_error": "{error}",
}
"""What a kind of fault is in our words; of any other kind pydantic's own words are told."""


def accepted(contract: type[Asked], **fields: object) -> Asked:
    """Return the request that these fields make.

    Raises:
        ConfigurationError: they break the contract; names each field, its value and the rule.
    """
    try:
        return contract.model_validate(fields)
    except ValidationError as error:
        raise ConfigurationError(told(error)) from error


def told(error: ValidationError) -> str:
    """Return every fault of a request in one message, such as `days = 400: must be at most 365`."""
    return "; ".join(_fault(fault) for fault in error.errors(include_url=False))


def _fault(fault: ErrorDetails) -> str:
    field = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"{field} is missing"
    rule = RULES[fault["type"]].format(**fault.get("ctx", {})) if fault["type"] in RULES else fault["msg"]
    return f"{field} = {_shown(fault['input'])}: {rule}"


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
