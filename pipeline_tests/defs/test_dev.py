"""The real thing: webserver, daemon and code server, a run that nobody started, and the UI in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pipeline.registry.records import JobRecord, JobStatus
from pipeline_tests.defs import tills
from pipeline_tests.defs.server import Server, serving
from pipeline_tests.defs.world import World, keys

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
TENANT = "bakery"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`pipeline dev` on an empty installation, with a sensor that looks every five seconds."""
    folder = tmp_path_factory.mktemp("dev")
    world = World(folder / "world")
    world.root.mkdir()
    with serving(world, folder / "dev.log", WATCH_INTERVAL_SECONDS="5") as server:
        yield server


@pytest.fixture(scope="module")
def first_run(server: Server) -> dict[str, Any]:
    """The run that follows a tenant's file which appears, once it has ended."""
    place = tills.write(tills.odd_sales(), server.world.root / "exports" / f"{TENANT}.csv")
    server.world.add(TENANT, place, register=False)
    return server.wait("the sensor's run ends", lambda: ended(server, 1))


def ended(server: Server, number: int) -> dict[str, Any] | None:
    """The newest of so many runs of the tenant's job, once it has ended."""
    runs = [run for run in server.runs() if run["jobName"] == "train_and_forecast"]
    return runs[0] if len(runs) == number and runs[0]["status"] in ENDED else None


def test_the_sensor_runs_a_new_tenant(server: Server, first_run: dict[str, Any]):
    """A tenant's file alone leads to a registered partition and a queued run that succeeds."""
    assert first_run["status"] == "SUCCESS", server.tail()
    assert first_run["tags"]["dagster/partition"] == TENANT
    assert first_run["tags"]["cause"] == "new sales"
    assert first_run["tags"]["dagster/sensor_name"] == "new_sales"
    ledger = pd.read_parquet(server.world.home.table(TENANT, "training_ledger"))
    assert ledger["outcome"].value_counts()["trained"] == len(tills.TRAINED)
    assert server.world.home.table(TENANT, "forecasts").exists()


def test_the_daemon_is_healthy(server: Server, first_run: dict[str, Any]):
    """Every daemon that is required says so itself."""
    assert first_run
    query = "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } } }"
    statuses = server.ask(query)["instance"]["daemonHealth"]["allDaemonStatuses"]
    required = {one["daemonType"]: one["healthy"] for one in statuses if one["required"]}
    assert {"SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "MONITORING"} <= set(required)
    assert set(required.values()) == {True}


def test_dagster_tells_that_sales_are_fresh(server: Server, first_run: dict[str, Any]):
    """The freshness daemon is among those that work, and finds what was just made within its policy's window."""
    assert first_run
    field = "... on AssetNode { freshnessStatusInfo { freshnessStatus } }"
    query = 'query { assetNodeOrError(assetKey: { path: ["sales"] }) { %s } }' % field  # noqa: UP031

    def fresh() -> bool | None:
        told = server.ask(query)["assetNodeOrError"]["freshnessStatusInfo"]
        return (told is not None and told["freshnessStatus"] == "HEALTHY") or None

    assert server.wait("sales are within their freshness policy", fresh)


def test_schedules_and_sensors_run_by_themselves(server: Server):
    """Nobody has to switch anything on."""
    query = "{ instigationStatesOrError: sensorsOrError(repositorySelector: %s) { ... on Sensors { results { %s } } } }"
    where = '{ repositoryName: "__repository__", repositoryLocationName: "pipeline" }'
    sensors = server.ask(query % (where, "name sensorState { status }"))["instigationStatesOrError"]["results"]
    assert {one["name"]: one["sensorState"]["status"] for one in sensors}["new_sales"] == "RUNNING"
    query = "{ schedulesOrError(repositorySelector: %s) { ... on Schedules { results { %s } } } }"
    schedules = server.ask(query % (where, "name scheduleState { status }"))["schedulesOrError"]["results"]
    assert {one["name"]: one["scheduleState"]["status"] for one in schedules} == {
        "daily_forecasts": "RUNNING",
        "feedback_rounds": "RUNNING",
        "nightly_data_check": "RUNNING",
        "nightly_purge": "RUNNING",
        "nightly_storage_care": "RUNNING",
        "weekly_retraining": "RUNNING",
    }


def test_the_sensor_runs_a_changed_file_once(server: Server, first_run: dict[str, Any]):
    """One more day in the file leads to one more run, which trains nothing and forecasts from the later day."""
    assert first_run
    place = server.world.root / "exports" / f"{TENANT}.csv"
    day = tills.LAST + pd.Timedelta(days=1)
    tills.write(pd.concat([pd.read_csv(place), tills.sold(tills.STEADY[0], pd.DatetimeIndex([day]), 12)]), place)
    second = server.wait("a second run ends", lambda: ended(server, 2))
    assert second["status"] == "SUCCESS", server.tail()
    frame = pd.read_parquet(server.world.home.table(TENANT, "forecasts"))
    assert set(frame["origin"].astype(str)) == {"2024-07-19"}
    ledger = pd.read_parquet(server.world.home.table(TENANT, "training_ledger"))
    assert "trained" not in set(ledger["outcome"])
    server.wait("three more looks of the sensor", lambda: server.log.read_text().count("no sales of 1") >= 3 or None)
    assert len(server.runs()) == 2


def backfilled(server: Server, assets: list[str], partitions: list[str]) -> str:
    """Launch what the materialize dialog launches, and return how it ended."""
    launch = "mutation ($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename %s } }"
    answer = "... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }"
    params = {"partitionNames": partitions, "assetSelection": [{"path": [asset]} for asset in assets]}
    found = server.ask(launch % answer, p=params)["launchPartitionBackfill"]
    assert found["__typename"] == "LaunchBackfillSuccess", found
    field = "partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }"

    def over() -> str | None:
        state: str = server.ask("query ($id: String!) { %s }" % field, id=found["backfillId"])[  # noqa: UP031
            "partitionBackfillOrError"
        ]["status"]
        return None if state in ("REQUESTED", "COMPLETING") else state

    return server.wait(f"{assets} are materialized", over)


def test_products_are_trained_by_hand_from_the_ui(server: Server, first_run: dict[str, Any]):
    """The materialize dialog's request for two products ends well, and each partition's newest event has its plot."""
    assert first_run
    chosen = keys(TENANT, tills.STEADY[:2])
    assert backfilled(server, ["product_model"], chosen) == "COMPLETED_SUCCESS", server.tail()
    latest = "... on Asset { assetMaterializations(limit: 1, partitions: $p) { metadataEntries { label __typename } } }"
    query = 'query ($p: [String!]) { assetOrError(assetKey: { path: ["product_model"] }) { %s } }' % latest  # noqa: UP031
    for key in chosen:
        (event,) = server.ask(query, p=[key])["assetOrError"]["assetMaterializations"]
        kinds = {entry["label"]: entry["__typename"] for entry in event["metadataEntries"]}
        assert kinds["forecast"] == "MarkdownMetadataEntry"
        assert kinds["wape"] == "FloatMetadataEntry"


def test_what_was_trained_by_hand_is_put_to_use_from_the_ui(server: Server, first_run: dict[str, Any]):
    """Materializing a tenant's `champions` and `forecasts` decides about every new model and forecasts with it."""
    assert first_run
    assert backfilled(server, ["champions", "forecasts"], [TENANT]) == "COMPLETED_SUCCESS", server.tail()
    frame = pd.read_parquet(server.world.home.table(TENANT, "forecasts")).drop_duplicates("product_id")
    used = frame.set_index("product_id")["model_version"]
    with server.world.entered() as installation:
        newest = installation.registry.latest(TENANT)
    for product in tills.STEADY[:2]:
        assert used[product] == newest[product].version


@pytest.fixture
def page(server: Server, first_run: dict[str, Any]) -> Iterator[Page]:
    """A browser page on the UI; an error in it, or an answer of the server that is one, fails the test."""
    assert first_run
    sync_api = pytest.importorskip("playwright.sync_api")
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(60_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda got: complaints.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        yield page
        chromium.close()
    assert complaints == []


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
def test_the_graph_shows_its_groups(server: Server, page: Page, tmp_path: Path):
    """The lineage page shows the groups in the order the data flows, and opens each with its assets."""
    page.goto(f"{server.url}/asset-groups")
    for group, assets in {
        "ingestion": ["sales", "calendar", "features"],
        "training": ["training_plan", "training_ledger", "evaluation", "product_model", "champions"],
        "forecasting": ["forecasts", "report"],
    }.items():
        page.goto(f"{server.url}/asset-groups")
        page.locator("foreignObject").filter(has_text=group).first.click()
        page.locator("foreignObject").filter(has_text=assets[0]).first.wait_for()
        page.screenshot(path=tmp_path / f"graph-{group}.png")
        shown = " ".join(page.locator("foreignObject").all_text_contents())
        assert assets[-1] in shown


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
def test_the_checks_of_sales_can_be_read(server: Server, page: Page, tmp_path: Path):
    """The checks page lists all eight with what they found, and a failed one names its product and the reason."""
    page.goto(f"{server.url}/assets/sales?view=checks&checkDetail=minimum_history")
    page.get_by_text("Checks (8)").wait_for()
    page.locator("text=Product requires minimum 30 days of sales data").first.wait_for()
    page.screenshot(path=tmp_path / "checks.png")
    shown = page.locator("body").inner_text()
    for name in ("required_fields", "duplicates", "outliers", "zero_share", "product_count"):
        assert name in shown
    assert re.search(r"Currently: 1[56] days\.", shown)
    assert len(re.findall(r"\bFailed\b", shown)) >= 2


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
@pytest.mark.parametrize("product", [tills.STEADY[0], tills.STEADY[1]])
def test_a_products_plot_opens(server: Server, page: Page, tmp_path: Path, product: str):
    """[Show Markdown] at a product's partition opens a plot that the browser can draw at its natural size."""
    (key,) = keys(TENANT, [product])
    page.goto(f"{server.url}/assets/product_model?view=partitions")
    page.locator("span").filter(has_text=re.compile(f"^{re.escape(key)}$")).first.click()
    page.get_by_text("[Show Markdown]").first.click()
    plot = page.locator("img[src^='data:image/svg+xml']").first
    plot.wait_for()
    page.wait_for_function("image => image.complete", arg=plot.element_handle())
    page.screenshot(path=tmp_path / "plot.png")
    assert plot.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [720, 260]
    box = plot.bounding_box()
    assert box is not None
    assert box["width"] > 300


def test_a_run_that_is_terminated_in_the_ui_is_a_cancelled_training(server: Server, first_run: dict[str, Any]):
    """Terminated in the middle of its training, a run is cancelled, and so is its job, with what it had done."""
    rows = [tills.steady(f"Product {number:02}", 5 + number, 730) for number in range(40)]
    place = tills.write(pd.concat(rows), server.world.root / "exports" / "large.csv")
    server.world.add("large", place, register=False)

    def training() -> JobRecord | None:
        with server.world.entered() as installation:
            jobs = installation.registry.jobs("large")
        return jobs[0] if jobs and (jobs[0].products_completed or jobs[0].status.final) else None

    job = server.wait("a product of the large tenant is trained", training)
    assert job.status is JobStatus.RUNNING, job.error
    asked = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"
    assert server.ask(asked, run=job.run_id)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    server.wait("the run has ended", lambda: status_of(server, job.run_id) in ENDED or None)
    assert status_of(server, job.run_id) == "CANCELED"
    with server.world.entered() as installation:
        ended = installation.registry.job("large", job.id)
    assert (ended.status, ended.finished_at is None) == (JobStatus.CANCELLED, False)
    assert 1 <= ended.trained < len(rows)


def status_of(server: Server, run_id: str | None) -> str:
    """How a run stands."""
    return str(next(run["status"] for run in server.runs() if run["runId"] == run_id))
