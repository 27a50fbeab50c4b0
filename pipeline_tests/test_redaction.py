"""No secret survives in a line, wherever it stands and however it is spelt."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.places import without_login
from pipeline.redaction import HIDDEN, SHORTEST, Redactor, secrets_of
from pipeline.settings import Settings

SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=SHORTEST, max_size=30)
AROUND = st.text(max_size=20)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def in_shapes(text: str, before: str, after: str) -> dict[str, Any]:
    """A line that holds a text in every kind of place."""
    whole = before + text + after
    return {
        "event": whole,
        whole: 1,
        "list": [{"deep": (whole, {whole})}],
        "error": ValueError(whole),
        "repr": repr(whole),
        "json": json.dumps({"a": whole}),
        "path": Path("/tmp") / "x" / whole.replace("\0", ""),
    }


@given(st.lists(SECRETS, min_size=1, max_size=4), AROUND, AROUND)
def test_no_secret_is_left(secrets: list[str], before: str, after: str) -> None:
    """Whatever the secrets are and whatever stands around them, none is left, and the line can be written as JSON."""
    redactor = Redactor(secrets)
    for secret in secrets:
        line = redactor(None, "info", in_shapes(secret, before, after))
        texts = [*_texts(line)]
        assert not [text for text in texts for one in secrets if one in text]
        assert any(HIDDEN in text for text in texts)


@given(
    st.text("abcXYZ019%!:@", min_size=SHORTEST, max_size=20).filter(lambda text: text.strip("@:")),
    st.sampled_from(["amqp", "postgresql", "https"]),
    AROUND,
)
def test_the_password_of_any_url_is_left_out(password: str, scheme: str, before: str) -> None:
    """Also of URLs that no setting holds, such as those of tenants' sources."""
    password = f"<{password}>"
    shown = Redactor([]).text(f"{before} {scheme}://me:{password}@host:5432/place?token={password}")
    assert password not in shown
    assert "host:5432/place?token=" in shown


def by_patterns(text: str) -> str:
    """What `without_login` returns, as patterns say it: obvious, and slow where a text is long."""
    login = re.compile(r"://(?:[^/\s]*|[^/@\s:]+:(?!\d+/)\S*)@")
    links = re.split(r"::(?![^/\s]*@)", text)
    return "::".join(login.sub("://", link) for link in links)


@settings(max_examples=1500)
@given(
    st.lists(
        st.sampled_from(["://", "::", ":", "/", "@", " ", "\u2003", "a", "12", "\u0663", "\n", "?b=", "p"]), max_size=24
    )
)
def test_logins_are_where_the_patterns_find_them(pieces: list[str]) -> None:
    """The one walk through a text cuts out what two patterns would, whatever stands next to what."""
    text = "".join(pieces)
    assert without_login(text) == by_patterns(text)


@pytest.mark.parametrize(
    "piece", ["://", "x://u:p", "://a", "::", "://u:p::", "u:", "://u:1/@", "://@", "?a=b&", "://a/"]
)
@pytest.mark.parametrize("end", ["", "@", "/@", " @"])
def test_a_long_line_takes_as_long_as_its_parts(piece: str, end: str) -> None:
    """Sixteen times the text takes about sixteen times as long, not two hundred and fifty."""

    def seconds(length: int) -> float:
        text = "x://" + piece * (length // len(piece)) + end
        taken = []
        for _ in range(3):
            begun = time.process_time()
            Redactor([]).text(text)
            taken.append(time.process_time() - begun)
        return min(taken)

    short, long = seconds(10_000), seconds(160_000)
    assert long < 100 * max(short, 0.001)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), TREES))
def test_every_value_becomes_json(line: dict[str, Any]) -> None:
    """What comes out can be written as strict JSON, and what is plain stays what it was."""
    told = Redactor(["s3cret-word"])(None, "info", line)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    for name, value in line.items():
        if (value is None or isinstance(value, bool | int)) and name in told:
            assert told[name] == value


def test_secrets_are_those_of_settings_and_sources() -> None:
    """Secret settings whole, passwords and tokens inside any setting's URL, and variables that sources name."""
    read = Settings(
        database_url="postgresql://me:pw-of-db@host/d?sslmode=require",
        rabbitmq_url="amqp://me:pw%2Fof-mq@host/",  # type: ignore[arg-type]
        model_storage_path="s3://bucket/x?access_key=key-of-s3",
        model_signing_key="sixteen letters and more",  # type: ignore[arg-type]
    )
    found = secrets_of(read, {"PIPELINE_SOURCE_TOKEN": "t0ken", "PATH": "/usr/bin"})
    whole = {"amqp://me:pw%2Fof-mq@host/", "sixteen letters and more", "t0ken"}
    assert found == whole | {"pw-of-db", "pw%2Fof-mq", "key-of-s3"}
    assert "pw/of-mq" not in Redactor(found).text("refused for pw/of-mq")


@pytest.mark.parametrize("text", ["3 products of tenant 'bakery' are due", "sum of a?b", "/srv/var/data/x.parquet"])
def test_what_is_no_secret_stays(text: str) -> None:
    """Tenants, products and paths are told as they are."""
    assert Redactor(["s3cret-word", "abc"]).text(text) == text


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []
