"""`pipeline run --tag`, and `pipeline models experiments`."""

from __future__ import annotations

import json

import pytest

from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs.world import ODD, TWIN


def test_a_tag_is_found_again(copied: Terminal) -> None:
    """A training with tags is listed by them, newest last, in a table that fits the terminal and as JSON."""
    run = copied("run", "--tenant", TWIN, "--tag", "idea=fewer trees", "--tag", "who=ana", "--json")
    assert run.status == 0, run.err
    table = copied("models", "experiments", TWIN)
    assert table.status == 0
    assert max(map(len, table.lines)) <= 80
    assert "idea=fewer" in table.out
    everything = json.loads(copied("models", "experiments", TWIN, "--json").out)
    assert len(everything) == 2
    assert [bool(one["job"]["tags"]) for one in everything] == [False, True]
    (tagged,) = json.loads(copied("models", "experiments", TWIN, "--tag", "who=ana", "--json").out)
    assert tagged["job"]["tags"] == {"idea": "fewer trees", "who": "ana"}
    assert 0 < tagged["value"] < 1
    assert tagged["job"]["parameters"]["evaluation_origins"] == 2
    none = copied("models", "experiments", TWIN, "--tag", "who=ben")
    assert none.out == f"no training of {TWIN} with who=ben is registered\n"


def test_a_products_errors_over_time(terminal: Terminal) -> None:
    """With a product each of its models is a line with the figure that is asked for, beside the naive's."""
    product = json.loads(terminal("models", "list", "--tenant", ODD, "--json").out)[0]["product"]
    (one,) = json.loads(terminal("models", "experiments", ODD, "--product", product, "--metric", "mae", "--json").out)
    assert (one["metric"], one["models"]) == ("mae", 1)
    assert one["version"]
    table = terminal("models", "experiments", ODD, "--product", product, "--metric", "mae")
    assert "MAE" in table.out
    assert max(map(len, table.lines)) <= 80
    narrow = terminal("models", "experiments", ODD, "--product", product, "--metric", "below_upper", COLUMNS="60")
    assert (narrow.status, "too narrow for commit" in narrow.out) == (0, True), "what can be spared goes, and is named"


@pytest.mark.parametrize("command", [("run", "--tenant", TWIN), ("models", "experiments", TWIN)])
def test_what_is_no_tag_is_refused_at_once(terminal: Terminal, command: tuple[str, ...]) -> None:
    """A tag without a value ends the command before it does anything, and says how tags are written."""
    answer = terminal(*command, "--tag", "idea")
    assert answer.status != 0
    assert "--tag 'idea' is not KEY=VALUE, such as idea=fewer-trees" in " ".join(answer.err.split())


def test_without_a_server_there_is_nothing_to_mirror_to(terminal: Terminal) -> None:
    """`pipeline models mirror` says which setting names the server."""
    answer = terminal("models", "mirror", "--tenant", TWIN)
    assert answer.status != 0
    assert "MLFLOW_TRACKING_URI is unset: name a server, such as http://127.0.0.1:5000" in " ".join(answer.err.split())
