"""The contracts: their published schemas, what they accept, and what they refuse."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import contracts
from contracts import (
    AnomalyModel,
    AnomalySettings,
    AnomalyTrial,
    ArtefactRef,
    Contract,
    CreatedModel,
    DailySales,
    Explanation,
    ExtractionReport,
    ForecastPart,
    ForecastRow,
    IntervalBand,
    JobProgress,
    LedgerRow,
    Member,
    MemberForecast,
    Metrics,
    ModelManifest,
    PlanRow,
    Product,
    RejectedRow,
    SalesImported,
    Tenant,
    TrainingCompleted,
    TrainingFailed,
    TrainingResults,
    TrainingTrigger,
)
from contracts.schemas import FOLDER, PUBLISHED, main, rendered
from pipeline_tests.asking import REQUESTS
from pipeline_tests.metadata import METADATA

HASH = st.sampled_from(["0" * 64, "ab" * 32])
TENANT = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = TEXT.filter(bool)
COUNT = st.integers(0, 10**6)
AMOUNT = st.floats(0, 1e9)
SHARE = st.floats(0, 1)
DAY = st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1))
MOMENT = st.datetimes(
    dt.datetime(2000, 1, 1),
    dt.datetime(2100, 1, 1),
    timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=9))]),
)
VERSION = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1)).map(lambda m: f"{m:%Y%m%d_%H%M%S}")
METRICS = st.builds(
    Metrics, n=COUNT, mae=st.none() | AMOUNT, r2_score=st.none() | st.floats(-9, 1), accuracy=st.floats(0, 100),
    bias=st.floats(-9, 9), coverage=SHARE, mape_days_left_out=SHARE, rmse=AMOUNT, mape=AMOUNT, wape=AMOUNT,
    mase=AMOUNT, rmsse=AMOUNT,
)  # fmt: skip
REF = st.builds(ArtefactRef, name=NAME, sha256=HASH, bytes=COUNT)
MEMBER = st.builds(
    Member, family=NAME, weight=SHARE, scope=st.sampled_from(["product", "tenant"]),
    parameters=st.dictionaries(TEXT, st.integers() | st.floats(-9, 9) | TEXT | st.none() | st.lists(st.booleans())),
    files=st.lists(REF, max_size=2).map(tuple), metrics=METRICS,
)  # fmt: skip
FOREST = st.builds(
    AnomalySettings, n_estimators=st.integers(50, 300), contamination=st.floats(0.01, 0.3),
    max_samples=st.sampled_from(["auto", 256, 512, 1024]),
)  # fmt: skip
CREATED = st.builds(
    CreatedModel, product_id=NAME, product_name=TEXT, model_version=VERSION, accuracy=st.none() | SHARE,
    mae=st.none() | AMOUNT, rmse=st.none() | AMOUNT, r2_score=st.none() | st.floats(-9, 1),
)  # fmt: skip
TOLD = {"event_id": st.just("ab" * 16), "tenant_id": TENANT, "job_id": TEXT, "timestamp": MOMENT}
OF_ALERT = {
    "event_id": st.just("ab" * 16), "alert_id": COUNT, "kind": TEXT, "tenant_id": st.none() | TENANT, "subject": TEXT,
    "severity": st.sampled_from(contracts.Severity), "message": TEXT, "timestamp": MOMENT,
}  # fmt: skip
ASKED = {"tenant_id": TENANT, "event_id": st.none() | NAME, "timestamp": st.none() | MOMENT}
PRODUCT = {"tenant_id": TENANT, "product_id": NAME}
FINGERPRINTED = {**PRODUCT, "data_days": COUNT, "data_fingerprint": HASH}


@st.composite
def forecasts(draw: st.DrawFn) -> ForecastRow:
    """Rows whose quantiles rise and whose dates agree."""
    names = ("lower", "q10", "q25", "q50", "q75", "q90", "upper")
    levels = dict(zip(names, sorted(draw(st.lists(AMOUNT, min_size=7, max_size=7))), strict=True))
    origin, horizon = draw(DAY), draw(st.integers(1, 365))
    return ForecastRow(
        tenant_id=draw(TENANT), product_id=draw(NAME), origin=origin, horizon=horizon,
        date=origin + dt.timedelta(days=horizon), y_hat=draw(AMOUNT), **levels, issued_at=draw(MOMENT),
        rung=draw(st.sampled_from(contracts.Rung)), reason=draw(TEXT), model_version=draw(st.none() | VERSION),
    )  # fmt: skip


@st.composite
def explanations(draw: st.DrawFn) -> Explanation:
    """Parts that add up."""
    part = st.builds(ForecastPart, kind=st.sampled_from(contracts.PartKind), name=TEXT, units=AMOUNT, words=TEXT)
    parts = tuple(draw(st.lists(part, max_size=4)))
    return Explanation(
        tenant_id=draw(TENANT), product_id=draw(NAME), date=draw(DAY), origin=draw(DAY), parts=parts,
        y_hat=sum(part.units for part in parts), lower=draw(AMOUNT), upper=draw(AMOUNT), reason=draw(TEXT),
        rung=draw(st.sampled_from(contracts.Rung)), model_version=draw(st.none() | VERSION),
        members=(MemberForecast(family="linear", weight=draw(SHARE), y_hat=draw(AMOUNT)),),
    )  # fmt: skip


@st.composite
def reports(draw: st.DrawFn) -> ExtractionReport:
    """Accounts that add up."""
    used, *merged = (draw(COUNT) for _ in range(4))
    rejected = draw(st.dictionaries(st.sampled_from(contracts.Rejection), COUNT))
    return ExtractionReport(
        tenant_id=draw(TENANT), extracted_at=draw(MOMENT), files_seen=draw(COUNT), files_read=draw(COUNT),
        rows_used=used, rows_merged=sum(merged), merged_into_day=merged[0], duplicates_dropped=merged[1],
        superseded=merged[2], rejected_by_reason=rejected, rows_rejected=sum(rejected.values()),
        rows_read=used + sum(merged) + sum(rejected.values()),
        examples=(RejectedRow(file="a.csv", row=1, reason=contracts.Rejection.BAD_DATE, value="x"),),
    )  # fmt: skip


@st.composite
def asked_forecasts(draw: st.DrawFn) -> contracts.RequestedForecastRow:
    """Rows of a forecast that was asked for."""
    return contracts.RequestedForecastRow(
        tenant_id=draw(TENANT), product_id=draw(NAME), origin=draw(DAY), horizon=draw(st.integers(1, 365)),
        date=draw(DAY), y_hat=draw(AMOUNT), lower=draw(AMOUNT), upper=draw(AMOUNT), issued_at=draw(MOMENT),
        confidence=draw(st.floats(0.5, 0.99)), beyond_horizon=draw(st.booleans()), reason=draw(TEXT),
        rung=draw(st.sampled_from(contracts.Rung)), model_version=draw(st.none() | VERSION),
    )  # fmt: skip


SOURCES = (
    st.builds(contracts.FileSource, path=NAME)
    | st.builds(contracts.SqlSource, kind=st.just("sql"), url=NAME, query=NAME)
    | st.builds(contracts.HttpSource, kind=st.just("http"), url=st.just("https://till.example/sales"))
)

VALID: dict[type[Contract], st.SearchStrategy[Contract]] = {
    DailySales: st.builds(DailySales, **PRODUCT, date=DAY, quantity=AMOUNT, unit_price=st.none() | AMOUNT),
    ExtractionReport: reports(),
    Tenant: st.builds(
        Tenant, id=TENANT, name=NAME, country=st.sampled_from(["ES", "DE"]),
        timezone=st.sampled_from(["Europe/Madrid", "UTC"]), source=SOURCES,
        covariates=st.none() | st.builds(contracts.CovariateSource, path=NAME),
        closing=st.builds(contracts.ClosingDays, dates=st.lists(DAY, max_size=2).map(tuple)),
        local_holidays=st.lists(
            st.builds(contracts.LocalHoliday, name=NAME, date=DAY)
            | st.builds(contracts.LocalHoliday, name=NAME, yearly=DAY.map(lambda day: f"{day:%m-%d}"))
            | st.builds(contracts.LocalHoliday, name=NAME, easter=st.integers(-100, 100)),
            max_size=2,
        ).map(tuple),
        town=st.none() | NAME, without_holidays=st.lists(DAY, max_size=2).map(tuple),
    ),
    Product: st.builds(
        Product, **PRODUCT, first_date=DAY, last_date=DAY, data_days=COUNT, zero_share=SHARE, mean_quantity=AMOUNT
    ),
    Metrics: METRICS,
    ModelManifest: st.builds(
        ModelManifest, **FINGERPRINTED, version=VERSION, created_at=MOMENT, job_id=TEXT, origin=DAY,
        horizon=st.integers(1, 365), config_fingerprint=HASH, members=st.tuples(MEMBER) | st.tuples(MEMBER, MEMBER),
        scale=AMOUNT, bands=st.just((IntervalBand(first_day=1, last_day=7, quantiles={"0.95": 1.7}, errors=9),)),
        metrics=METRICS, naive_metrics=METRICS, origins=st.lists(DAY, max_size=3).map(tuple), evaluation=TEXT,
        libraries=st.dictionaries(TEXT, TEXT, max_size=2), code_version=TEXT, seed=st.integers(), seconds=AMOUNT,
        terms=REQUESTS[contracts.AdvancedTrainingRequest].map(lambda request: request.terms),
    ),
    ForecastRow: forecasts(),
    Explanation: explanations(),
    JobProgress: st.builds(
        JobProgress, percentage=SHARE.map(lambda share: 100 * share), products_completed=COUNT, products_total=COUNT,
        estimated_time_remaining=st.none() | AMOUNT, started_at=MOMENT,
    ),
    PlanRow: st.builds(PlanRow, **FINGERPRINTED, reason=TEXT, importance=AMOUNT),
    LedgerRow: st.builds(
        LedgerRow, **FINGERPRINTED, job_id=TEXT, reason=TEXT, origin=DAY, version=st.none() | VERSION, seconds=AMOUNT
    ),
    AnomalyModel: st.builds(
        AnomalyModel, tenant_id=TENANT, created_at=MOMENT, origin=DAY, data_fingerprint=HASH, code_version=TEXT,
        libraries=st.dictionaries(TEXT, TEXT, max_size=2), seed=st.integers(), settings=FOREST, alarm=SHARE, f1=SHARE,
        average_precision=SHARE, precision=SHARE, recall=st.dictionaries(TEXT, SHARE, max_size=2),
        injected=st.dictionaries(TEXT, COUNT, max_size=2), days=COUNT, seconds=AMOUNT,
        trials=st.lists(st.builds(AnomalyTrial, settings=FOREST, f1=SHARE), max_size=2).map(tuple),
    ),
    TrainingCompleted: st.builds(
        TrainingCompleted, **TOLD, job_name=TEXT, started_at=MOMENT, completed_at=MOMENT, results=st.builds(
            TrainingResults, successful_trainings=COUNT, failed_trainings=COUNT, total_products=COUNT,
            models_created=st.lists(CREATED, max_size=2).map(tuple), average_accuracy=st.none() | AMOUNT,
            training_duration_seconds=AMOUNT,
        ),
    ),
    TrainingFailed: st.builds(
        TrainingFailed, **TOLD, product_id=st.none() | NAME, product_name=st.none() | TEXT, error_type=TEXT,
        error_message=TEXT, recommended_action=TEXT, severity=st.sampled_from(contracts.Severity),
    ),
    contracts.AlertRaised: st.builds(contracts.AlertRaised, **OF_ALERT, recommended_action=TEXT),
    contracts.AlertEnded: st.builds(contracts.AlertEnded, **OF_ALERT, outcome=TEXT),
    TrainingTrigger: st.builds(
        TrainingTrigger, **ASKED, products=st.just("all") | st.lists(NAME, min_size=1, max_size=3).map(tuple),
        priority=st.sampled_from(contracts.Priority),
    ),
    SalesImported: st.builds(SalesImported, **ASKED, source=NAME, rows=COUNT),
    contracts.RequestedForecastRow: asked_forecasts(),
    **REQUESTS,
    **METADATA,
}  # fmt: skip
"""Valid instances of each published contract."""


SHOWN = (DailySales, ForecastRow, PlanRow, LedgerRow, Product, Metrics)
"""Contracts whose fields are columns, or figures, in the UI."""


@pytest.mark.parametrize("contract", SHOWN)
def test_every_column_that_people_see_is_described(contract: type[Contract]) -> None:
    """Each field says what it holds, in a sentence that ends."""
    told = {name: field.description or "" for name, field in contract.model_fields.items()}
    assert not [name for name, text in told.items() if not text.endswith(".")]


def test_the_published_schemas_do_not_drift() -> None:
    """Every file in `contracts/schemas` is what the code renders, and there is no other."""
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert found == rendered(), "write them anew with `python -m contracts.schemas`"


def test_writing_the_schemas_removes_strays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator leaves exactly the published schemas behind."""
    monkeypatch.setattr("contracts.schemas.FOLDER", tmp_path / "schemas")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "Gone.json").write_text("{}")
    main()
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == set(rendered())


def test_every_published_contract_is_exported_and_tested() -> None:
    """A contract that is published has a name in the package and examples in this file."""
    assert set(PUBLISHED) == set(VALID)
    assert {contract.__name__ for contract in PUBLISHED} <= set(contracts.__all__)


def test_every_figure_is_described_to_strangers() -> None:
    """Schemas are objects that refuse unknown fields, and their top carries a description."""
    for name, text in rendered().items():
        schema = json.loads(text)
        assert schema["additionalProperties"] is False, name
        assert schema["description"], name


@pytest.mark.parametrize("contract", PUBLISHED, ids=lambda contract: contract.__name__)
@given(data=st.data())
def test_valid_instances_survive_json(contract: type[Contract], data: st.DataObject) -> None:
    """What is written as JSON is read back equal, and unknown fields are refused."""
    instance = data.draw(VALID[contract])
    text = instance.model_dump_json()
    assert contract.model_validate_json(text) == instance
    with pytest.raises(ValidationError, match="extra"):
        contract.model_validate({**instance.model_dump(), "colour": "blue"})


@pytest.mark.parametrize("contract", PUBLISHED, ids=lambda contract: contract.__name__)
@given(data=st.data())
def test_instances_cannot_be_changed(contract: type[Contract], data: st.DataObject) -> None:
    """Fields are set once."""
    instance = data.draw(VALID[contract])
    with pytest.raises(ValidationError, match="frozen"):
        setattr(instance, next(iter(contract.model_fields)), None)


MOMENT_TEXT = "2026-03-02T04:05:06Z"
ROW: dict[str, Any] = {
    "tenant_id": "bakery", "product_id": "baguette", "date": "2026-03-03", "origin": "2026-03-01", "horizon": 2,
    "y_hat": 5, "lower": 1, "q10": 2, "q25": 3, "q50": 4, "q75": 5, "q90": 6, "upper": 7, "rung": "champion",
    "reason": "", "issued_at": MOMENT_TEXT,
}  # fmt: skip
SALES: dict[str, Any] = {"tenant_id": "bakery", "product_id": "x", "date": "2026-03-01", "quantity": 1}
WHY: dict[str, Any] = {
    "tenant_id": "b", "product_id": "x", "date": "2026-03-03", "origin": "2026-03-01", "y_hat": 5, "lower": 1,
    "upper": 7, "rung": "champion", "reason": "", "members": [],
    "parts": [
        {"kind": "level", "units": 7, "words": "level"}, {"kind": "weekday", "units": -2, "words": "Tuesday"},
    ],
}  # fmt: skip
PLAN: dict[str, Any] = {
    "tenant_id": "b", "product_id": "x", "due": True, "reason": "", "importance": 1, "data_days": 1,
    "data_fingerprint": "0" * 64,
}  # fmt: skip
REPORT: dict[str, Any] = {
    "tenant_id": "b", "extracted_at": MOMENT_TEXT, "files_seen": 1, "files_read": 1, "rows_read": 3, "rows_used": 1,
    "rows_merged": 1, "merged_into_day": 1, "rows_rejected": 1, "rejected_by_reason": {"bad_date": 1},
}  # fmt: skip
TENANT_FILE: dict[str, Any] = {
    "id": "b", "name": "B", "country": "ES", "timezone": "Europe/Madrid", "source": {"path": "sales.csv"},
}  # fmt: skip
BAD: list[tuple[type[Contract], dict[str, Any], dict[str, Any], str]] = [
    (ForecastRow, ROW, {"q90": 8}, "quantiles must not fall"),
    (ForecastRow, ROW, {"horizon": 3}, "is not 3 days after"),
    (ForecastRow, ROW, {"horizon": 0, "date": "2026-03-01"}, "horizon"),
    (ForecastRow, ROW, {"y_hat": -1}, "y_hat"),
    (ForecastRow, ROW, {"y_hat": float("nan")}, "finite"),
    (ForecastRow, ROW, {"upper": float("inf")}, "finite"),
    (ForecastRow, ROW, {"issued_at": "2026-03-02T04:05:06"}, "timezone"),
    (ForecastRow, ROW, {"rung": "guess"}, "rung"),
    (Explanation, WHY, {"y_hat": 5.001}, "the parts are together 5.0, the forecast is 5.001"),
    (Explanation, WHY, {"parts": []}, "the parts are together 0"),
    (DailySales, SALES, {"quantity": -1}, "quantity"),
    (DailySales, SALES, {"product_id": ""}, "product_id"),
    (DailySales, SALES, {"product_id": "x" * 1001}, "product_id"),
    (DailySales, SALES, {"date": "2026-02-30"}, "date"),
    *(
        (DailySales, SALES, {"tenant_id": bad}, "tenant_id")
        for bad in ("", "..", "a/b", "A", "-a", "é", "a\n", "a" * 64)
    ),
    (PlanRow, PLAN, {"data_fingerprint": "0" * 63}, "data_fingerprint"),
    (PlanRow, PLAN, {"data_fingerprint": "G" * 64}, "data_fingerprint"),
    (PlanRow, PLAN, {"cause": "boredom"}, "cause"),
    (PlanRow, PLAN, {"data_days": -1}, "data_days"),
    (ExtractionReport, REPORT, {"rows_read": 4}, "used . merged . rejected is 3"),
    (ExtractionReport, REPORT, {"merged_into_day": 0}, "its parts add up to 0"),
    (ExtractionReport, REPORT, {"rejected_by_reason": {}}, "does not add up"),
    (Tenant, TENANT_FILE, {"timezone": "Europe/Madird"}, "IANA"),
    (Tenant, TENANT_FILE, {"timezone": "../../etc/passwd"}, "IANA"),
    (Tenant, TENANT_FILE, {"country": "Spain"}, "country"),
    (Tenant, TENANT_FILE, {"source": {"path": "x", "mapping": {"date": "day", "quantity": "day"}}}, "two fields: day"),
    (TrainingTrigger, {"tenant_id": "b", "products": "all"}, {"products": []}, "products"),
    (TrainingTrigger, {"tenant_id": "b", "products": "all"}, {"tenant": "c"}, "tenant"),
    (TrainingTrigger, {"tenant": "b", "products": ["x"]}, {"priority": "now"}, "priority"),
    (SalesImported, {"tenant_id": "b", "source": "till", "rows": 1}, {"rows": -1}, "rows"),
    (SalesImported, {"tenant_id": "b", "source": "till", "rows": 1}, {"timestamp": "2026-03-02T04:05:06"}, "timezone"),
    (Metrics, {"n": 1}, {"coverage": 1.1}, "coverage"),
    (Metrics, {"n": 1}, {"r2_score": 2}, "r2_score"),
]


@pytest.mark.parametrize(("contract", "whole", "change", "words"), BAD)
def test_bad_values_are_refused(
    contract: type[Contract], whole: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    """The instance is valid without the change, and with it refused in words that name the fault."""
    contract.model_validate(whole)
    with pytest.raises(ValidationError, match=words):
        contract.model_validate({**whole, **change})


def test_moments_become_utc() -> None:
    """A moment of another zone is the same moment, written as UTC."""
    row = ForecastRow.model_validate({**ROW, "issued_at": "2026-03-02T04:05:06+09:00"})
    assert row.issued_at.tzinfo == dt.UTC
    assert '"2026-03-01T19:05:06Z"' in row.model_dump_json()
