"""Log lines: their form, what is on each, and that nothing secret is."""

from __future__ import annotations

import datetime as dt
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from pipeline import logs
from pipeline.compute import map_unordered
from pipeline.settings import Settings
from pipeline_tests import compute_tasks as tasks

LOG = logging.getLogger("pipeline.something")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What stands on stderr, each line as JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the moment in UTC, the level, the logger, the text, and what is bound, in this order."""
    logs.configure(Settings())
    with logs.bound(run="r-1", tenant="bakery", correlation=None), logs.bound(product="Käse"):
        LOG.warning("%d days\nare new", 3)
    LOG.warning("later")
    first, later = lines(capsys)
    assert list(first) == ["timestamp", "level", "logger", "event", "run", "tenant", "product"]
    moment = dt.datetime.fromisoformat(first["timestamp"])
    assert first["timestamp"].endswith("Z")
    assert abs(moment - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    assert list(first.values())[1:] == ["warning", LOG.name, "3 days\nare new", "r-1", "bakery", "Käse"]
    assert list(later) == ["timestamp", "level", "logger", "event"]


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """LOG_FORMAT=text is one line to be read, with the same fields."""
    logs.configure(Settings(log_format="text"))
    with logs.bound(tenant="bakery"):
        LOG.warning("slow")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.split("Z ", 1)[1].split() == ["[warning", "]", "slow", f"[{LOG.name}]", "tenant=bakery"]


def test_levels(capsys: pytest.CaptureFixture[str]) -> None:
    """LOG_LEVEL is ours; of libraries nothing below INFO is told, since that holds rows and headers."""
    logs.configure(Settings(log_level="DEBUG"))
    logs.configure(Settings(log_level="DEBUG"))
    LOG.debug("ours")
    logging.getLogger("httpcore.http11").debug("send_request_headers Authorization")
    logging.getLogger("sqlalchemy.engine.Engine").debug("Row (1, 2)")
    logging.getLogger("httpx").info("theirs")
    assert [line["event"] for line in lines(capsys)] == ["ours", "theirs"]
    logs.configure(Settings(log_level="ERROR"))
    LOG.warning("not told")
    logging.getLogger("httpx").warning("nor this")
    assert lines(capsys) == []


def test_errors_warnings_and_broken_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracebacks, Python's warnings, uncaught errors and lines that cannot be made are lines too, without secrets."""
    monkeypatch.setenv("PIPELINE_SOURCE_KEY", "s3cret-word")
    logs.configure(Settings())
    try:
        int("s3cret-word")
    except ValueError as error:
        LOG.exception("failed with %s", "s3cret-word")
        sys.excepthook(type(error), error, error.__traceback__)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("deprecated s3cret-word", stacklevel=1)
    (ours,) = [handler for handler in logging.getLogger().handlers if handler.name == logs.HANDLER]
    ours.handle(logging.LogRecord(LOG.name, logging.INFO, __file__, 1, "%d days", ("s3cret-word",), None))
    said = capsys.readouterr().err
    assert "s3cret-word" not in said
    failed, uncaught, warned, broken = [json.loads(line) for line in said.splitlines()]
    assert failed["exception"].endswith("ValueError: invalid literal for int() with base 10: '***'")
    assert (
        uncaught["level"],
        "ValueError: invalid literal for int() with base 10: '***'" in uncaught["exception"],
    ) == ("critical", True)
    assert (warned["logger"], "UserWarning: deprecated ***" in warned["event"]) == ("py.warnings", True)
    assert broken["event"].startswith(f"a line of {LOG.name} at {__file__}")


def test_a_message_is_a_line_where_lines_alone_are_wanted(tmp_path: Path) -> None:
    """With LOG_FORMAT=json a command's error is one line of JSON on stderr; else it stays a sentence."""
    wrong = [sys.executable, "-m", "pipeline.cli", "forecast", "show", "--tenant", "nobody"]
    environment = {"PYTHONPATH": ":".join(sys.path), "LOG_FORMAT": "json", "PIPELINE_HOME": str(tmp_path)}
    done = subprocess.run(wrong, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    line = json.loads(done.stderr)
    assert (line["level"], line["event"].partition(" ")[0]) == ("error", "TenantError:")


def test_workers_log_as_their_parent_does(capfd: pytest.CaptureFixture[str]) -> None:
    """A worker's lines have the parent's form, level and context, that of the moment when its task was given."""
    logs.configure(Settings(log_level="DEBUG", log_format="json", model_signing_key="sixteen letters!"))  # type: ignore[arg-type]
    with logs.bound(tenant="bakery", job="j-1"):
        outcomes = list(map_unordered(tasks.log, ["a", "sixteen letters!"], workers=2, timeout=60))
    assert [one.error for one in outcomes] == [None, None]
    told = sorted((json.loads(line) for line in capfd.readouterr().err.splitlines()), key=lambda one: one["event"])
    assert [(one["event"], one["tenant"], one["job"], one["level"]) for one in told] == [
        ("at work on ***", "bakery", "j-1", "debug"),
        ("at work on a", "bakery", "j-1", "debug"),
    ]
