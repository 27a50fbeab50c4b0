"""Registered models, on every database."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import text

from contracts import ArtefactRef, HyperparameterOverrides, Metrics, ModelType, TrainingTerms
from pipeline.errors import IntegrityError, NotRegisteredError, RegistryError
from pipeline.registry import Registry, Wanted, models
from pipeline_tests.registry.builders import (
    MOMENT,
    VERSION,
    ledger_row,
    manifest,
    member,
    ref,
    register,
    start,
    versions,
)
from pipeline_tests.registry.test_plans import ODD


def test_a_manifest_is_read_back_as_it_was(registry: Registry) -> None:
    """What `register` returns is what `manifest` gives, for every odd product name."""
    job_id = start(registry)
    for name in ODD:
        stored = registry.register(manifest(job_id, product_id=name))
        assert stored == manifest(job_id, product_id=name)
        assert registry.manifest("bakery", name, stored.version) == stored
    assert {record.product_id for record in registry.models("bakery")} == set(ODD)


def test_a_record_tells_what_the_manifest_tells(registry: Registry) -> None:
    """The table's columns are the manifest's figures, families joined by plus."""
    job_id = start(registry)
    register(registry, job_id)
    [record] = registry.models("bakery")
    assert (record.version, record.algorithm, record.type) == (VERSION, "linear+lightgbm", "forecast")
    assert (record.origin, record.created_at) == (dt.date(2026, 3, 1), MOMENT)
    assert (record.demand_class, record.data_points, record.seconds) == ("high", 700, 0.4)
    assert (record.job_id, record.deployed, record.deployed_since) == (job_id, False, None)


@pytest.mark.parametrize(
    "terms",
    [
        None,
        TrainingTerms(start=dt.date(2025, 3, 1)),
        TrainingTerms(end=dt.date(2026, 2, 1), evaluation_origins=3),
        TrainingTerms(overrides=HyperparameterOverrides(lightgbm_learning_rate=0.1, lightgbm_max_depth=4)),
    ],
    ids=str,
)
def test_terms_are_kept_with_the_model(registry: Registry, terms: TrainingTerms | None) -> None:
    """Record, newest model and manifest have the terms; an ordinary training's are NULL, not a JSON null."""
    version = register(registry, start(registry), terms=terms)
    assert registry.manifest("bakery", "baguette", version).terms == terms
    assert registry.models("bakery")[0].terms == registry.latest("bakery")["baguette"].terms == terms
    with registry._reading() as connection:
        unset = connection.scalar(text("SELECT terms IS NULL FROM trained_models"))
    assert bool(unset) == (terms is None)


def test_metrics_are_kept_by_family(registry: Registry) -> None:
    """Defined figures stand under their family, the combination and the naive; undefined ones nowhere."""
    version = register(registry, start(registry))
    found = registry.metrics("bakery", "baguette", version)
    assert found["linear"] == {"n": 56, "mae": 2.5, "wape": 0.2}
    assert found["combination"] == {"n": 56, "mae": 2.0, "wape": 0.18, "coverage": 0.91}
    assert found["naive"] == {"n": 56, "mae": 3.0, "wape": 0.25}
    assert set(found) == {"linear", "lightgbm", "combination", "naive"}
    assert registry.metrics("cafe", "baguette", version) == {}


def test_artefacts_are_listed(registry: Registry) -> None:
    """Every file of every family has its row, with hash and size."""
    register(registry, start(registry))
    with registry._reading() as connection:
        rows = connection.execute(text("SELECT family, name, sha256, bytes FROM artefacts ORDER BY family")).all()
    expected = [(name, "model.json", ref(name.encode()).sha256, len(name)) for name in ("lightgbm", "linear")]
    assert [tuple(row) for row in rows] == expected


def test_a_taken_version_moves_on_second_by_second(registry: Registry) -> None:
    """Registering at the same moment thrice gives three versions; another product or tenant is not in the way."""
    job_id = start(registry)
    assert [register(registry, job_id) for _ in range(3)] == [VERSION, "20260302_040507", "20260302_040508"]
    assert register(registry, job_id, product_id="croissant") == VERSION
    assert register(registry, start(registry, "cafe"), tenant_id="cafe") == VERSION
    assert registry.next_version("bakery", "baguette", MOMENT) == "20260302_040509"
    assert registry.manifest("bakery", "baguette", "20260302_040508").version == "20260302_040508"


def test_versions_are_utc_and_roll_over(registry: Registry) -> None:
    """A moment in another zone is turned to UTC, and the second after 23:59:59 is the next day."""
    madrid = dt.timezone(dt.timedelta(hours=2))
    moment = dt.datetime(2026, 7, 1, 1, 59, 59, tzinfo=madrid)
    assert registry.next_version("bakery", "baguette", moment) == "20260630_235959"
    job_id = start(registry)
    register(registry, job_id, version="20261231_235959")
    assert register(registry, job_id, version="20261231_235959") == "20270101_000000"


@pytest.mark.parametrize("version", ["20261301_000000", "20260230_000000", "20260101_250000"])
def test_a_version_must_be_a_moment(registry: Registry, version: str) -> None:
    """Fourteen digits that are no moment are refused."""
    with pytest.raises(RegistryError, match=version):
        register(registry, start(registry), version=version)


def test_a_registration_is_whole_or_absent(registry: Registry) -> None:
    """When a file's row cannot be stored, neither is the model nor any metric."""
    job_id = start(registry)
    twice = member("linear").model_copy(update={"files": (ref(), ref(b"other"))})
    with pytest.raises(RegistryError):
        register(registry, job_id, members=(twice,))
    assert registry.models("bakery") == []
    assert registry.metrics("bakery", "baguette", VERSION) == {}
    assert register(registry, job_id) == VERSION


def test_a_family_may_stand_once(registry: Registry) -> None:
    """A manifest that names a family twice is refused at once."""
    with pytest.raises(RegistryError, match="names a family twice: linear"):
        register(registry, start(registry), members=(member("linear"), member("linear")))


def test_a_model_needs_a_job_of_its_tenant(registry: Registry) -> None:
    """A model cannot name a job that was never started, nor another tenant's."""
    with pytest.raises(NotRegisteredError, match="'nope'"):
        register(registry, "nope")
    with pytest.raises(RegistryError, match="belongs to tenant 'cafe'"):
        register(registry, start(registry, "cafe"))


@pytest.mark.parametrize(
    "change",
    [
        """UPDATE trained_models SET manifest = replace(manifest, '"mae":2.0', '"mae":1.0')""",
        "UPDATE trained_models SET manifest_sha256 = 'abc'",
        "UPDATE trained_models SET manifest = ''",
        "UPDATE trained_models SET tenant_id = 'cafe'",
        "UPDATE trained_models SET version = '20200101_000000'",
    ],
)
def test_a_manifest_edited_by_hand_is_found_out(registry: Registry, change: str) -> None:
    """A changed text, hash or row raises an error that names the model."""
    register(registry, start(registry))
    with registry._writing() as connection:
        connection.exec_driver_sql(change)
    with registry._reading() as connection:
        row = connection.execute(text("SELECT tenant_id, version FROM trained_models")).one()
    with pytest.raises(IntegrityError, match=f"{row.tenant_id}/baguette {row.version}"):
        registry.manifest(row.tenant_id, "baguette", row.version)


def test_an_unknown_model_is_an_error(registry: Registry) -> None:
    """A version, product or tenant without that model is named; another tenant's model is unknown."""
    register(registry, start(registry))
    for tenant, product, version in (
        ("bakery", "baguette", "20200101_000000"),
        ("bakery", "bread", VERSION),
        ("cafe", "baguette", VERSION),
    ):
        with pytest.raises(NotRegisteredError, match=f"'{version}' of product '{product}' of tenant '{tenant}'"):
            registry.manifest(tenant, product, version)


def test_models_are_listed_by_product_state_and_page(registry: Registry) -> None:
    """The last registered comes first; filters and pages cut what they say."""
    job_id = start(registry)
    made = [register(registry, job_id) for _ in range(4)]
    register(registry, job_id, product_id="croissant")
    registry.promote("bakery", "baguette", made[1], reason="better", actor="tests", figures={})
    assert versions(registry.models("bakery", "baguette")) == made[::-1]
    assert versions(registry.models("bakery", "baguette", limit=2, offset=1)) == [made[2], made[1]]
    assert versions(registry.models("bakery", deployed=True)) == [made[1]]
    assert len(registry.models("bakery", deployed=False)) == 4
    assert len(registry.models("bakery")) == 5
    assert registry.models("cafe") == []


def test_latest_is_the_newest_version_of_each_product(registry: Registry) -> None:
    """The last registered has the newest version, whatever it asked for; other tenants and model types do not count."""
    job_id = start(registry)
    register(registry, job_id, version="20260401_000000")
    register(registry, job_id, version="20260301_000000")
    register(registry, job_id, version="20260501_000000", model_type=ModelType.ANOMALY)
    register(registry, job_id, product_id="croissant")
    register(registry, start(registry, "cafe"), tenant_id="cafe", version="20270101_000000")
    latest = registry.latest("bakery")
    assert {name: record.version for name, record in latest.items()} == {
        "baguette": "20260401_000001",
        "croissant": VERSION,
    }
    assert registry.latest("bakery", ModelType.ANOMALY)["baguette"].version == "20260501_000000"
    assert registry.newest_versions("bakery") == {name: record.version for name, record in latest.items()}
    assert registry.newest_versions("bakery", ModelType.ANOMALY) == {"baguette": "20260501_000000"}


def test_tenant_models_are_found_by_their_key(registry: Registry) -> None:
    """A shared fit is found for exactly its tenant, family and key; saved again, it is replaced."""
    files: tuple[ArtefactRef, ...] = (ref(b"booster", "booster.txt"), ref(b"columns", "columns.json"))
    key = "a" * 64
    assert registry.tenant_model("bakery", "lightgbm", key) is None
    for kept in (files[:1], files):
        registry.save_tenant_model("bakery", "lightgbm", key, kept, origin=dt.date(2026, 3, 1), seconds=9.5)
        assert registry.tenant_model("bakery", "lightgbm", key) == kept
    assert registry.tenant_model("cafe", "lightgbm", key) is None
    assert registry.tenant_model("bakery", "linear", key) is None
    assert registry.tenant_model("bakery", "lightgbm", "b" * 64) is None


def test_metrics_hold_every_figure(registry: Registry) -> None:
    """All figures of the contract, negative ones too, come back with full precision."""
    full = Metrics(
        n=3, mae=1 / 3, rmse=0.1, r2_score=-2.5, mape=12.5, mape_days_left_out=0.25, accuracy=87.5, wape=0.1,
        mase=0.7, rmsse=0.8, bias=-0.05, coverage=1.0, below_upper=0.95, pinball=0.3,
    )  # fmt: skip
    version = register(registry, start(registry), metrics=full)
    assert registry.metrics("bakery", "baguette", version)["combination"] == full.model_dump()


def test_a_model_and_its_ledger_row_are_one(registry: Registry) -> None:
    """The row is committed with the version that the model got; where it cannot be, there is no model either."""
    job_id = start(registry)
    register(registry, job_id)
    stored = registry.register(manifest(job_id), ledger_row(job_id, "baguette", version=None))
    assert stored.version == "20260302_040507"
    assert [row.version for row in registry.ledger("bakery")] == [stored.version]
    other = start(registry)
    for row in (ledger_row(job_id, "tart"), ledger_row(other, "baguette"), ledger_row(job_id, "baguette", "cafe")):
        with pytest.raises(RegistryError, match="cannot be committed with a model of bakery/baguette"):
            registry.register(manifest(job_id), row)
    assert len(registry.models("bakery")) == 2


def test_a_ledger_row_that_cannot_be_written_takes_its_model_back(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a model stays when writing its ledger row fails."""
    job_id = start(registry)

    def fail(*_: object) -> None:
        raise RegistryError("the disk is full")

    monkeypatch.setattr(models, "write_ledger", fail)
    with pytest.raises(RegistryError, match="the disk is full"):
        registry.register(manifest(job_id), ledger_row(job_id, "baguette"))
    assert registry.models("bakery") == []
    assert registry.metrics("bakery", "baguette", VERSION) == {}


def test_a_listing_has_the_errors_of_each_model(registry: Registry) -> None:
    """The newest model comes first, with its WAPE and the naive's; pages follow each other without a gap."""
    job_id = start(registry)
    made = [
        register(registry, job_id, metrics=Metrics(n=9, wape=wape), naive_metrics=Metrics(n=9, wape=0.5))
        for wape in (0.3, 0.2, None)
    ]
    listed = registry.listing("bakery")
    assert [one.model.version for one in listed] == made[::-1]
    assert [(one.wape, one.naive_wape) for one in listed] == [(None, 0.5), (0.2, 0.5), (0.3, 0.5)]
    assert [*registry.listing("bakery", limit=2), *registry.listing("bakery", limit=2, offset=2)] == listed
    assert registry.listing("cafe") == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(product_id="tart"), {"tart"}),
        (Wanted(family="linear"), {"tart", "rye", "baguette"}),
        (Wanted(family="linea"), set()),
        (Wanted(family="%"), set()),
        (Wanted(family="lightgbm"), {"baguette", "rye"}),
        (Wanted(deployed=True), {"rye"}),
        (Wanted(deployed=False), {"baguette", "tart"}),
        (Wanted(max_wape=0.2), {"tart", "rye"}),
        (Wanted(model_type="anomaly"), set()),
        (Wanted(family="lightgbm", max_wape=0.2), {"rye"}),
    ],
)
def test_a_listing_can_be_narrowed(registry: Registry, wanted: Wanted, found: set[str]) -> None:
    """By product, family (whole names alone), type, use and error, each on its own and together."""
    job_id = start(registry)
    register(registry, job_id, product_id="baguette", metrics=Metrics(n=9, wape=0.3))
    register(registry, job_id, product_id="tart", metrics=Metrics(n=9, wape=0.1), members=(member("linear", 1.0),))
    version = register(registry, job_id, product_id="rye", metrics=Metrics(n=9, wape=0.2))
    registry.promote("bakery", "rye", version, reason="first", actor="tests", figures={})
    assert {one.model.product_id for one in registry.listing("bakery", wanted)} == found
