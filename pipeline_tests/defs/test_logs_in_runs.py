"""What is logged inside a run of Dagster's, whoever launched it, says which run it was and what caused it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline import logs
from pipeline.defs.resources import InstallationResource
from pipeline_tests.defs.world import World

LOG = logging.getLogger("pipeline.in_a_run")


@dg.asset
def talker(installation: InstallationResource) -> None:
    """Log a line, as the pipeline's own assets do."""
    LOG.warning("at work in %s", installation.open().home.root.name)


def told_by(tags: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> tuple[str, dict[str, Any]]:
    """Run the asset as a run process does, where nobody has configured logging: the run's id, and its line."""
    with World(tmp_path).around(), dg.DagsterInstance.ephemeral() as instance, logs.bound():
        resources = {"installation": InstallationResource(pipeline_home=None)}
        run = dg.materialize([talker], instance=instance, resources=resources, tags=tags)
    said = [line for line in capfd.readouterr().err.splitlines() if LOG.name in line and line.startswith("{")]
    return run.run_id, json.loads(said[0])


def test_a_run_names_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Logging is configured by the run's resource; without a cause the run is its own. After it nothing is bound."""
    run_id, line = told_by({"dagster/partition": "bakery/croissant"}, tmp_path, capfd)
    assert (line["run"], line["tenant"], line["correlation"]) == (run_id, "bakery", run_id)
    assert logs.context() == {}


def test_a_run_names_its_cause(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The message that asked for a run is on each of its lines."""
    run_id, line = told_by({"tenant": "cafe", logs.CORRELATION_TAG: "message-7"}, tmp_path, capfd)
    assert (line["run"], line["tenant"], line["correlation"]) == (run_id, "cafe", "message-7")
