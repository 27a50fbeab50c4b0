"""The sensor `unfinished_trainings`: what a training did not come to is asked for once, as it was asked for before."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import pytest

from contracts import PlanRow, Priority
from pipeline.defs.resources import InstallationResource
from pipeline_tests.defs.world import World, definitions

PRODUCTS = ["bun", "rye"]


def look(world: World) -> list[Any]:
    """Let the sensor look once; return what it asks for, or why for nothing."""
    sensor = definitions().resolve_sensor_def("unfinished_trainings")
    with world.instance() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"installation": InstallationResource()})
        return list(sensor(context))


def leave(world: World, priority: Priority, parameters: dict[str, Any]) -> str:
    """End a job that came to none of its products; return its id."""
    with world.entered() as installation:
        registry = installation.registry
        job = registry.start_job(
            "bakery", name="weekly", cause="x", requested_by="test", priority=priority, pending=True
        )
        registry.begin_job(job, cause="schedule 2", products_total=2, parameters=parameters)
        row = {"tenant_id": "bakery", "due": True, "reason": "x", "importance": 1, "data_days": 100}
        registry.save_plan(job, [PlanRow(**row, product_id=name, data_fingerprint="0" * 64) for name in PRODUCTS])
        registry.finish_job(job, "completed", counts={})
    return job


@pytest.mark.parametrize(
    ("terms", "priority"),
    [({}, Priority.LOW), ({"start": "2024-03-01", "overrides": {"lightgbm_max_depth": 4}}, Priority.HIGH)],
)
def test_the_rest_is_asked_for_as_the_job_was(empty: World, terms: dict[str, Any], priority: Priority) -> None:
    """Its products, under the job's terms and with its priority; each look asks under the same key."""
    job = leave(empty, priority, {"terms": json.dumps(terms)} if terms else {})
    (first,), (again,) = look(empty), look(empty)
    config = {"products": PRODUCTS, "scheduled": False, **terms}
    assert first.run_config == {"ops": {"training_plan": {"config": config}}}
    assert (first.partition_key, first.tags["cause"]) == ("bakery", f"the rest of job {job}")
    assert first.tags["pipeline/lane"] == ("low" if priority is Priority.LOW else "upper")
    assert first.run_key == again.run_key == f"rest of {job}"


def test_without_a_rest_nothing_is_asked_for(empty: World) -> None:
    """The tick says why."""
    (found,) = look(empty)
    assert isinstance(found, dg.SkipReason)
    assert found.skip_message == "no training of the last day left a product over"
