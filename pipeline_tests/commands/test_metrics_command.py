"""`pipeline metrics serve` and what `pipeline monitor` has of metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from contracts import ServingMetricsWindow
from pipeline.monitoring.lineage.log import Ref
from pipeline.monitoring.lineage.walk import back
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import TWIN
from pipeline_tests.monitoring.metrics.scraped import now_of, parsed, value

PRODUCT = tills.STEADY[0]


def windows(folder: Path) -> list[tuple[Path, ServingMetricsWindow]]:
    """Every window in a folder, with its file."""
    lines = [(path, line) for path in sorted(folder.rglob("*.jsonl")) for line in path.read_text().splitlines()]
    return [(path, ServingMetricsWindow.model_validate_json(line)) for path, line in lines]


@pytest.mark.parametrize("command", [("metrics", "serve"), ("monitor", "serve-metrics")])
def test_metrics_are_served_until_it_is_asked_to_stop(copied: Terminal, command: tuple[str, str]) -> None:
    """The first line says where; it ends well when it is told to."""
    typed = [sys.executable, "-m", "pipeline.cli", *command, "--port", "0"]
    environment = copied.world.alone()
    with subprocess.Popen(typed, env=environment, cwd=copied.world.root, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())["address"]
        found = parsed(httpx.get(address).text)
        server.terminate()
        assert server.wait(30) == 0
    assert value(found, "training_jobs_total", tenant_id=TWIN, status="completed") == 1
    assert value(found, "pipeline_queue_up") == 1


def test_a_place_that_cannot_be_had_is_an_error(terminal: Terminal) -> None:
    """Exit status 1, with the place."""
    answer = terminal("metrics", "serve", "--host", "203.0.113.1", "--port", "9464")
    assert (answer.status, answer.out) == (1, "")
    assert "nothing can listen at 203.0.113.1:9464" in answer.err


def test_made_up_metrics_are_printed(fresh: Terminal) -> None:
    """In Prometheus' format, marked as made up; no installation is needed, and none is made."""
    answer = fresh("monitor", "demo-metrics")
    assert (answer.status, answer.err) == (0, "")
    assert value(parsed(answer.out), "pipeline_demo") == 1
    assert not fresh.world.home.root.exists()


def test_predictions_are_simulated(copied: Terminal) -> None:
    """Real forecasts are made and counted; their window is printed and lies where a server would have put it."""
    with copied.world.entered() as opened:
        before = value(now_of(opened), "ml_prediction_total") or 0
        version = opened.registry.champions(TWIN)[PRODUCT].version
    asked = ("--tenant", TWIN, "--product", PRODUCT, "--count", "3", "--deployment", "till 1")
    answer = copied("monitor", "simulate-prediction", *asked)
    assert answer.status == 0, answer.err
    printed = ServingMetricsWindow.model_validate_json(answer.out)
    ((path, window),) = windows(copied.world.home.serving)
    assert printed == window
    assert path.parent == copied.world.home.serving / f"{window.window_end:%Y-%m-%d}" / f"{window.window_end:%H}"
    assert (window.request_count, window.success_count, window.prediction_count, window.failure_count) == (3, 3, 3, 0)
    assert 0 < window.latency_p50_ms <= window.latency_p95_ms <= window.latency_p99_ms
    assert (window.deployment_id, window.model_name, window.model_version) == ("till 1", f"{TWIN}/{PRODUCT}", version)
    assert window.fallback_prediction_count == 0
    made_from = Ref(window.input_dataset_name, window.input_dataset_version)
    assert made_from.name == f"{TWIN}/features"
    assert not back(copied.world.home.lineage, [made_from]).missing, "the lineage knows what the model was made from"
    with copied.world.entered() as opened:
        # The one that the window does not count was made, too.
        assert value(now_of(opened), "ml_prediction_total") == before + 4


def test_predictions_that_fail_are_reported(copied: Terminal, tmp_path: Path) -> None:
    """A product whose sales are gone is a window of failures, and exit status 3."""
    copied.world.home.table(TWIN, "sales").unlink()
    asked = ("--tenant", TWIN, "--product", PRODUCT, "--count", "2", "--folder", tmp_path / "windows")
    answer = copied("monitor", "simulate-prediction", *asked)
    assert answer.status == 3
    assert "2 of 2 failed; the first: SourceNotFoundError" in answer.err
    ((_, window),) = windows(tmp_path / "windows")
    assert (window.request_count, window.success_count, window.failure_count) == (2, 0, 2)


def test_a_product_without_a_model_has_no_window(terminal: Terminal) -> None:
    """Exit status 1, with what would be right."""
    answer = terminal("monitor", "simulate-prediction", "--tenant", TWIN, "--product", "nothing", "--count", "1")
    assert answer.status == 1
    assert "'nothing'" in answer.err
    assert windows(terminal.world.home.serving) == []
