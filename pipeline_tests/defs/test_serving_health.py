"""The asset `serving_health` and its check: one evaluation a deployment, and one of all together."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import dagster as dg
import pytest

from contracts import DeploymentHealthState
from pipeline.defs.monitoring.serving_health import told_apart
from pipeline.monitoring.metrics.read import MOST_DEPLOYMENTS
from pipeline_tests.defs.server import Server, serving
from pipeline_tests.defs.world import World, definitions
from pipeline_tests.monitoring.metrics.scraped import deployment
from pipeline_tests.monitoring.servers import file_at, report, steady, window

CHECK, TOGETHER = "deployment_healthy", "deployments_healthy"


def metrics(world: World) -> Path:
    """Where the servers of a world write."""
    return world.home.root / "artifacts" / "serving" / "metrics"


def reported(world: World) -> None:
    """Three deployments report: one is well, one is slow, one fell silent half an hour ago; one line is torn."""
    now = dt.datetime.now(dt.UTC)
    report(metrics(world), steady(30, now=now, deployment_id="well"))
    report(metrics(world), steady(30, now=now, deployment_id="slow/é", latency_p95_ms=800), "slow.jsonl")
    report(metrics(world), [window(30, now=now, deployment_id="silent")], "silent.jsonl")
    file_at(metrics(world), now, "torn.jsonl").write_bytes(b'{"schema_version": "v1"')


def judged(world: World) -> dg.ExecuteInProcessResult:
    """One round of the feedback layer."""
    with world.instance() as instance:
        result = definitions().resolve_job_def("feedback").execute_in_process(instance=instance)
    assert result.success
    return result


def by_deployment(result: dg.ExecuteInProcessResult) -> dict[str | None, dg.AssetCheckEvaluation]:
    """What the checks found, by deployment; None: all together."""
    found = [one for one in result.get_asset_check_evaluations() if one.check_name in (CHECK, TOGETHER)]
    together = [one for one in found if one.partition is None]
    assert sorted((one.asset_key.to_user_string(), one.check_name) for one in together) == [
        ("deployments", CHECK), ("serving_health", TOGETHER),
    ]  # fmt: skip
    assert together[0].description == together[1].description
    return {one.partition: one for one in found}


def test_each_deployment_has_an_evaluation(empty: World) -> None:
    """The check tells of each deployment with status, detail and severity; of all together it names the bad ones."""
    reported(empty)
    found = by_deployment(judged(empty))
    assert {name: one.passed for name, one in found.items()} == {
        None: False, "well": True, "slow/é": False, "silent": False,
    }  # fmt: skip
    assert found["well"].description == "well is healthy: all checks passed"
    assert found["slow/é"].description == "slow/é is degraded: the latest p95 of predict is 800 ms, at most 500 ms"
    assert str(found["silent"].description).startswith("silent is unhealthy: the latest window ended ")
    assert [found[name].severity.name for name in (None, "silent", "slow/é")] == ["ERROR", "ERROR", "WARN"]
    named = [record.data["deployment"] for record in found[None].metadata["named"].records]  # type: ignore[union-attr]
    assert named == ["silent", "slow/é"]
    assert str(found[None].description).startswith("2 of 3 deployments are not healthy; silent: ")


def test_what_was_found_is_stored_and_shown(empty: World) -> None:
    """The file and the metadata hold the deployments, the counts and the faults; a plot of p95 is there and small."""
    reported(empty)
    result = judged(empty)
    stored = json.loads((empty.home.monitoring / "serving_health.json").read_bytes())
    assert [(one["deployment_id"], one["status"]) for one in stored["deployments"]] == [
        ("silent", "unhealthy"), ("slow/é", "degraded"), ("well", "healthy"),
    ]  # fmt: skip
    assert (stored["windows"], stored["fault_count"], stored["conflicts"]) == (61, 1, [])
    assert "torn" in stored["faults"][0]["reason"]
    (made,) = result.asset_materializations_for_node("serving_health")
    noted = result.asset_observations_for_node("serving_health")
    each = {one.partition: one.description for one in noted if one.asset_key == dg.AssetKey("deployments")}
    assert each["well"] == "healthy: all checks passed"
    assert sorted(map(str, each)) == ["silent", "slow/é", "well"]
    values = {name: entry.value for name, entry in made.metadata.items()}
    assert {name: values[name] for name in ("healthy", "degraded", "unhealthy", "windows", "faults", "conflicts")} == {
        "healthy": 1, "degraded": 1, "unhealthy": 1, "windows": 61, "faults": 1, "conflicts": 0,
    }  # fmt: skip
    assert str(values["p95"]).count("data:image/svg+xml;base64,") == 3
    assert len(str(made.metadata)) < 15_000


def test_without_deployments_the_check_passes_and_says_so(empty: World) -> None:
    """An installation in which no model is served is well."""
    found = by_deployment(judged(empty))
    assert set(found) == {None}
    assert (found[None].passed, found[None].description) == (
        True, "there are no deployments: no window has been reported",
    )  # fmt: skip


def test_one_that_falls_silent_is_told_until_it_is_forgotten(empty: World) -> None:
    """A deployment whose windows are older than the look-back stays unhealthy, and goes after a week."""
    now = dt.datetime.now(dt.UTC)
    report(metrics(empty), [window(23 * 60, now=now, deployment_id="gone")])
    assert not by_deployment(judged(empty))["gone"].passed
    place = empty.home.monitoring / "serving_health.json"
    stored = json.loads(place.read_bytes())
    for days, told in ((6.9, True), (7.1, False)):
        moved = (now - dt.timedelta(days=days)).isoformat()
        stored["deployments"] = [{**one, "latest_window_end": moved} for one in stored["deployments"]]
        place.write_text(json.dumps(stored))
        for path in metrics(empty).rglob("*.jsonl"):
            path.unlink()
        assert ("gone" in by_deployment(judged(empty))) is told
    with empty.instance() as instance:
        assert instance.get_dynamic_partitions("deployments") == []


def test_servers_that_are_of_no_use_fail_the_check(empty: World) -> None:
    """Where every window of a server had to be set aside all are not well, however many others are."""
    now = dt.datetime.now(dt.UTC)
    report(metrics(empty), steady(30, now=now, deployment_id="well"))
    report(metrics(empty), [window(-5, now=now, deployment_id="ahead")], "ahead.jsonl")
    found = [one for one in judged(empty).get_asset_check_evaluations() if one.check_name == TOGETHER]
    assert not found[0].passed
    assert "files or folders of servers that gave no window: 1" in str(found[0].description)
    assert "ahead.jsonl: window_end: " in str(found[0].description)


def test_a_file_that_cannot_be_read_is_written_anew(empty: World) -> None:
    """What was remembered last may be torn: this round looks all the same, and the next knows again."""
    reported(empty)
    judged(empty)
    place = empty.home.monitoring / "serving_health.json"
    place.write_text('{"deployments": [')
    assert set(by_deployment(judged(empty))) == {None, "well", "slow/é", "silent"}
    assert len(json.loads(place.read_bytes())["deployments"]) == 3


def test_deployments_that_are_told_apart_are_bounded() -> None:
    """However many servers report, a round keeps events of so many, the worst first."""
    states = [
        DeploymentHealthState.model_validate_json(json.dumps(deployment(f"{number:04}", status)))
        for number, status in enumerate(["healthy", "degraded", "unhealthy"] * MOST_DEPLOYMENTS)
    ]
    told = told_apart(states)
    assert len(told) == MOST_DEPLOYMENTS
    assert {one.status.value for one in told} == {"unhealthy"}


QUERY = """query { assetNodeOrError(assetKey: {path: ["deployments"]}) {
  ... on AssetNode { partitionKeys assetChecksOrError { ... on AssetChecks { checks { name
    partitionStatuses { ... on AssetCheckDefaultPartitionStatuses { succeededPartitions failedPartitions } } } } } } }
  assetCheckExecutions(assetKey: {path: ["deployments"]}, checkName: "deployment_healthy", limit: 20) {
    status evaluation { partition description } } }"""


@pytest.mark.long
def test_the_ui_shows_each_deployment(empty: World, tmp_path: Path) -> None:
    """After a round its server tells each deployment of now as a partition, with status and detail of its check."""
    empty.root.mkdir()
    reported(empty)
    with serving(empty, tmp_path / "dev.log") as server:
        launched(server)
        said = server.ask(QUERY)
    assert sorted(said["assetNodeOrError"]["partitionKeys"]) == ["silent", "slow/é", "well"]
    (check,) = said["assetNodeOrError"]["assetChecksOrError"]["checks"]
    assert check["partitionStatuses"]["succeededPartitions"] == ["well"]
    assert sorted(check["partitionStatuses"]["failedPartitions"]) == ["silent", "slow/é"]
    told = {one["evaluation"]["partition"]: (one["status"], one["evaluation"]) for one in said["assetCheckExecutions"]}
    assert {name: status for name, (status, _) in told.items()} == {
        None: "FAILED", "well": "SUCCEEDED", "slow/é": "FAILED", "silent": "FAILED",
    }  # fmt: skip
    assert "the latest p95 of predict is 800 ms" in told["slow/é"][1]["description"]


def launched(server: Server) -> None:
    """Launch a round as the button in the UI does, and wait until it has ended."""
    where = {"repositoryName": "__repository__", "repositoryLocationName": "pipeline", "pipelineName": "feedback"}
    launch = "mutation ($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) { __typename %s } }"
    answer = "... on LaunchRunSuccess { run { runId } } ... on PythonError { message }"
    found = server.ask(launch % answer, p={"selector": where, "mode": "default"})
    assert found["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess", found
    server.wait("the run ends", lambda: {run["status"] for run in server.runs()} <= {"SUCCESS", "FAILURE"} or None)
    assert {run["status"] for run in server.runs()} == {"SUCCESS"}, server.tail()
