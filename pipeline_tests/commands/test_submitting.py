"""`pipeline jobs submit`: many tenants, one inbox; and `pipeline run --product`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.commands.test_events_command import stumble
from pipeline_tests.defs import tills
from pipeline_tests.defs.test_events import asked, tick
from pipeline_tests.defs.world import ODD, TWIN

BUTTER = tills.STEADY[0]


def inbox(terminal: Terminal) -> list[dict[str, Any]]:
    """What lies in the inbox, the first first."""
    rows: list[dict[str, Any]] = json.loads(terminal("events", "inbox", "--json").out)
    return [row["body"] for row in reversed(rows)]


def test_each_tenant_becomes_a_message_and_a_run(copied: Terminal):
    """In the order given, with products and priority; the sensor asks for the runs, which may run at once."""
    options = ["--product", BUTTER, "--priority", "high", "--json"]
    answer = copied("jobs", "submit", "--tenant", TWIN, "--tenant", ODD, *options)
    assert answer.status == 0, answer.err
    assert [(row["tenant"], row["asked for"]) for row in json.loads(answer.out)] == [(TWIN, "now"), (ODD, "now")]
    assert [(one["tenant_id"], one["products"], one["priority"], one["batch"]) for one in inbox(copied)] == [
        (tenant, [BUTTER], "high", None) for tenant in (TWIN, ODD)
    ]
    requests = asked(tick(copied.world))
    assert [(one.partition_key, one.job_name) for one in requests] == [
        (TWIN, "retrain_products"),
        (ODD, "retrain_products"),
    ]
    assert all("pipeline/batch" not in one.tags and one.tags["dagster/priority"] == "10" for one in requests)


def test_one_by_one_is_one_batch(copied: Terminal):
    """All tenants' runs carry the one tag of which the queue runs one at a time, and keep the order."""
    assert copied("jobs", "submit", "--all", "--one-by-one", "--name", "spring").status == 0
    requests = asked(tick(copied.world))
    assert [(one.partition_key, one.tags["pipeline/batch"]) for one in requests] == [(ODD, "spring"), (TWIN, "spring")]
    assert all(one.run_config == {"ops": {"training_plan": {"config": {"scheduled": True}}}} for one in requests)


def test_a_name_asks_once(copied: Terminal):
    """The same submission again adds nothing and says so; without a name each is another."""
    for told in ("now", "before"):
        answer = copied("jobs", "submit", "--tenant", ODD, "--name", "spring", "--json")
        assert [row["asked for"] for row in json.loads(answer.out)] == [told]
    for _ in range(2):
        assert " now " in copied("jobs", "submit", "--tenant", ODD).out
    assert len(inbox(copied)) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "ConfigurationError: give --tenant, once or more often, or --all"),
        (["--all", "--tenant", ODD], "ConfigurationError: give --tenant, once or more often, or --all"),
        (
            ["--tenant", ODD, "--tenant", ODD],
            "ConfigurationError: tenants = ['odd-till', 'odd-till']: each may be given",
        ),
        (["--tenant", ODD, "--tenant", "nobody"], "TenantError: there is no tenant 'nobody'"),
        ([f"--tenant=t{n}" for n in range(101)], "ConfigurationError: tenants = "),
    ],
)
def test_all_or_none(terminal: Terminal, options: list[str], words: str):
    """What breaks a rule is told in one message, and nothing is asked for."""
    answer = terminal("jobs", "submit", *options)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith(words)
    assert inbox(terminal) == []


def test_a_submission_is_one_transaction(copied: Terminal):
    """Where the database stumbles over one tenant's message no other's is there either."""
    stumble(copied, TWIN)
    answer = copied("jobs", "submit", "--tenant", ODD, "--tenant", TWIN)
    assert (answer.status, answer.out) == (1, "")
    assert "RegistryError" in answer.err
    assert inbox(copied) == []


def test_a_run_trains_the_products_that_it_is_told(copied: Terminal):
    """`pipeline run --product` trains these and no other, whatever their state."""
    answer = copied("run", "--tenant", TWIN, "--product", BUTTER, "--json")
    assert answer.status == 0, answer.err
    (row,) = json.loads(answer.out)
    assert (row["trained"], row["skipped"]) == (1, 1)


def test_products_of_several_tenants_cannot_be_meant(terminal: Terminal):
    """Where there are several tenants one has to be named; a product may be given once."""
    answer = terminal("run", "--product", BUTTER)
    assert answer.err.startswith("ConfigurationError: --product belongs to one tenant: say which with --tenant: ")
    twice = terminal("run", "--tenant", TWIN, "--product", BUTTER, "--product", BUTTER)
    assert "products = ['Croissant, butter', 'Croissant, butter']: each may be given once" in twice.err


def test_a_page_of_models_has_its_limits(terminal: Terminal):
    """Filters and paging keep the contract's rules; all faults are told at once."""
    answer = terminal("models", "list", "--tenant", ODD, "--limit", "1001", "--offset", "-1", "--max-wape", "-1")
    told = "max_wape = -1.0: must be at least 0; limit = 1001: must be at most 1000; offset = -1: must be at least 0"
    assert (answer.status, answer.err) == (1, f"ConfigurationError: {told}\n")
