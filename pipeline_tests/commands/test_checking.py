"""`pipeline tenants check`: the checks' findings, by product, with what to do."""

from __future__ import annotations

import json

from pipeline.monitoring.advice import ADVICE
from pipeline.monitoring.findings import HISTORY_CHECKS, REPORT_CHECKS
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD


def test_findings_are_told_with_what_to_do(terminal: Terminal):
    """The young, the rare and the mistyped product each have their finding and a recommendation; errors come first."""
    answer = terminal("tenants", "check", ODD, "--recommend", "--json")
    rows = json.loads(answer.out)
    assert answer.status == 1
    assert {("minimum_history", tills.SHORT), ("zero_share", tills.RARE), ("outliers", tills.MISTYPED)} <= {
        (row["check"], row["product"]) for row in rows
    }
    severities = [row["severity"] for row in rows]
    assert severities == sorted(severities)
    assert all(row["what to do"] == ADVICE[row["check"], row["severity"]] for row in rows)
    (typed,) = [row for row in rows if row["check"] == "outliers"]
    assert any(tills.TYPED_ON in example for example in typed["examples"])


def test_one_product_is_told_of_alone(terminal: Terminal):
    """With --product nothing else is told; a product without an error is exit status 0, without advice unless asked."""
    answer = terminal("tenants", "check", ODD, "--product", tills.MISTYPED, "--json")
    rows = json.loads(answer.out)
    assert answer.status == 0
    assert {row["product"] for row in rows} == {tills.MISTYPED}
    assert "what to do" not in rows[0]


def test_the_table_fits_the_terminal(terminal: Terminal):
    """Whatever products are called, no line is wider than the terminal."""
    answer = terminal("tenants", "check", ODD, "--recommend")
    assert answer.status == 1, answer.err
    assert max(map(len, answer.lines)) <= 80


def test_an_unknown_product_is_refused(terminal: Terminal):
    """It is named, with its tenant."""
    answer = terminal("tenants", "check", ODD, "--product", "cake")
    said = f"ConfigurationError: products = 'cake': tenant {ODD!r} does not sell it\n"
    assert (answer.status, answer.err) == (1, said)


def test_every_check_has_advice():
    """No check of the sales is left without words on what to do, and none has words that is not there."""
    assert {check for check, _ in ADVICE} == {*REPORT_CHECKS, *HISTORY_CHECKS}
