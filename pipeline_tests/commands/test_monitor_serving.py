"""`pipeline monitor serving-health`: a table for people, JSON for machines, an exit status by outcome."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.monitoring.servers import file_at, report, steady

COMMAND = ("monitor", "serving-health")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What two servers have reported: one is well, one is slow; and a line that is none."""
    now = dt.datetime.now(dt.UTC)
    report(tmp_path / "metrics", steady(10, now=now, deployment_id="well"))
    report(tmp_path / "metrics", steady(10, now=now, deployment_id="slow", latency_p95_ms=800), "slow.jsonl")
    file_at(tmp_path / "metrics", now, "bad.jsonl").write_bytes(b"hello\n")
    return tmp_path / "metrics"


def test_machines_get_json_and_an_exit_status(fresh: Terminal, folder: Path) -> None:
    """Not at a terminal JSON comes unasked; 3 where a deployment is not healthy, 0 where the chosen one is."""
    answer = fresh(*COMMAND, "--path", folder)
    assert answer.status == 3
    told = json.loads(answer.out)
    assert {one["deployment_id"]: one["status"] for one in told["deployments"]} == {
        "slow": "degraded",
        "well": "healthy",
    }
    assert [(Path(one["path"]).name, one["line"]) for one in told["faults"]] == [("bad.jsonl", 1)]
    alone = fresh(*COMMAND, "--path", folder, "--deployment", "well", "--json")
    assert (alone.status, len(json.loads(alone.out)["deployments"])) == (0, 1)


def test_no_hours_reach_beyond_a_year(fresh: Terminal, folder: Path) -> None:
    """So many hours that no date lies so far back are refused as an argument."""
    answer = fresh(*COMMAND, "--path", folder, "--hours", "99999999")
    assert answer.status == 2
    assert "8784" in answer.err


def test_people_get_a_table_that_fits(fresh: Terminal, folder: Path) -> None:
    """80 columns hold status and detail; what could not be used is said on stderr, with its place."""
    answer = fresh(*COMMAND, "--path", folder, "--table")
    assert answer.status == 3
    assert {"slow", "degraded", "well", "healthy"} <= set(answer.out.split())
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "bad.jsonl, line 1: Invalid JSON" in answer.err


def test_strict_stops_at_the_first_fault(fresh: Terminal, folder: Path) -> None:
    """With --strict the bad line is our error: exit status 1, file, line and reason on stderr, nothing on stdout."""
    answer = fresh(*COMMAND, "--path", folder, "--strict")
    assert (answer.status, answer.out) == (1, "")
    assert "MetadataError: " in answer.err
    assert "bad.jsonl, line 1: Invalid JSON" in answer.err


def test_what_is_not_there_is_said(fresh: Terminal, folder: Path) -> None:
    """No folder and no such deployment are errors; no deployment at all, in the usual folder, is well."""
    assert "is no folder" in fresh(*COMMAND, "--path", folder / "nowhere").err
    missing = fresh(*COMMAND, "--path", folder, "--deployment", "other")
    assert missing.status == 1
    assert "'other' was read in" in missing.err
    assert "there are: slow, well" in missing.err
    nothing = fresh(*COMMAND, "--table")
    assert (nothing.status, nothing.lines[0][:15]) == (0, "no deployment: ")
    broken = fresh.world.home.monitoring / "serving_health.json"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"{")
    unread = fresh(*COMMAND)
    assert unread.status == 1
    assert "remove it, and it is made anew" in unread.err


def test_the_usual_folder_is_a_setting(fresh: Terminal, folder: Path) -> None:
    """SERVING_METRICS_PATH is read without --path, and thresholds are settings."""
    there = {"SERVING_METRICS_PATH": str(folder)}
    assert fresh(*COMMAND, **there).status == 3
    assert fresh(*COMMAND, SERVING_P95_MS="800", **there).status == 0
