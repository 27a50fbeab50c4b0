"""Rules and dashboard: true to the settings and to what is exported, tried by Prometheus' own tools and by itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pipeline.monitoring.metrics.catalogue import MEASURES, Kind
from pipeline.settings import Settings
from pipeline_tests.defs.world import World
from pipeline_tests.monitoring.metrics.scraped import fill, made

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
RECORDED = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
DASHBOARD = DEPLOY / "grafana" / "pipeline.json"
OURS = re.compile(r"\b(?:training_|models_|model_|ml_|pipeline_)\w+")
UNITS = {"short", "none", "s", "percent", "percentunit"}
SECONDS = 60


def tool(name: str) -> str:
    """One of Prometheus' programs; without it a test is skipped, but for CI, which has to have it."""
    found = shutil.which(name)
    if found is None:
        lacking = f"{name} is not installed: `apt-get install prometheus` has it"
        (pytest.fail if "CI" in os.environ else pytest.skip)(lacking)
    return str(found)


def promtool(*arguments: str | Path) -> str:
    """Run promtool; what it says is an error unless it is content."""
    done = subprocess.run([tool("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> dict[str, dict[str, Any]]:
    """The alert rules by name."""
    read = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return {rule["alert"]: rule for group in read["groups"] for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def questions() -> list[str]:
    """What the dashboard's panels ask, of all tenants."""
    return [target["expr"].replace("$tenant", ".*") for panel in panels() for target in panel["targets"]]


def series() -> set[str]:
    """Every name that the endpoint exports."""
    return {
        f"{one.exported}{ending}"
        for one in MEASURES.values()
        for ending in (("_bucket", "_sum", "_count") if one.kind is Kind.HISTOGRAM else ("",))
    }


def test_the_example_configuration_can_be_used() -> None:
    """With the rules beside it."""
    assert "SUCCESS" in promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_rules_fire_as_recorded(recorded: Path) -> None:
    """On recorded series each alert fires when it should, and does not before, after, or for what is well."""
    assert "SUCCESS" in promtool("test", "rules", recorded)


def test_every_rule_is_seen_firing_and_not() -> None:
    """The recorded series leave no rule out."""
    cases = [
        (case["alertname"], bool(case["exp_alerts"]))
        for path in RECORDED
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
    ]
    assert set(cases) == {(name, fires) for name in rules() for fires in (True, False)}


def test_rules_have_the_thresholds_of_the_settings() -> None:
    """The same numbers decide about the same alerts without a server."""
    settings, found = Settings(), rules()
    assert found["BreakerOpen"]["for"] == f"{settings.alert_breaker_minutes:g}m"
    assert found["QueueLong"]["for"] == f"{settings.alert_queue_minutes:g}m"
    assert found["QueueLong"]["expr"].endswith(f" > {settings.alert_queue_depth}")
    assert f"[{settings.alert_checksum_hours:g}h]" in found["ChecksumFailed"]["expr"]
    least, most = settings.alert_coverage_least, settings.alert_coverage_most
    assert f"< {least:g} or" in found["CoverageOutOfRange"]["expr"]
    assert found["CoverageOutOfRange"]["expr"].endswith(f"> {most:g}")


def test_rules_and_panels_name_what_is_exported() -> None:
    """Nothing is asked for that no endpoint has."""
    asked = [*questions(), *(rule["expr"] for rule in rules().values())]
    named = {name for question in asked for name in OURS.findall(question)}
    assert named - series() == set()
    assert all(OURS.search(question) or "up{" in question for question in asked)


def test_rules_say_how_severe_and_what_helps() -> None:
    """Each in the words of the alerts of the command line."""
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in {"low", "medium", "high"}, name
        assert set(rule["annotations"]) == {"summary", "action"}, name


def test_the_dashboard_is_whole() -> None:
    """Every panel has a title, a description, a unit, a place of its own and a question."""
    places = set()
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["targets"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, panel["title"]
        assert max(x for x, _ in cells) < 24
        places |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
    titles = " ".join(panel["title"] for panel in panels()).lower()
    for wanted in ("breaker", "success rate", "duration", "accuracy", "error", "queue", "stale", "age"):
        assert wanted in titles


def test_the_dashboards_questions_can_be_asked(tmp_path: Path) -> None:
    """Each is PromQL, by Prometheus' own parser."""
    asked = [{"record": f"q{number}", "expr": question} for number, question in enumerate(questions())]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": asked}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", tmp_path / "asked.yml")


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


@contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that lives as long as the block."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Callable[..., Any]]:
    """A Prometheus that scrapes a target every second, with our rules; gives what asks its API."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES)]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    place = f"127.0.0.1:{free_port()}"
    options = (f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}")
    with (
        (folder / "prometheus.log").open("w") as log,
        running(tool("prometheus"), *options, f"--web.listen-address={place}", stdout=log, stderr=log),
    ):

        def ask(path: str, **parameters: str) -> Any:
            answer = httpx.get(f"http://{place}/api/v1/{path}", params=parameters).json()
            assert answer["status"] == "success", answer
            return answer["data"]

        yield ask


def awaited(question: Callable[[], Any]) -> Any:
    """The first answer that is not empty; what nobody answers yet is asked again."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            if answer := question():
                return answer
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"no answer within {SECONDS} s")


@pytest.mark.long
def test_a_real_prometheus_scrapes_it(tmp_path: Path) -> None:
    """It is up, has the figures of the registry and the rules, alerts what is wrong, and answers every panel."""
    tool("prometheus")
    world = World(tmp_path / "world")
    opened = made(world.home.root, "bakery")
    fill(opened)
    served = running(
        sys.executable, "-m", "pipeline.cli", "metrics", "serve", "--port", "0",
        env=world.alone(), cwd=tmp_path, stdout=subprocess.PIPE,
    )  # fmt: skip
    with served as server:
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())["address"]
        target = address.removeprefix("http://").removesuffix("/metrics")
        with prometheus(tmp_path, target) as ask:

            def value(query: str) -> list[float]:
                return [float(one["value"][1]) for one in ask("query", query=query)["result"]]

            assert awaited(lambda: value('up{job="pipeline"} == 1')) == [1]
            assert value('training_jobs_total{tenant_id="bakery", status="failed"}') == [1]
            assert value('model_mae_bucket{tenant_id="bakery", le="5.0"}') == [1]
            assert value("pipeline_queue_up") == value("pipeline_registry_up") == [1]
            assert value("ml_prediction_total") == [8]
            assert {rule["name"] for group in ask("rules")["groups"] for rule in group["rules"]} == set(rules())
            alerts = awaited(lambda: ask("alerts")["alerts"])
            states = {one["labels"]["alertname"]: one["state"] for one in alerts}
            assert states["BreakerOpen"] == "pending"
            opened.registry.finish_job(
                opened.registry.start_job("bakery", name="x", cause="x", requested_by="x"), "failed", counts={}
            )
            firing = 'ALERTS{alertstate="firing", alertname="TrainingFailed", tenant_id="bakery"}'
            assert awaited(lambda: value(firing)) == [1]
            for question in questions():
                ask("query", query=question)
        assert server.poll() is None
    assert server.returncode == 0
