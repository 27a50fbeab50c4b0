"""What is exported: the agreed names, from the registry, the queue and what was found; nothing by product."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.openmetrics.exposition import generate_latest as as_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from contracts import Measured, Priority
from pipeline.errors import StorageError
from pipeline.installation import Installation
from pipeline.keys import label
from pipeline.monitoring.metrics.catalogue import MEASURES, Kind
from pipeline.monitoring.metrics.collector import as_text, registry_of
from pipeline.monitoring.metrics.demo import demo_figures
from pipeline.monitoring.metrics.read import MOST_DEPLOYMENTS, read_figures
from pipeline.monitoring.metrics.textfile import write_metrics
from pipeline_tests.monitoring.metrics.scraped import (
    deployment,
    fill,
    find,
    made,
    names,
    now_of,
    parsed,
    served,
    trained,
    unread,
    value,
    waited,
)
from pipeline_tests.registry.builders import start

AGREED: dict[str, tuple[str, set[str], tuple[float, ...]]] = {
    "training_jobs_total": ("counter", {"tenant_id", "status"}, ()),
    "training_duration_seconds": ("histogram", {"tenant_id"}, (10, 30, 60, 120, 300, 600, 1800, 3600)),
    "models_trained_total": ("counter", {"tenant_id", "product_category"}, ()),
    "model_accuracy_percentage": ("histogram", {"tenant_id"}, (50, 60, 70, 75, 80, 85, 90, 95, 100)),
    "model_mae": ("histogram", {"tenant_id"}, (1, 5, 10, 20, 30, 50, 100)),
    "ml_dataset_build_duration_seconds": ("histogram", set(), (0.1, 0.5, 1, 5, 10, 30, 60, 300)),
    "ml_training_duration_seconds": ("histogram", set(), (10, 30, 60, 120, 300, 600, 1800, 3600)),
    "ml_prediction_total": ("counter", set(), ()),
    "ml_feature_freshness_seconds": ("gauge", set(), ()),
}
"""Names, labels and buckets that other systems rely on."""


@pytest.mark.parametrize("name", AGREED)
def test_the_agreed_metrics_are_as_agreed(name: str) -> None:
    """Their kind, their labels and the bounds of their buckets."""
    (measure,) = [one for one in MEASURES.values() if one.exported == name]
    kind, labels, bounds = AGREED[name]
    assert (measure.kind, set(measure.labels), measure.bounds) == (kind, labels, bounds)
    samples = parsed(as_text(demo_figures()).decode())
    series = f"{name}_bucket" if kind == "histogram" else name
    found = [dict(labels_) for sample, labels_ in samples if sample == series]
    assert {frozenset(one) for one in found} == {frozenset(labels | ({"le"} if bounds else set()))}
    assert {float(one["le"]) for one in found if "le" in one} == {*bounds, *([float("inf")] if bounds else [])}


def test_nothing_is_told_by_product() -> None:
    """No metric has a label for a product: there may be ten thousand."""
    assert not [one.name for one in MEASURES.values() if {"product", "product_id", "model"} & set(one.labels)]


def test_everything_that_happened_is_told(tmp_path: Path) -> None:
    """Each figure is the one that the registry, the queue or the files hold."""
    opened = made(tmp_path, "bakery", "cafe")
    fill(opened)
    trained(opened, "bakery", "rye", "roll", "bun")
    unread(opened.home, cafe="the sales are torn")
    found = now_of(opened, [waited(Priority.LOW, 90), waited(Priority.LOW, 30), waited(Priority.HIGH, 5)])
    assert value(found, "training_jobs_total", tenant_id="bakery", status="completed") == 1
    assert value(found, "training_jobs_total", tenant_id="bakery", status="failed") == 1
    assert value(found, "training_duration_seconds_count", tenant_id="bakery") == 1
    assert value(found, "ml_training_duration_seconds_count") == 1
    assert value(found, "models_trained_total", tenant_id="bakery", product_category="none") == 4
    assert value(found, "model_mae_bucket", tenant_id="bakery", le="1.0") == 0
    assert value(found, "model_mae_bucket", tenant_id="bakery", le="5.0") == 4
    assert value(found, "model_mae_bucket", tenant_id="bakery", le="+Inf") == 4
    assert value(found, "model_mae_sum", tenant_id="bakery") == 8
    assert value(found, "ml_prediction_total") == 8
    assert value(found, "ml_dataset_build_duration_seconds_sum") == 2.5
    assert value(found, "pipeline_lock_wait_seconds_bucket", le="60.0") == 0
    assert value(found, "pipeline_lock_wait_seconds_bucket", le="300.0") == 1
    assert value(found, "pipeline_checksum_failures_total", kind="artefact") == 1
    assert value(found, "pipeline_breaker_state", breaker="sales:bakery", state="open") == 1
    assert value(found, "pipeline_breaker_state", breaker="sales:bakery", state="closed") == 0
    assert value(found, "pipeline_open_alerts", kind="run_failed", severity="high") == 1
    assert value(found, "pipeline_queue_depth", priority="low") == 2
    assert value(found, "pipeline_queue_depth", priority="urgent") == 0
    assert value(found, "pipeline_queue_wait_seconds", priority="low") == pytest.approx(90, abs=10)
    assert value(found, "pipeline_stale_products", tenant_id="bakery", clock="data") == 1
    assert value(found, "pipeline_stale_products", tenant_id="bakery", clock="model") == 0
    assert value(found, "pipeline_deployments", status="healthy") == 1
    assert value(found, "pipeline_deployment_health", deployment_id="b", status="unhealthy") == 1
    assert value(found, "pipeline_live_coverage", tenant_id="bakery") == 0.7
    assert value(found, "pipeline_live_wape", tenant_id="bakery") == 0.25
    assert value(found, "pipeline_drifting_products", tenant_id="bakery") == 2
    assert value(found, "pipeline_inaccurate_products", tenant_id="bakery") == 1
    assert value(found, "ml_feature_freshness_seconds") == pytest.approx(7200, abs=30)
    assert value(found, "pipeline_registry_up") == value(found, "pipeline_queue_up") == 1
    assert value(found, "pipeline_unreadable_findings") == 0
    assert "pipeline_demo" not in names(found)
    assert {one.exported for one in MEASURES.values()} - {"pipeline_demo"} <= {
        name.removesuffix("_bucket") for name in names(found)
    }


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    """Opened again, by another process say, counters and distributions stand where they stood."""
    opened = made(tmp_path, "bakery")
    fill(opened)
    before = now_of(opened)
    opened.registry.close()
    (tmp_path / "tenants" / "bakery.toml").unlink()
    again = now_of(Installation(opened.settings))
    lasting = {one.exported for one in MEASURES.values() if one.kind is not Kind.GAUGE}
    kept = {key: number for key, number in before.items() if key[0].rpartition("_")[0] in lasting or key[0] in lasting}
    assert kept
    assert {key: again.get(key) for key, number in kept.items() if number} == {k: n for k, n in kept.items() if n}


def test_there_is_a_zero_before_the_first(tmp_path: Path) -> None:
    """A tenant's first training that fails is an increase from zero, and so is the first broken file."""
    opened = made(tmp_path, "cafe")
    found = now_of(opened)
    for status in ("completed", "failed", "cancelled"):
        assert value(found, "training_jobs_total", tenant_id="cafe", status=status) == 0
    assert value(found, "pipeline_checksum_failures_total", kind="manifest") == 0
    assert value(found, "pipeline_lock_wait_seconds_count") == 0
    assert value(found, "ml_prediction_total") == 0
    opened.registry.finish_job(start(opened.registry, "cafe"), "failed", counts={})
    assert value(now_of(opened), "training_jobs_total", tenant_id="cafe", status="failed") == 1


def test_a_registry_that_is_away_is_said(tmp_path: Path) -> None:
    """What is found in files and in the queue is told all the same."""
    opened = made(tmp_path, "bakery", database_url="postgresql://nobody@127.0.0.1:1/none")
    find(opened.home, drift={"rye": "more"})
    found = now_of(opened, [waited(Priority.LOW, 3)])
    assert value(found, "pipeline_registry_up") == 0
    assert value(found, "pipeline_drifting_products", tenant_id="bakery") == 1
    assert value(found, "pipeline_queue_depth", priority="low") == 1
    assert "training_jobs_total" not in names(found)


def test_a_queue_that_is_away_is_said(tmp_path: Path) -> None:
    """The rest is told all the same."""
    opened = made(tmp_path, "bakery")

    def away() -> list[object]:
        raise StorageError("Dagster's history cannot be reached")

    found = parsed(as_text(read_figures(opened, away)).decode())  # type: ignore[arg-type]
    assert (value(found, "pipeline_queue_up"), value(found, "pipeline_registry_up")) == (0, 1)
    assert "pipeline_queue_depth" not in names(found)


def test_files_that_cannot_be_read_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each is named in the log; those of other tenants are told."""
    opened = made(tmp_path, "bakery", "cafe")
    trained(opened, "cafe", "bun")
    find(opened.home, "cafe", drift={"bun": "more"})
    opened.home.tenant("bakery").mkdir(parents=True)
    (opened.home.tenant("bakery") / "findings.json").write_text('{"tenant_id": "bakery", "found": "many"}')
    opened.home.monitoring.mkdir()
    (opened.home.monitoring / "freshness.parquet").write_bytes(b"no table")
    (opened.home.monitoring / "serving_health.json").write_text('{"evaluated_at": "2026-03-01T10:00:00Z", "deploy')
    found = now_of(opened)
    assert value(found, "pipeline_unreadable_findings") == 3
    assert value(found, "pipeline_drifting_products", tenant_id="cafe") == 1
    assert {"freshness.parquet", "serving_health.json", "findings.json"} <= {
        Path(record.getMessage().split(" cannot be read")[0]).name for record in caplog.records
    }


def test_deployments_are_bounded(tmp_path: Path) -> None:
    """However many servers report, so many are told apart, the unhealthy first; all are counted."""
    opened = made(tmp_path)
    many = [deployment(f"d{number:03}", "healthy") for number in range(MOST_DEPLOYMENTS + 50)]
    served(opened.home, *many, deployment("z" * 300, "unhealthy"))
    found = now_of(opened)
    told = {dict(labels)["deployment_id"] for name, labels in found if name == "pipeline_deployment_health"}
    assert len(told) == MOST_DEPLOYMENTS
    assert label("z" * 300) in told
    assert value(found, "pipeline_deployments", status="healthy") == MOST_DEPLOYMENTS + 50


def test_long_names_are_told_apart(tmp_path: Path) -> None:
    """Two deployments whose long names begin alike have a series each."""
    opened = made(tmp_path)
    served(opened.home, deployment("z" * 300 + "a", "unhealthy"), deployment("z" * 300 + "b", "healthy"))
    found = now_of(opened)
    unwell = [labels for (name, labels), number in found.items() if number and ("status", "unhealthy") in labels]
    assert len([one for one in unwell if any(label == "deployment_id" for label, _ in one)]) == 1
    assert value(found, "pipeline_deployments", status="unhealthy") == 1


def test_what_no_longer_holds_is_not_told(tmp_path: Path) -> None:
    """A finding that a newer model has answered does not count, nor does a coverage of fewer days than are judged."""
    opened = made(tmp_path, "bakery")
    trained(opened, "bakery", "rye", "bun")
    find(opened.home, drift={"rye": "more", "bun": "more"}, coverage=Measured(value=0.5, days=4))
    found = now_of(opened)
    assert value(found, "pipeline_drifting_products", tenant_id="bakery") == 2
    assert "pipeline_live_coverage" not in names(found)
    trained(opened, "bakery", "rye")
    find(opened.home, drift={"rye": "more", "bun": "more"}, coverage=Measured(value=0.5, days=100))
    found = now_of(opened)
    assert value(found, "pipeline_drifting_products", tenant_id="bakery") == 1
    assert value(found, "pipeline_live_coverage", tenant_id="bakery") == 0.5


def test_a_tenant_that_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    """It has a series of its own while the last round could not read its tables."""
    opened = made(tmp_path, "bakery")
    unread(opened.home, bakery="the sales are torn")
    assert value(now_of(opened), "pipeline_tenant_unreadable", tenant_id="bakery") == 1
    unread(opened.home)
    assert "pipeline_tenant_unreadable" not in names(now_of(opened))


def test_names_of_any_kind_are_told(tmp_path: Path) -> None:
    """Quotes, line ends and letters of any script in a category or a deployment come out as they went in."""
    opened, odd = made(tmp_path), 'crème "brûlée"\\\n🥐'
    served(opened.home, deployment(odd, "healthy"))
    from pipeline_tests.registry.builders import manifest

    opened.registry.register(manifest(start(opened.registry)), category=odd)
    found = now_of(opened)
    assert value(found, "models_trained_total", tenant_id="bakery", product_category=odd) == 1
    assert value(found, "pipeline_deployment_health", deployment_id=odd, status="healthy") == 1


def test_both_formats_can_be_read(tmp_path: Path) -> None:
    """The strict parser of OpenMetrics takes it, and finds the same names as the older one."""
    opened = made(tmp_path, "bakery")
    fill(opened)
    figures = read_figures(opened, list)
    text = as_openmetrics(registry_of(lambda: figures)).decode()
    strict = {sample.name for family in openmetrics(text) for sample in family.samples}
    assert strict == names(parsed(as_text(figures).decode()))


def test_the_demo_has_every_metric() -> None:
    """With a figure of each, marked as made up, all of them with the labels that the real ones have."""
    figures = demo_figures()
    assert set(figures) == set(MEASURES)
    for name, measure in MEASURES.items():
        assert figures[name], name
        assert {len(labels) for labels in figures[name]} == {len(measure.labels)}, name
    assert value(parsed(as_text(figures).decode()), "pipeline_demo") == 1


def test_the_file_is_whole_or_the_old_one(tmp_path: Path) -> None:
    """It holds what a scrape finds; where it cannot be written that is said, and nothing half is left."""
    opened = made(tmp_path, "bakery")
    fill(opened)
    write_metrics(opened, list)
    text = opened.home.metrics_file.read_text()
    assert value(parsed(text), "training_jobs_total", tenant_id="bakery", status="completed") == 1
    assert [path.name for path in opened.home.metrics_file.parent.iterdir()] == ["pipeline.prom"]
    opened.home.metrics_file.unlink()
    opened.home.metrics_file.mkdir()
    with pytest.raises(StorageError, match=r"pipeline\.prom"):
        write_metrics(opened, list)
