"""The asset `storage_care`: announces first, deletes in the next run."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg

from pipeline.installation import Installation
from pipeline.settings import Settings
from pipeline_tests.defs.test_schedules import MONDAY, scheduled
from pipeline_tests.defs.world import ODD, World, definitions


def cared(world: World, **settings: str) -> dict[str, Any]:
    """Run the job once, and return the asset's metadata."""
    with world.entered(**settings), dg.DagsterInstance.get() as instance:
        result = definitions().resolve_job_def("care_for_storage").execute_in_process(instance=instance)
        assert result.success
        (made,) = result.asset_materializations_for_node("storage_care")
        return {name: getattr(value, "records", value.value) for name, value in made.metadata.items()}


def test_what_is_deleted_was_announced(copy: World) -> None:
    """The first run deletes nothing and names what it would; the second deletes just that; the third nothing."""
    opened = Installation(Settings(pipeline_home=copy.home.root))
    product, champion = next(iter(opened.registry.champions(ODD).items()))
    manifest = opened.registry.manifest(ODD, product, champion.version)
    versions = [opened.registry.register(manifest).version for _ in range(3)]
    opened.registry.close()
    narrow = {"MAX_MODEL_VERSIONS_PER_PRODUCT": "2"}
    first = cared(copy, **narrow)
    assert (first["deleted_models"], first["announced_models"]) == (0, 1)
    announced = [record.data for record in first["announced"]]
    assert [(one["kind"], one["why"]) for one in announced] == [("model", "more than 2 versions")]
    assert str(announced[0]["what"]).endswith(versions[0])
    second = cared(copy, **narrow)
    assert (second["deleted_models"], second["announced_models"]) == (1, 0)
    assert cared(copy, **narrow)["deleted_models"] == 0
    opened = Installation(Settings(pipeline_home=copy.home.root))
    assert versions[0] not in {model.version for model in opened.registry.models(ODD, product)}
    opened.registry.close()


def checked(world: World) -> dg.AssetCheckEvaluation:
    """Run the job once, and return what its check found."""
    with world.entered(), dg.DagsterInstance.get() as instance:
        result = definitions().resolve_job_def("care_for_storage").execute_in_process(instance=instance)
        (found,) = result.get_asset_check_evaluations()
        return found


def test_every_night_all_models_are_verified(copy: World) -> None:
    """The night's check passes on whole models, and names tenant and product of a lost file, and no other product."""
    found = checked(copy)
    assert (found.check_name, found.passed) == ("stored_models_whole", True)
    assert found.metadata["models"].value >= 5
    opened = Installation(Settings(pipeline_home=copy.home.root))
    product, champion = next(iter(opened.registry.champions(ODD).items()))
    manifest = opened.registry.manifest(ODD, product, champion.version)
    opened.registry.close()
    (ref,) = next(member.files for member in manifest.members if member.family == "prophet")
    next((copy.home.models / ref.sha256[:2]).glob(f"{ref.sha256[2:]}*")).unlink()
    found = checked(copy)
    assert not found.passed
    named = [record.data for record in found.metadata["products"].records]
    assert [(one["tenant"], one["product"], one["version"]) for one in named] == [(ODD, product, champion.version)]
    assert f"{ref.name} ({ref.sha256}) is missing" in str(named[0]["fault"])


def test_storage_is_cared_for_every_night(empty: World) -> None:
    """The nightly schedule asks for one run a night."""
    nightly = definitions().resolve_schedule_def("nightly_storage_care")
    keys = {
        request.run_key
        for at in (MONDAY, MONDAY, MONDAY + dt.timedelta(days=1))
        for request in scheduled(empty, nightly, at).run_requests or ()
    }
    assert len(keys) == 2
