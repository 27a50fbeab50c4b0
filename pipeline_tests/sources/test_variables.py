"""Secrets of sources: what a tenant's file refers to, as it may be sent."""

from __future__ import annotations

import pytest

from pipeline.errors import ConfigurationError
from pipeline.sources.variables import bearer, filled

NAME = "PIPELINE_SOURCE_TOKEN"
REFERENCE = f"${{{NAME}}}"


@pytest.mark.parametrize("value", ["s3cret\n", "s3cret\r\n", "s3cret"])
def test_the_end_of_its_line_is_no_part_of_a_secret(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read from a file with its last line's end is sent without it, as a token and within an address."""
    monkeypatch.setenv(NAME, value)
    assert bearer(REFERENCE) == {"Authorization": "Bearer s3cret"}
    assert filled(f"https://ana:{REFERENCE}@till.example") == "https://ana:s3cret@till.example"


@pytest.mark.parametrize("value", ["s3\ncret", "s3cr\u00e9t", "s3\x00cret"])
def test_a_token_that_no_header_may_hold_is_refused_unseen(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never handed to the client, whose error would show it; a password within an address is escaped."""
    if "\x00" in value:
        monkeypatch.setattr("pipeline.sources.variables._value", lambda _name: value)
    else:
        monkeypatch.setenv(NAME, value)
    with pytest.raises(ConfigurationError, match="printable ASCII") as told:
        bearer(REFERENCE)
    assert "cr" not in str(told.value).replace(NAME, "")
    assert value not in filled(f"https://ana:{REFERENCE}@till.example")


@pytest.mark.parametrize("value", [None, "", "\n"])
def test_a_variable_without_a_value_is_said(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not set, or holds nothing, is named."""
    monkeypatch.delenv(NAME, raising=False)
    if value is not None:
        monkeypatch.setenv(NAME, value)
    with pytest.raises(ConfigurationError, match=f"the variable {NAME}, which a tenant's source names, is not set"):
        bearer(REFERENCE)
