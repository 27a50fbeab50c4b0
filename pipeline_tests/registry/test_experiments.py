"""Trainings seen over time, on every database."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import text

from contracts import Metrics
from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.registry import Figure, JobStatus, Registry
from pipeline.registry.layout import file_type, location
from pipeline_tests.registry.builders import member, ref, register, start

LAST = dt.date(2026, 3, 1)


def figures(wape: float, naive: float = 0.3) -> list[Figure]:
    """What an evaluation of one origin found."""
    return [
        Figure(step, origin, family, "wape", value)
        for step, origin in ((0, None), (1, LAST))
        for family, value in (("combination", wape), ("naive", naive))
    ]


def tagged(registry: Registry, tags: dict[str, str], tenant_id: str = "bakery") -> str:
    """Start a job with tags."""
    return registry.start_job(
        tenant_id,
        name="n",
        cause="c",
        requested_by="t",
        tags=tags,
        parameters={"horizon_days": 14, "families": ["ets"]},
    )


def test_figures_are_read_back_and_replaced(registry: Registry) -> None:
    """A training's figures come back overall first, then by origin; stored again they replace the earlier ones."""
    job_id = start(registry)
    registry.save_figures("bakery", job_id, [Figure(1, LAST, "ets", "mae", 2.0)])
    registry.save_figures("bakery", job_id, figures(0.2))
    assert registry.figures("bakery", job_id) == figures(0.2)
    assert registry.figures("cafe", job_id) == []
    with pytest.raises(RegistryError, match="belongs to tenant 'bakery'"):
        registry.save_figures("cafe", job_id, figures(0.2))
    with pytest.raises(NotRegisteredError, match="'nope'"):
        registry.save_figures("bakery", "nope", [])


def test_a_tenants_trainings_come_newest_last(registry: Registry) -> None:
    """Each with its parameters, its figure over all products, and the least and the mean of its own models."""
    jobs = [start(registry) for _ in range(3)]
    for job_id, wape in zip(jobs, (0.30, 0.25, 0.20), strict=True):
        registry.save_figures("bakery", job_id, figures(wape))
    for product, wape in (("rye", 0.1), ("tart", 0.3)):
        register(registry, jobs[2], product_id=product, metrics=Metrics(n=9, wape=wape))
    start(registry, "cafe")
    found = registry.experiments("bakery")
    assert [one.job.id for one in found] == jobs
    assert [one.value for one in found] == [0.30, 0.25, 0.20]
    assert [one.models for one in found] == [0, 0, 2]
    assert (found[0].least, found[2].least) == (None, 0.1)
    assert found[2].mean == pytest.approx(0.2)
    assert {one.naive for one in found} == {0.3}
    assert [one.job.id for one in registry.experiments("bakery", limit=2)] == jobs[1:]
    assert {one.value for one in registry.experiments("bakery", metric="mae")} == {None}


def test_a_products_models_come_newest_last(registry: Registry) -> None:
    """Of a product the trainings that made a model of it, with that model's figures beside the naive's."""
    first, second, without = (start(registry) for _ in range(3))
    versions = [
        register(registry, job_id, product_id="rye", metrics=Metrics(n=9, wape=wape, mae=3.0))
        for job_id, wape in ((first, 0.2), (second, 0.1))
    ]
    register(registry, without, product_id="tart")
    found = registry.experiments("bakery", "rye")
    assert [(one.version, one.value, one.naive) for one in found] == list(
        zip(versions, (0.2, 0.1), (0.25, 0.25), strict=True)
    )
    assert [one.value for one in registry.experiments("bakery", "rye", metric="mae")] == [3.0, 3.0]
    assert registry.experiments("bakery", "nothing such") == []


def test_tags_narrow_what_is_found(registry: Registry) -> None:
    """All tags that are asked for must be there, with their value; names may hold dots, dashes and slashes."""
    both = tagged(registry, {"idea": "fewer trees", "team/x.y-z": "1"})
    one = tagged(registry, {"idea": "fewer trees"})
    tagged(registry, {"idea": "more"})
    assert [found.job.id for found in registry.experiments("bakery", tags={"idea": "fewer trees"})] == [both, one]
    wanted = {"idea": "fewer trees", "team/x.y-z": "1"}
    (found,) = registry.experiments("bakery", tags=wanted)
    assert (found.job.id, found.job.tags) == (both, wanted)
    assert found.job.parameters == {"horizon_days": 14, "families": ["ets"]}
    assert registry.experiments("bakery", tags={"nothing": "such"}) == []


def test_the_view_tells_figures_over_all_products(registry: Registry) -> None:
    """`experiments` holds them beside those of the models, whose number they do not change."""
    job_id = start(registry)
    registry.save_figures("bakery", job_id, figures(0.2))
    for product in ("rye", "tart"):
        register(registry, job_id, product_id=product)
    with registry._reading() as connection:
        (row,) = connection.execute(text("SELECT * FROM experiments")).mappings().all()
    assert (row["models"], row["wape"], row["naive_wape"], row["mean_wape"]) == (2, 0.2, 0.3, 0.18)


def test_the_models_of_a_training_are_listed_with_their_figures(registry: Registry) -> None:
    """Each product once, with its combination's figures and the naive's WAPE; one without figures has none."""
    job_id = start(registry)
    register(registry, job_id, product_id="rye", metrics=Metrics(n=9, wape=0.1))
    register(registry, job_id, product_id="tart", metrics=Metrics(n=0), naive_metrics=Metrics(n=0))
    rye, tart = registry.trained_products("bakery", job_id)
    assert (rye.product_id, rye.algorithm) == ("rye", "linear+lightgbm")
    assert rye.figures["wape"] == 0.1
    assert rye.figures["naive_wape"] == 0.25
    assert (tart.product_id, tart.figures.get("wape")) == ("tart", None)
    assert registry.trained_products("cafe", job_id) == []


def test_a_pending_job_begins(registry: Registry) -> None:
    """It is active while it waits; begun it runs, from then on, and knows what it is about to do."""
    job_id = registry.start_job("bakery", name="n", cause="waiting", requested_by="t", pending=True)
    pending = registry.job("bakery", job_id)
    with registry._reading() as connection:
        assert connection.scalars(text("SELECT status FROM active_jobs")).all() == ["pending"]
    registry.begin_job(job_id, cause="schedule 3", products_total=3, parameters={"seed": 1})
    begun = registry.job("bakery", job_id)
    assert (pending.status, begun.status) == (JobStatus.PENDING, JobStatus.RUNNING)
    assert (begun.cause, begun.products_total, begun.parameters) == ("schedule 3", 3, {"seed": 1})
    assert begun.started_at >= pending.started_at


def test_a_file_is_told_by_its_name(registry: Registry) -> None:
    """A model's files are stored with what they are and where they lie."""
    parts = (member("linear"), member("lightgbm"))
    files = [ref(b"a", "booster.txt"), ref(b"b", "days.PARQUET"), ref(b"c", "readme")]
    changed = parts[0].model_copy(update={"files": tuple(files)})
    register(registry, start(registry), members=(changed, parts[1]))
    with registry._reading() as connection:
        rows = connection.execute(text("SELECT name, type, location, sha256 FROM artefacts")).all()
    assert {row.name: row.type for row in rows} == {
        "booster.txt": "model/text",
        "days.PARQUET": "model/parquet",
        "readme": "model/other",
        "model.json": "model/json",
    }
    assert all(row.location == location(row.sha256) for row in rows)
    assert file_type("x.json") == "model/json"
