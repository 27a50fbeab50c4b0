"""A real run of a small till with names that no path would like: what it leaves in Dagster and on disk."""

from __future__ import annotations

import base64
import sqlite3
from collections import Counter
from xml.etree import ElementTree as ET

import dagster as dg
import pandas as pd
import pytest

from pipeline.defs.jobs import TENANT_ASSETS
from pipeline.engine.families import FAMILIES
from pipeline.keys import partition_key, split_key
from pipeline.report.build import build_report
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, Finished

LARGEST_EVENT = 15_000
INTEGERS = ("data_days",)
FLOATS = ("mae", "rmse", "wape", "mase", "rmsse", "bias", "coverage", "naive_mae", "naive_wape", "seconds")


@pytest.fixture(scope="module")
def materializations(finished: Finished) -> list[dg.AssetMaterialization]:
    """The materializations of the odd till's run, in order."""
    entries = finished.events(ODD, dg.DagsterEventType.ASSET_MATERIALIZATION)
    found = [entry.asset_materialization for entry in entries]
    assert all(found)
    return [one for one in found if one]


@pytest.fixture(scope="module")
def models(materializations: list[dg.AssetMaterialization]) -> dict[str, dg.AssetMaterialization]:
    """The materializations of `product_model` by partition."""
    return {one.partition or "": one for one in materializations if one.asset_key.to_user_string() == "product_model"}


@pytest.fixture(scope="module")
def checks(finished: Finished) -> dict[str, dg.AssetCheckEvaluation]:
    """The check evaluations of the odd till's run by name."""
    entries = finished.events(ODD, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return {entry.asset_check_evaluation.check_name: entry.asset_check_evaluation for entry in entries}


def test_the_runs_succeed(finished: Finished):
    """Both tenants' runs end well, whatever their products are called."""
    assert {tenant: (run.success, run.errors) for tenant, run in finished.runs.items()} == {
        ODD: (True, ()),
        TWIN: (True, ()),
    }


def test_every_asset_of_the_tenant_is_materialized_once(materializations: list[dg.AssetMaterialization]):
    """Each tenant asset is materialized once, in the tenant's partition."""
    counts = Counter((one.asset_key.to_user_string(), one.partition) for one in materializations)
    assert {key: n for key, n in counts.items() if key[0] != "product_model"} == {
        (name, ODD): 1 for name in TENANT_ASSETS
    }


def test_product_model_is_materialized_once_for_each_trained_product(materializations: list[dg.AssetMaterialization]):
    """Each trained product has one event, the others none, and its partition key gives back the product's id."""
    events = [one.partition for one in materializations if one.asset_key.to_user_string() == "product_model"]
    assert Counter(split_key(key or "") for key in events) == Counter((ODD, product) for product in tills.TRAINED)


def test_every_product_is_a_partition(finished: Finished):
    """All products of all tenants are partitions, trained or not, and the key of each leads back to it."""
    with finished.world.instance() as instance:
        keys = instance.get_dynamic_partitions("products")
        assert set(instance.get_dynamic_partitions("tenants")) == {ODD, TWIN}
    wanted = {(ODD, product) for product in tills.ODD} | {(TWIN, product) for product in tills.STEADY[:2]}
    assert {split_key(key) for key in keys} == wanted
    assert len(keys) == len(wanted)


def test_the_events_of_products_are_small(finished: Finished):
    """A product's materialization, its plot included, takes less than 15 KB of Dagster's event log."""
    place = finished.world.home.dagster / "history" / "runs" / f"{finished.runs[ODD].run_id}.db"
    query = (
        "SELECT partition, length(CAST(event AS BLOB)) FROM event_logs "
        "WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND asset_key LIKE '%product_model%'"
    )
    with sqlite3.connect(place) as connection:
        sizes = dict(connection.execute(query).fetchall())
    connection.close()
    assert len(sizes) == len(tills.TRAINED)
    assert {key[:40]: size for key, size in sizes.items() if size >= LARGEST_EVENT} == {}


def test_numbers_of_a_model_can_be_charted(models: dict[str, dg.AssetMaterialization]):
    """A model's figures are stored as numbers, never as text."""
    metadata = models[partition_key(ODD, tills.STEADY[0])].metadata
    assert [name for name in INTEGERS if not isinstance(metadata[name], dg.IntMetadataValue)] == []
    assert [name for name in FLOATS if not isinstance(metadata[name], dg.FloatMetadataValue)] == []


def test_a_model_says_why_tomorrow_is_what_it_is(models: dict[str, dg.AssetMaterialization], finished: Finished):
    """The event of each product has a table of parts, rounded, that add up to what the run forecasts for the day."""
    frame = pd.read_parquet(finished.world.home.table(ODD, "forecasts")).query("horizon == 1")
    expected = frame.set_index("product_id")["y_hat"]
    for product in tills.STEADY:
        lines = str(models[partition_key(ODD, product)].metadata["why"].value).splitlines()
        assert lines[0] == "| Friday 19 July 2024 | units |"
        cells = [line.split("|")[-2].strip() for line in lines[2:]]
        assert sum(map(float, cells[:-1])) == pytest.approx(expected[product], abs=0.005 * len(cells))
        assert lines[-1] == f"| **together** | **{expected[product]:.2f}** |"


def test_tables_show_their_size_columns_and_rows(materializations: list[dg.AssetMaterialization], finished: Finished):
    """Each stored table has a row count, its columns with their meaning, its path and a preview where it has rows."""
    tables = [name for name in TENANT_ASSETS if name != "report"]
    for one in materializations:
        name = one.asset_key.to_user_string()
        if name not in tables:
            continue
        frame = pd.read_parquet(finished.world.home.table(ODD, name))
        assert one.metadata["dagster/row_count"].value == len(frame), name
        schema = one.metadata["dagster/column_schema"].value
        assert [column.name for column in schema.columns] == list(frame.columns), name
        if name == "forecasts":
            shown = {column.name: (column.type, column.description) for column in schema.columns}
            assert shown["date"][0] == "date"
            assert shown["product_id"][0] == "string"
            assert shown["upper"] == ("float64", "0.95 quantile.")
        untold = {column.name for column in schema.columns if not column.description}
        assert untold <= {"evaluation": {*FAMILIES}, "features": {*frame.columns[3:]}}.get(name, set()), name
        assert one.metadata["path"].value == str(finished.world.home.table(ODD, name)), name
        shown_as = dg.TextMetadataValue if frame.empty else dg.TableMetadataValue
        assert isinstance(one.metadata["preview"], shown_as), name


@pytest.mark.parametrize("product", tills.TRAINED, ids=lambda product: product[:20])
def test_a_product_shows_its_plot(models: dict[str, dg.AssetMaterialization], product: str):
    """The plot is one Markdown image of a whole SVG, whatever the product is called, with the forecast in it."""
    text = models[partition_key(ODD, product)].metadata["forecast"].value
    assert text.startswith("![")
    assert "\n" not in text
    _, opening, data = text.partition("](data:image/svg+xml;base64,")
    assert opening
    assert data.endswith(")")
    root = ET.fromstring(base64.b64decode(data[:-1], validate=True))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(list(root.iter())) > 10


def test_a_model_says_where_it_comes_from(models: dict[str, dg.AssetMaterialization], finished: Finished):
    """Version, origin, weights and checksums of the event are those of the registry's manifest."""
    product = tills.STEADY[1]
    shown = models[partition_key(ODD, product)].metadata
    with finished.world.entered() as installation:
        manifest = installation.registry.manifest(ODD, product, shown["version"].value)
    assert shown["origin"].value == str(manifest.origin) == "2024-07-18"
    assert shown["weights"].value == {m.family: pytest.approx(m.weight, abs=1e-4) for m in manifest.members}
    wanted = {f"{m.family}/{ref.name}": ref.sha256 for m in manifest.members for ref in m.files}
    assert shown["sha256"].value == wanted
    assert shown["cause"].value == "never_trained"


def test_every_product_is_accounted_for(finished: Finished):
    """The ledger has one row for each product: trained, or not with the reason in words."""
    ledger = pd.read_parquet(finished.world.home.table(ODD, "training_ledger")).set_index("product_id")
    assert ledger["outcome"].to_dict() == {
        **dict.fromkeys(tills.TRAINED, "trained"),
        tills.SHORT: "insufficient",
        tills.GONE: "skipped",
    }
    assert ledger.loc[tills.SHORT, "reason"] == "Product requires minimum 30 days of sales data. Currently: 15 days."
    assert "discontinued" in ledger.loc[tills.GONE, "reason"]


def test_checks_are_stored_for_the_tenant(checks: dict[str, dg.AssetCheckEvaluation]):
    """Every check was evaluated, and each evaluation carries the tenant's partition."""
    assert len(checks) >= 14
    assert {name: one.partition for name, one in checks.items()} == dict.fromkeys(checks, ODD)


@pytest.mark.parametrize(
    ("check", "product", "reason", "rows"),
    [
        ("minimum_history", tills.SHORT, "Currently: 15 days.", 15),
        ("zero_share", tills.RARE, "96.0% of 200 observed days have no sales", 192),
    ],
)
def test_a_failing_check_names_its_products(
    checks: dict[str, dg.AssetCheckEvaluation], check: str, product: str, reason: str, rows: int
):
    """A failed evaluation is an error that lists each product with the reason and the number of rows."""
    found = checks[check]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert (found.description or "").startswith(f"{product}: ")
    assert reason in (found.description or "")
    (record,) = found.metadata["faults"].records
    assert record.data["product"] == product
    assert reason in record.data["reason"]
    assert record.data["rows"] == rows
    assert found.metadata["findings"].value == found.metadata["products"].value == 1


def test_the_models_are_held_against_both_gatekeepers(checks: dict[str, dg.AssetCheckEvaluation], finished: Finished):
    """The check tells the models' error as a share of the seasonal naive's and of the seasonal average's."""
    frame = pd.read_parquet(finished.world.home.table(ODD, "evaluation"))
    told = checks["beats_naive"].metadata
    error = (frame["actual"] - frame["y_hat"]).abs().sum()
    for name in ("naive", "average"):
        theirs = (frame["actual"] - frame[f"seasonal_{name}"]).abs().sum()
        assert told[f"error_against_{name}"].value == pytest.approx(error / theirs)
    assert checks["beats_naive"].passed == (told["error_against_naive"].value < 1)
    assert told["evaluated"].value == frame["product_id"].nunique()


def test_an_unusual_day_is_named(checks: dict[str, dg.AssetCheckEvaluation]):
    """The mistyped day is a warning that names product, day, units, what would have been usual, and the score."""
    found = checks["unusual_days"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    (record,) = found.metadata["days"].records
    told = record.data
    assert (told["product"], told["date"]) == (tills.MISTYPED, tills.TYPED_ON)
    assert told["units"] == pytest.approx(10 * told["usual"], rel=0.5)
    assert 0 < told["score"] < 1
    assert found.metadata["unusual"].value == found.metadata["products"].value == 1


def test_a_held_day_is_told(
    checks: dict[str, dg.AssetCheckEvaluation], materializations: list[dg.AssetMaterialization], finished: Finished
):
    """The day that is held back in fitting is named in the check, counted with the features, noted in the manifest."""
    (record,) = checks["outliers"].metadata["faults"].records
    assert record.data["product"] == tills.MISTYPED
    assert record.data["examples"].startswith(f"{tills.TYPED_ON}: ")
    (features,) = (one for one in materializations if one.asset_key.to_user_string() == "features")
    assert features.metadata["days_held_back"].value == 1
    with finished.world.entered() as installation:
        noted = {
            product: installation.registry.manifest(ODD, product, record.version).notes
            for product, record in installation.registry.latest(ODD).items()
        }
    (note,) = (note for note in noted.pop(tills.MISTYPED) if "held back" in note)
    assert note == f"1 one-day outliers held back in fitting: {record.data['examples']}"
    assert not [note for notes in noted.values() for note in notes if "held back" in note]


def test_other_checks_pass(checks: dict[str, dg.AssetCheckEvaluation]):
    """Clean rows, whole files and a plan for every product that is sold are told apart from faults."""
    wanted = {"required_fields", "future_dates", "duplicates", "product_count", "no_product_failed", "artefacts_whole"}
    wanted |= {"every_product_has_a_plan", "champions_in_use"}
    assert {name for name in wanted if not checks[name].passed} == set()


def test_every_product_that_is_sold_has_a_forecast(finished: Finished):
    """Fourteen finite days for each product still sold: from its model, or borrowed where it has none yet."""
    frame = pd.read_parquet(finished.world.home.table(ODD, "forecasts"))
    days = frame.groupby("product_id")["date"].nunique().to_dict()
    assert days == dict.fromkeys((*tills.TRAINED, tills.SHORT), 14)
    rungs = frame.drop_duplicates("product_id").set_index("product_id")["rung"]
    assert rungs[tills.STEADY[0]] == "champion"
    assert rungs[tills.SHORT] == "borrowed"
    assert frame[["y_hat", "lower", "upper"]].notna().all(axis=None)


def test_two_tenants_with_the_same_products_stay_apart(finished: Finished):
    """Each tenant's forecasts and models follow its own sales: the twin sells three times as much."""
    product = tills.STEADY[0]
    means = {}
    for tenant in (ODD, TWIN):
        frame = pd.read_parquet(finished.world.home.table(tenant, "forecasts"))
        assert set(frame["tenant_id"]) == {tenant}
        means[tenant] = frame.loc[frame["product_id"] == product, "y_hat"].mean()
    assert 2 < means[TWIN] / means[ODD] < 4
    with finished.world.entered() as installation:
        twins = installation.registry.models(TWIN)
        assert {record.product_id for record in twins} == set(tills.STEADY[:2])
        assert {record.tenant_id for record in twins} == {TWIN}


def test_nothing_leaves_the_home(finished: Finished):
    """Product names that look like paths lead nowhere: only the exports and `var` lie in the world's folder."""
    root = finished.world.root
    assert {path.name for path in root.iterdir()} == {"exports", "var"}
    assert not list(root.parent.rglob("*passwd*"))
    folders = {path.name for path in finished.world.home.root.iterdir() if path.is_dir()}
    made = {"access", "dagster", "data", "events", "lineage", "locks", "metrics", "models", "reports", "tenants"}
    assert folders == made


def test_no_temporary_file_is_left(finished: Finished):
    """Every file was renamed into place."""
    assert not [path for path in finished.world.home.root.rglob("*") if ".tmp" in path.name]


def test_the_report_is_dated_where_the_tenant_is(finished: Finished):
    """Its moment is in the tenant's time zone, so that today and tomorrow are those of the shop."""
    with finished.world.entered() as installation:
        assert str(build_report(installation, ODD).generated_at.tzinfo) == "Europe/Madrid"
