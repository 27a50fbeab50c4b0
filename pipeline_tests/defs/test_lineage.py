"""Lineage of real runs: noted where things are made, whole from the forecast to the files, and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from contracts import DatasetMetadata, LineageEvent, TrainingMetadata
from pipeline.cli import app
from pipeline.keys import partition_key
from pipeline.monitoring.lineage.log import Ref, day_files
from pipeline.monitoring.lineage.walk import back, forward
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, Finished, World, definitions
from pipeline_tests.monitoring import foreign
from pipeline_tests.monitoring.lineage.events import receiver

BREAD = tills.STEADY[0]


def noted(world: World) -> list[LineageEvent]:
    """Every event that a world has noted."""
    lines = [line for path in day_files(world.home.lineage) for line in path.read_bytes().splitlines()]
    return [LineageEvent.model_validate_json(line) for line in lines if line]


def version(world: World, tenant_id: str, name: str) -> Ref:
    """The version of a tenant's table."""
    path = world.home.table(tenant_id, name).with_suffix(".json")
    found = DatasetMetadata.model_validate_json(path.read_bytes())
    assert found.dataset_name == f"{tenant_id}/{name}"
    return Ref(found.dataset_name, found.dataset_version)


def watched(world: World, **settings: str) -> tuple[dict[str, Any], dg.AssetCheckEvaluation]:
    """Materialize `lineage` with its check, and return its metadata and what the check found."""
    checks = [one for one in definitions().asset_checks or () if "lineage_whole" in str(one.check_keys)]
    with world.entered(**settings), dg.DagsterInstance.get() as instance:
        result = dg.materialize(
            [definitions().get_assets_def("lineage"), *checks],
            instance=instance,
            resources=definitions().resources,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        (made,) = result.asset_materializations_for_node("lineage")
        (found,) = result.get_asset_check_evaluations()
    return {name: getattr(value, "records", value.value) for name, value in made.metadata.items()}, found


def test_a_run_notes_each_step(finished: Finished) -> None:
    """Sales, features, each trained model, each promotion and the forecast of a tenant are noted once."""
    names = [
        (one.event_type, next(v.name for v in (*one.outputs.values(), *one.inputs.values())))
        for one in noted(finished.world)
    ]
    ours = sorted(one for one in names if one[1].startswith(f"{ODD}/"))
    with finished.world.entered() as installation:
        champions = installation.registry.champions(ODD)
    trained = [("training_run_completed", partition_key(ODD, product)) for product in tills.TRAINED]
    promoted = [("model_promoted", partition_key(ODD, product)) for product in champions]
    built = [("dataset_build_completed", f"{ODD}/features"), ("dataset_build_completed", f"{ODD}/sales")]
    assert ours == sorted([*built, ("forecast_completed", f"{ODD}/forecasts"), *trained, *promoted])


def test_a_forecast_leads_back_to_its_file_and_a_file_forward(finished: Finished) -> None:
    """From the forecast in use to the file and its SHA-256 without a gap; from the sales to all that was made."""
    import hashlib

    world = finished.world
    trail = back(world.home.lineage, [version(world, ODD, "forecasts")])
    assert (trail.missing, trail.faults) == (set(), [])
    (file,) = trail.made[version(world, ODD, "sales")].metadata["files"]
    assert file["sha256"] == hashlib.sha256((world.root / "exports" / "odd.csv").read_bytes()).hexdigest()
    ahead = forward(world.home.lineage, [version(world, ODD, "sales")])
    models = {partition_key(ODD, product) for product in tills.TRAINED}
    assert {ref.name for ref in ahead.made} == models | {f"{ODD}/features", f"{ODD}/forecasts"}


def test_the_last_training_is_described(finished: Finished) -> None:
    """A line for each trained model with its errors, its times, and the version of the features that it learnt from."""
    path = finished.world.home.tenant(ODD) / "training_metadata.ndjson"
    found = [TrainingMetadata.model_validate_json(line) for line in path.read_bytes().splitlines()]
    with finished.world.entered() as installation:
        models = {
            product: installation.registry.manifest(ODD, product, one.version)
            for product, one in installation.registry.latest(ODD).items()
        }
    scored = {partition_key(ODD, product): one for product, one in models.items() if one.metrics.mae is not None}
    assert {one.model_name for one in found} == set(scored)
    for one in found:
        manifest = scored[one.model_name]
        assert (one.metrics.mae, one.metrics.rmse) == (manifest.metrics.mae, manifest.metrics.rmse)
        assert (one.completed_at - one.started_at).total_seconds() == pytest.approx(manifest.seconds, abs=1e-3)
        assert Ref(one.input_dataset_name, one.input_dataset_version) == version(finished.world, ODD, "features")


def test_versions_change_with_the_content_alone(copy: World) -> None:
    """A run of the same sales leaves the versions of sales and features; one more day's changes both."""
    before = [version(copy, TWIN, name) for name in ("sales", "features")]
    assert copy.run(TWIN, "check_data").success
    assert [version(copy, TWIN, name) for name in ("sales", "features")] == before
    place = copy.root / "more"
    place.mkdir()
    sales = tills.odd_sales()
    twin = sales[sales["product_id"].isin(tills.STEADY[:2])].assign(quantity=lambda f: f["quantity"] * 3 + 1)
    copy.add(TWIN, tills.write(twin, place / "twin.csv"), country="FR")
    assert copy.run(TWIN).success
    assert all(
        old != new for old, new in zip(before, [version(copy, TWIN, n) for n in ("sales", "features")], strict=True)
    )
    trail = back(copy.home.lineage, [version(copy, TWIN, "forecasts")])
    assert (trail.missing, version(copy, TWIN, "sales") in trail.made) == (set(), True)


def test_the_asset_counts_and_the_check_passes(copy: World) -> None:
    """The last day's events by tenant and type; every forecast in use is whole; what waits goes to a real receiver."""
    with receiver() as server:
        told, check = watched(copy, OPENLINEAGE_URL=server.address)
    assert (check.passed, check.metadata["forecasts"].value, check.metadata["gaps"].value) == (True, 2, 0)
    counts = {(one.data["tenant"], one.data["type"]): one.data["events"] for one in told["recorded"]}
    assert counts[ODD, "training_run_completed"] == len(tills.TRAINED)
    assert told["events"] == sum(counts.values()) == len(server.bodies) == told["openlineage_sent"]


def test_the_check_names_gaps_and_faulty_lines(copy: World) -> None:
    """Without the event of the features, and with a line of garbage, the check fails and names both."""
    (path,) = day_files(copy.home.lineage)
    features = version(copy, ODD, "features")
    kept = [
        line
        for line in path.read_bytes().splitlines()
        if f'"outputs":{{"dataset":{{"name":"{features.name}"'.encode() not in line
    ]
    path.write_bytes(b"\n".join([*kept, b"garbage", b""]))
    _, check = watched(copy)
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    (gap,) = check.metadata["missing"].records
    assert (gap.data["tenant_id"], gap.data["name"]) == (ODD, features.name)
    (fault,) = check.metadata["faulty"].records
    assert (fault.data["file"], fault.data["line"]) == (path.name, len(kept) + 1)


def test_lineage_that_cannot_be_written_fails_no_run(copy: World) -> None:
    """Where the log cannot be written the forecast is made all the same, and the check names what is missing."""
    for path in day_files(copy.home.lineage):
        path.unlink()
    copy.home.lineage.rmdir()
    copy.home.lineage.write_text("a file where the folder should be")
    run = copy.run(TWIN, "daily_forecast")
    assert (run.success, run.errors) == (True, ())
    _, check = watched(copy)
    assert not check.passed
    assert {one.data["name"] for one in check.metadata["missing"].records} >= {f"{TWIN}/forecasts"}


def test_a_blocked_forecast_is_noted_and_leads_back(copy: World) -> None:
    """When new sales are blocked the forecast that is marked as stale has a version of its own, made from the last."""
    before = version(copy, TWIN, "forecasts")
    blocked = copy.root / "blocked.csv"
    blocked.write_text("nothing,here\n1,2\n")
    copy.add(TWIN, blocked, country="FR")
    assert not copy.run(TWIN, "daily_forecast").success
    after = version(copy, TWIN, "forecasts")
    assert after != before
    trail = back(copy.home.lineage, [after])
    assert (trail.missing, trail.made[after].event_type) == (set(), "forecast_marked_stale")
    assert version(copy, TWIN, "sales") in trail.made


def test_a_model_trained_by_hand_is_noted(copy: World) -> None:
    """A product that is trained by hand has its event, learnt from the features of the sales of today."""
    assert copy.by_hand([partition_key(TWIN, BREAD)]).success
    with copy.entered() as installation:
        made = installation.registry.latest(TWIN)[BREAD].version
    trail = back(copy.home.lineage, [Ref(partition_key(TWIN, BREAD), made)])
    assert (trail.missing, version(copy, TWIN, "features") in trail.made) == (set(), True)


def run(world: World, *arguments: str) -> Any:
    """Run a command in a world."""
    with world.around():
        return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})


def test_the_command_shows_the_way_back_and_forward(copy: World) -> None:
    """A product's forecast as a tree in 80 columns and as JSON; a decision of a person is found forward."""
    tree = run(copy, "lineage", "show", BREAD, "--tenant", TWIN)
    assert tree.exit_code == 0, tree.output
    order = [
        tree.stdout.index(text)
        for text in ("twin/forecasts", f"twin/{BREAD}", "twin/features", "twin/sales", "twin.csv")
    ]
    assert order == sorted(order)
    assert max(map(len, tree.stdout.splitlines())) <= 80
    found = json.loads(run(copy, "lineage", "show", BREAD, "--tenant", TWIN, "--json").stdout)
    assert (found["missing"], found["faulty_lines"], len(found["steps"])) == ([], [], 4)
    with copy.entered() as installation:
        manifest = installation.registry.manifest(TWIN, BREAD, installation.registry.champions(TWIN)[BREAD].version)
        second = installation.registry.register(manifest).version
    assert run(copy, "models", "deploy", BREAD, "--version", second, "--tenant", TWIN, "--reason", "try").exit_code == 0
    assert run(copy, "models", "rollback", BREAD, "--tenant", TWIN, "--reason", "too low").exit_code == 0
    ahead = run(copy, "lineage", "show", manifest.version, "--tenant", TWIN, "--forward").stdout
    assert "model_rolled_back" in ahead
    assert "too low" in " ".join(ahead.split())
    assert "twin/forecasts" in ahead
    unknown = run(copy, "lineage", "show", "no such thing", "--tenant", TWIN)
    assert "no lineage tells of 'no such thing'" in str(unknown.exception)


def test_other_systems_note_what_they_made(copy: World, tmp_path: Path) -> None:
    """The two commands read a contract's JSON, note the event and print it; what is none is refused by field."""
    made = copy.home.table(TWIN, "features").with_suffix(".json")
    foreign = {**json.loads(made.read_bytes()), "dataset_name": "weather/hourly", "dataset_version": "20260101_120000"}
    dataset, training = tmp_path / "dataset.json", tmp_path / "training.json"
    dataset.write_text(json.dumps(foreign))
    line = (copy.home.tenant(TWIN) / "training_metadata.ndjson").read_bytes().splitlines()[0]
    described = {
        **json.loads(line),
        "model_name": "rain",
        "input_dataset_name": "weather/hourly",
        "input_dataset_version": "20260101_120000",
    }
    training.write_text(json.dumps(described))
    done = run(copy, "monitor", "emit-lineage-dataset-build", "--metadata-path", str(dataset))
    assert (done.exit_code, json.loads(done.stdout)["outputs"]["dataset"]["name"]) == (0, "weather/hourly")
    done = run(copy, "monitor", "emit-lineage-training-run", "--metadata-path", str(training))
    assert (done.exit_code, json.loads(done.stdout)["metadata"]["mae"]) == (0, described["metrics"]["mae"])
    trail = back(copy.home.lineage, [Ref("rain", described["model_version"])])
    assert (trail.missing, len(trail.made)) == (set(), 2)
    refused = run(copy, "monitor", "emit-lineage-training-run", "--metadata-path", str(dataset))
    assert "is DatasetMetadata; TrainingMetadata is wanted here" in str(refused.exception)
    refused = run(copy, "monitor", "emit-lineage-dataset-build", "--metadata-path", "nowhere")
    assert "cannot be read" in str(refused.exception)


def test_foreign_artefacts_are_noted_as_adapters_read_them(copy: World, tmp_path: Path) -> None:
    """Another system's table and bundle, which hold no contract of ours, are inputs and outputs by name and version."""
    made = foreign.parquet(tmp_path / "stations.parquet")
    trained = foreign.bundle(tmp_path / "run", input_dataset_name="stations", input_dataset_version=foreign.STAMP)
    done = run(copy, "monitor", "emit-lineage-dataset-build", "--metadata-path", str(made))
    told = json.loads(done.stdout)["outputs"]["dataset"]
    assert (done.exit_code, told["name"], told["version"]) == (0, "stations", foreign.STAMP)
    done = run(copy, "monitor", "emit-lineage-training-run", "--metadata-path", str(trained))
    model = json.loads(done.stdout)["outputs"]["model"]
    trail = back(copy.home.lineage, [Ref(model["name"], model["version"])])
    assert (trail.missing, len(trail.made)) == (set(), 2)
