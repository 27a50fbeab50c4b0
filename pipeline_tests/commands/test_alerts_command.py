"""`pipeline alerts`: what needs a person, and closing it."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from contracts import Severity
from pipeline.installation import Installation
from pipeline.registry.alerts import Subject, Trouble
from pipeline.settings import Settings
from pipeline_tests.commands.conftest import Terminal

NIGHT = dt.datetime(2024, 7, 20, 2, 0, tzinfo=dt.UTC)
GONE = Trouble(Severity.MEDIUM, "sales: SourceError: till.csv is not there (run 7)", "Mend the sales.")


@pytest.fixture
def installation(fresh: Terminal) -> Installation:
    """The installation that the terminal works on: a bakery's training has failed, and the purge of old runs."""
    made = Installation(Settings(pipeline_home=fresh.world.home.root))
    made.registry.note_trouble(Subject("run_failed", "bakery", "train_and_forecast"), GONE, NIGHT)
    made.registry.note_trouble(Subject("run_failed", "", "purge_dagster_history"), GONE, NIGHT)
    return made


def test_open_alerts_are_listed(fresh: Terminal, installation: Installation) -> None:
    """Each with its tenant, severity, message and what helps; the last first, one tenant's where it is asked for."""
    purge, training = json.loads(fresh("alerts", "list", "--json").out)
    assert (purge["tenant_id"], purge["subject"]) == ("", "purge_dagster_history")
    assert (training["tenant_id"], training["kind"], training["severity"]) == ("bakery", "run_failed", "medium")
    assert (training["message"], training["action"], training["times"]) == (GONE.message, GONE.action, 1)
    (alone,) = json.loads(fresh("alerts", "list", "--tenant", "bakery", "--json").out)
    assert alone["id"] == training["id"]
    table = fresh("alerts", "list").out
    assert {"bakery", "(all)", "medium", "run_failed"} <= set(table.split())
    assert max(map(len, table.splitlines())) <= 80


def test_an_alert_is_closed(fresh: Terminal, installation: Installation) -> None:
    """It leaves the list, and stands in the one of ended ones with who closed it, and why."""
    number = str(installation.registry.alerts("bakery")[0].id)
    answer = fresh("alerts", "close", number, "--reason", "the shop has closed")
    assert answer.lines == [f"alert {number} is closed: run_failed of train_and_forecast, seen 1 times"]
    assert json.loads(fresh("alerts", "list", "--tenant", "bakery", "--json").out) == []
    (ended,) = json.loads(fresh("alerts", "list", "--tenant", "bakery", "--ended", "--json").out)
    assert ended["outcome"].endswith(": the shop has closed")
    again = fresh("alerts", "close", number, "--reason", "again")
    assert again.status == 1
    assert f"no open alert has the number {number}" in again.err


def test_no_alert_is_said(fresh: Terminal) -> None:
    """An installation in which nothing has failed says so."""
    assert fresh("alerts", "list").lines == ["no alert is open"]
    assert fresh("alerts", "list", "--ended").lines == ["no alert"]
    assert fresh("alerts", "close", "1").status == 2
