"""Late sales, a limping deployment, forecasts 40 % off, a flipped bit: each is a failed check, an alert and a metric.

Where training is the answer it is a cause in the ledger, too. One tenant goes through all of it, as it would in a shop.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from contracts import AccuracyVerdict, Cause
from pipeline.defs.resources import InstallationResource
from pipeline.forecasting.ladder import QUANTILE_COLUMNS
from pipeline.tables import read_table, write_table
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import World, definitions
from pipeline_tests.monitoring.metrics.scraped import Scraped, parsed, value
from pipeline_tests.monitoring.servers import report, steady

pytestmark = pytest.mark.long

TENANT, WRONG, BROKEN = "corner", "pie", "rye"
PRODUCTS = ("bun", WRONG, "roll", BROKEN)
LATE_DAYS = 12
YESTERDAY = pd.Timestamp.now(tz="Europe/Madrid").tz_localize(None).normalize() - pd.Timedelta(days=1)
SETTINGS = {"RETRAIN_AFTER_NEW_DAYS": "5"}


class Corner:
    """The tenant, what the daemon would do for it, and what an operator would see of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._cursor: str | None = None

    def sell(self, *, until: pd.Timestamp) -> None:
        """Let the till's export reach to a day; earlier days stay as they were."""
        days = pd.date_range(end=YESTERDAY, periods=260)
        frames = []
        for number, product in enumerate(PRODUCTS):
            level = (40 + 10 * number) * (1 + 0.2 * np.sin(2 * np.pi * np.arange(len(days)) / 7))
            frames.append(tills.sold(product, days, np.random.default_rng([5, number]).poisson(level)))
        sales = pd.concat(frames)
        export = tills.write(sales[sales["date"] <= f"{until:%Y-%m-%d}"], self.world.root / "exports" / "corner.csv")
        self.world.add(TENANT, export)

    def run(self, job: str) -> dict[str, dg.AssetCheckEvaluation]:
        """Run a job, and return its checks by name, those of a partitioned check by `name: partition`."""
        if job in {"feedback", "care_for_storage"}:
            with self.world.instance() as instance:
                result = definitions().resolve_job_def(job).execute_in_process(instance=instance)
            assert result.success
            found = result.get_asset_check_evaluations()
        else:
            run = self.world.run(TENANT, job, **SETTINGS)
            assert run.success, run.errors
            with self.world.instance() as instance:
                entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            found = [entry.asset_check_evaluation for entry in entries if entry.asset_check_evaluation]
        shown = {None, TENANT}
        return {f"{e.check_name}: {e.partition}" if e.partition not in shown else e.check_name: e for e in found}

    def alerts(self) -> dict[str, str]:
        """Let the sensor look; return the messages of the open alerts by kind."""
        sensor = definitions().resolve_sensor_def("conditions")
        with self.world.instance() as instance:
            resources = {"installation": InstallationResource()}
            context = dg.build_sensor_context(instance=instance, resources=resources, cursor=self._cursor)
            sensor(context)
            self._cursor = context.cursor
        with self.world.entered() as installation:
            return {one.kind: one.message for one in installation.registry.alerts()}

    def metrics(self) -> Scraped:
        """The figures that the sensor left for Prometheus."""
        return parsed(self.world.home.metrics_file.read_text())

    def ledger(self) -> dict[str, str]:
        """The causes of the last training, by product."""
        table = read_table(self.world.home.table(TENANT, "training_ledger"), "the ledger")
        return dict(table.loc[table["cause"].notna(), ["product_id", "cause"]].itertuples(index=False))


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Corner:
    """A tenant that was trained and forecast; its till has been silent since."""
    corner = Corner(World(tmp_path_factory.mktemp("faults") / "world"))
    corner.world.root.mkdir()
    corner.sell(until=YESTERDAY - pd.Timedelta(days=LATE_DAYS))
    corner.run("train_and_forecast")
    for path in corner.world.home.issued(TENANT).glob("*.parquet"):
        frame = pd.read_parquet(path)
        made = pd.to_datetime(frame["origin"]) + pd.Timedelta(
            hours=27
        )  # The night after, as in a shop that runs daily.
        off = np.where(frame["product_id"] == WRONG, 1.4, 1.0)
        wrong = {name: frame[name] * off for name in ("y_hat", *QUANTILE_COLUMNS)}
        write_table(path, frame.assign(issued_at=made.dt.tz_localize("UTC"), **wrong))
    return corner


def test_late_sales_are_seen_and_then_trained_on(corner: Corner) -> None:
    """Twelve days without sales are late data for all to see, and when they come they are the cause of a training.

    Forecasts of one product that were 40 % off meanwhile are a cause of their own, seen the day before.
    """
    late = corner.run("feedback")["products_fresh"]
    named: Any = late.metadata["named"].value.records
    assert (late.passed, {row.data["clock"] for row in named}) == (False, {"data"})
    assert corner.alerts()["products_stale"].startswith(f"{len(PRODUCTS)} products: bun, pie, roll, rye; ")
    assert value(corner.metrics(), "pipeline_stale_products", tenant_id=TENANT, clock="data") == len(PRODUCTS)

    corner.sell(until=YESTERDAY)
    held = corner.run("daily_forecast")["forecasts_hold"]
    wrong: Any = held.metadata["products"].value.records
    falling = [row.data["product"] for row in wrong if row.data["verdict"] == AccuracyVerdict.FALLING.value]
    assert (held.passed, falling) == (False, [WRONG])
    assert corner.run("feedback")["products_fresh"].passed
    alerts = corner.alerts()
    assert alerts["accuracy_falling"].startswith(f"1 product: {WRONG}; ")
    assert "products_stale" not in alerts
    assert value(corner.metrics(), "pipeline_inaccurate_products", tenant_id=TENANT) == 1

    corner.run("train_and_forecast")
    others = dict.fromkeys(set(PRODUCTS) - {WRONG}, Cause.NEW_DATA.value)
    assert corner.ledger() == {WRONG: Cause.LIVE_ACCURACY.value, **others}
    assert "accuracy_falling" not in corner.alerts()


def test_a_limping_deployment_is_seen(corner: Corner) -> None:
    """A slow server is degraded in the check, the alert and the metric; one beside it is well."""
    now, folder = dt.datetime.now(dt.UTC), corner.world.home.serving
    report(folder, steady(30, now=now, deployment_id="till-a"), "a.jsonl")
    report(folder, steady(30, now=now, deployment_id="till-b", latency_p95_ms=900), "b.jsonl")
    found = corner.run("feedback")
    assert found["deployment_healthy: till-a"].passed
    assert not found["deployment_healthy: till-b"].passed
    assert corner.alerts()["deployment_unwell"].startswith("degraded: the latest p95 of predict is 900 ms")
    assert value(corner.metrics(), "pipeline_deployment_health", deployment_id="till-b", status="degraded") == 1
    assert value(corner.metrics(), "pipeline_deployment_health", deployment_id="till-a", status="healthy") == 1


def test_a_flipped_bit_is_seen_and_answered(corner: Corner) -> None:
    """One bit of a model's file fails the nightly check, is an alert and a count, and makes its product due alone."""
    with corner.world.entered() as installation:
        version = installation.registry.champions(TENANT)[BROKEN].version
        manifest = installation.registry.manifest(TENANT, BROKEN, version)
        files = [ref for member in manifest.members if member.scope == "product" for ref in member.files]
        (path,) = corner.world.home.models.rglob(f"{files[0].sha256[2:]}.*")
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(stored)
    whole = corner.run("care_for_storage")["stored_models_whole"]
    named: Any = whole.metadata["products"].value.records
    assert not whole.passed
    assert {row.data["product"] for row in named} == {BROKEN}
    assert "not what it was" in corner.alerts()["checksum_failed"]
    assert (value(corner.metrics(), "pipeline_checksum_failures_total", kind="artefact") or 0) >= 1
    corner.run("train_and_forecast")
    assert corner.ledger() == {BROKEN: Cause.BROKEN_MODEL.value}
    assert corner.run("care_for_storage")["stored_models_whole"].passed
