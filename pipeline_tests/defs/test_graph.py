"""The shape of the graph: what other systems, dashboards and people know by name."""

from __future__ import annotations

import difflib

from pipeline_tests.defs import graph
from pipeline_tests.defs.world import definitions


def test_the_graph_has_the_shape_that_others_rely_on():
    """Assets, groups, partitions, kinds, deps, checks, jobs, schedules and sensors are those of graph.json."""
    now, known = graph.written(graph.shape()), graph.SNAPSHOT.read_text(encoding="utf-8")
    changes = difflib.unified_diff(
        known.splitlines(), now.splitlines(), "graph.json", "the definitions", lineterm="", n=2
    )
    assert now == known, (
        "the graph has another shape than pipeline_tests/defs/graph.json says. If that is wanted, write it anew with "
        "`python -m pipeline_tests.defs.graph` and say in the change notes what moved:\n" + "\n".join(changes)
    )


def test_everything_says_what_it_is():
    """Every asset, check, job, schedule and sensor has a description of at least a short sentence."""
    found = definitions()
    described = {f"asset {spec.key.to_user_string()}": spec.description for spec in found.resolve_all_asset_specs()}
    described |= {f"check {spec.name}": spec.description for spec in graph.check_specs()}
    described |= {f"job {job.name}": job.description for job in graph.jobs()}
    described |= {f"schedule {one.name}": one.description for one in found.schedules or ()}
    described |= {f"sensor {one.name}": one.description for one in found.sensors or ()}
    assert not [name for name, text in described.items() if len(text or "") < 20]


def test_product_model_is_materialized_by_hand_or_by_the_training_never_by_the_jobs():
    """A tenant's jobs leave `product_model`, which is partitioned by product, to the training step's events."""
    assert graph.jobs()
    for job in graph.jobs():
        assert "product_model" not in {key.to_user_string() for key in job.asset_layer.selected_asset_keys}


def test_a_run_stays_in_one_process():
    """Each job's steps run in the run's own process: model fits, not steps, go to worker processes."""
    assert {job.name: job.executor_def.name for job in graph.jobs()} == {job.name: "in_process" for job in graph.jobs()}
