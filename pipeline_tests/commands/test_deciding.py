"""`pipeline models history`, `compare`, `rollback`, `deploy`, `reproduce`, and `registry sweep`: who decides what."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pipeline.installation import Installation
from pipeline.settings import Settings
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD

BUTTER = tills.STEADY[0]


@pytest.fixture
def terminal(copied: Terminal) -> Terminal:
    """A terminal in a copy of the world, which a test may change."""
    return copied


@pytest.fixture
def opened(copied: Terminal) -> Iterator[Installation]:
    """The copy's installation."""
    installation = Installation(Settings(pipeline_home=copied.world.home.root))
    yield installation
    installation.registry.close()


def second_version(opened: Installation) -> tuple[str, str]:
    """Register the champion's like once more, put it in use, and return both versions, the first one first."""
    registry = opened.registry
    first = registry.champions(ODD)[BUTTER].version
    again = registry.register(registry.manifest(ODD, BUTTER, first))
    registry.promote(ODD, BUTTER, again.version, reason="fresher", actor="tests", figures={"mae": 1.25})
    return first, again.version


def test_a_rollback_is_told(terminal: Terminal, opened: Installation) -> None:
    """The earlier model is in use again, forecasts use it, and the history says who, when and why."""
    first, second = second_version(opened)
    answer = terminal("models", "rollback", BUTTER, "--tenant", ODD, "--reason", "too low on Saturdays")
    assert answer.status == 0
    assert f"version {first} of {BUTTER} is in use again, instead of {second}" in answer.out
    assert opened.registry.champions(ODD)[BUTTER].version == first
    rows = json.loads(terminal("models", "history", BUTTER, "--tenant", ODD, "--json").out)
    assert [(row["decision"], row["version"]) for row in rows] == [
        ("rolled back", first),
        ("promoted", second),
        ("promoted", first),
    ]
    assert rows[0]["reason"] == "too low on Saturdays"
    assert rows[1]["MAE"] == 1.25


def test_there_may_be_nothing_to_go_back_to(terminal: Terminal) -> None:
    """A product whose champion replaced none is left alone, and that is said."""
    answer = terminal("models", "rollback", BUTTER, "--tenant", ODD)
    assert answer.status == 1
    assert "has no earlier champion to go back to" in answer.err


def test_nobody_goes_back_to_a_broken_model(terminal: Terminal, opened: Installation) -> None:
    """A predecessor whose file is torn is refused by name, and the champion stays."""
    _, second = second_version(opened)
    for path in (opened.home.root / "models").rglob("*.zst"):
        path.write_bytes(path.read_bytes()[:-3])
    answer = terminal("models", "rollback", BUTTER, "--tenant", ODD)
    assert answer.status == 1
    assert "IntegrityError" in answer.err
    assert "is not whole" in answer.err
    assert opened.registry.champions(ODD)[BUTTER].version == second


def test_two_versions_side_by_side(terminal: Terminal, opened: Installation) -> None:
    """Each line has both values, and those that differ are marked."""
    first, second = second_version(opened)
    rows = {
        row[""]: row
        for row in json.loads(terminal("models", "compare", BUTTER, first, second, "--tenant", ODD, "--json").out)
    }
    assert rows["wape"][first] == rows["wape"][second]
    assert {row["differs"] for row in rows.values()} == {""}
    assert any(name.endswith(": weight") for name in rows)
    answer = terminal("models", "compare", BUTTER, first, "19990101_000000", "--tenant", ODD)
    assert answer.status == 1
    assert "no model '19990101_000000'" in answer.err


def test_a_model_is_made_again(terminal: Terminal) -> None:
    """The model in use is fitted again to the same files; the answer says so, for people and for machines."""
    answer = terminal("models", "reproduce", BUTTER, "--tenant", ODD)
    assert answer.status == 0, answer.out + answer.err
    assert answer.lines[-1] == "the same model"
    told = json.loads(terminal("models", "reproduce", BUTTER, "--tenant", ODD, "--json").out)
    assert told["same"] is True
    assert told["not_as_it_was"] == []
    assert all(member["same files"] == "yes" for member in told["members"])


def test_a_sweep_is_shown_before_it_is_made(terminal: Terminal, opened: Installation) -> None:
    """Without --yes nothing is deleted; with it just what was shown; nothing in use is ever among it."""
    for _ in range(3):
        second_version(opened)
    narrow = {"MAX_MODEL_VERSIONS_PER_PRODUCT": "2"}
    before = len(opened.registry.models(ODD, BUTTER))
    shown = {row[""]: row["to be deleted"] for row in json.loads(terminal("registry", "sweep", "--json", **narrow).out)}
    assert shown["models"] == before - 2
    assert len(opened.registry.models(ODD, BUTTER)) == before
    done = {
        row[""]: row["deleted"] for row in json.loads(terminal("registry", "sweep", "--yes", "--json", **narrow).out)
    }
    assert done == shown
    left = {model.version for model in opened.registry.models(ODD, BUTTER)}
    champion = opened.registry.champions(ODD)[BUTTER]
    assert left == {champion.version, champion.previous_version}
    assert "bytes are stored" in terminal("registry", "sweep", **narrow).out


def test_models_are_signed_by_who_vouches(terminal: Terminal) -> None:
    """With a key unsigned models are refused by name; after `models sign` they are used again."""
    key = {"MODEL_SIGNING_KEY": "a long and secret text"}
    refused = terminal("models", "show", BUTTER, "--tenant", ODD, **key)
    assert refused.status == 1
    assert "is not signed" in refused.err
    assert "models of" in terminal("models", "sign", "--tenant", ODD, **key).out
    assert terminal("models", "show", BUTTER, "--tenant", ODD, **key).status == 0
