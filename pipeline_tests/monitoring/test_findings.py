"""Each check of a tenant's sales: when it speaks, what it says, and when it is silent."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contracts import ExtractionReport, FileSource, RejectedRow, Rejection, Tenant
from pipeline.engine.observe import lay_out
from pipeline.monitoring.findings import (
    HISTORY_CHECKS,
    REPORT_CHECKS,
    SHOWN,
    Finding,
    Severity,
    deviations,
    duplicates,
    future_dates,
    minimum_history,
    outliers,
    product_count,
    quantities,
    required_fields,
    zero_share,
)
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline_tests.engine.builders import MONDAY, NAN, days, outlook_of, sold_daily

SETTINGS = Settings()
LENGTH = 120
UNUSABLE = [Rejection.BAD_DATE, Rejection.BAD_QUANTITY, Rejection.MISSING_PRODUCT, Rejection.MALFORMED]
NOISE = np.random.default_rng(4).poisson(100, LENGTH).astype(float)


def report(rejected: dict[Rejection, int] | None = None, **changes: object) -> ExtractionReport:
    """Return the report of 100 rows, some of them rejected."""
    reasons = rejected or {}
    count = sum(reasons.values())
    examples = tuple(
        RejectedRow(file="till.csv", row=row + 1, reason=reason, value="?")
        for reason, rows in reasons.items()
        for row in range(min(rows, 25))
    )
    values: dict[str, object] = {
        "tenant_id": "bakery",
        "extracted_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "files_seen": 1,
        "files_read": 1,
        "rows_read": 100,
        "rows_used": 100 - count,
        "rows_merged": 0,
        "rows_rejected": count,
        "rejected_by_reason": reasons,
        "examples": examples,
        "products": 3,
    }
    return ExtractionReport.model_validate({**values, **changes})


def history(**products: np.ndarray) -> TenantData:
    """Return the data of a shop in which something else is sold every day."""
    units = {"always": NOISE, **products}
    table = sold_daily(np.array(list(units.values())), tuple(units))
    tenant = Tenant(
        id="bakery", name="Bakery", country="ES", timezone="Europe/Madrid", source=FileSource(path="nowhere.csv")
    )
    last = days(LENGTH)[-1]
    return TenantData(tenant, lay_out(table, last), outlook_of(LENGTH), last)


def only(found: list[Finding]) -> Finding:
    """Return the one finding."""
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("name", REPORT_CHECKS)
def test_a_clean_report_has_no_findings(name: str) -> None:
    """Where every row was used no check of the report has anything to say."""
    assert list(REPORT_CHECKS[name](report(), SETTINGS)) == []


@pytest.mark.parametrize("name", HISTORY_CHECKS)
def test_a_sound_history_has_no_findings(name: str) -> None:
    """A product with four steady months is fine by every check."""
    assert list(HISTORY_CHECKS[name](history(), SETTINGS)) == []


def test_checks_stand_under_their_own_names() -> None:
    """A finding's check is the name that it is listed under."""
    bad = report({Rejection.BAD_DATE: 1, Rejection.FUTURE_DATE: 1, Rejection.ABSURD_QUANTITY: 1}, products=0)
    bad = bad.model_copy(update={"duplicates_dropped": 1})
    for name, check in REPORT_CHECKS.items():
        assert {finding.check for finding in check(bad, SETTINGS)} == {name}


@pytest.mark.parametrize("kind", UNUSABLE)
@pytest.mark.parametrize(("count", "severity"), [(1, Severity.WARNING), (50, Severity.WARNING), (51, Severity.ERROR)])
def test_required_fields(kind: Rejection, count: int, severity: Severity) -> None:
    """Rows without date, product or quantity warn; more than half of all rows are an error. Rows are named."""
    found = only(list(required_fields(report({kind: count, Rejection.OTHER_TENANT: 2}), SETTINGS)))
    assert (found.severity, found.product_id, found.rows) == (severity, None, count)
    assert found.reason.startswith(f"{count} of 100 rows ({count}.0%)")
    assert found.examples[0] == f"till.csv row 1: {kind} '?'"
    assert len(found.examples) == min(count, SHOWN)
    assert all(str(kind) in example for example in found.examples)


def test_required_fields_are_added_up() -> None:
    """All kinds count together."""
    rejected = dict.fromkeys(UNUSABLE, 13)
    assert only(list(required_fields(report(rejected), SETTINGS))).severity is Severity.ERROR
    assert list(required_fields(report({Rejection.OTHER_TENANT: 90}), SETTINGS)) == []


def test_the_share_that_blocks_is_a_setting() -> None:
    """With another setting another share is an error."""
    strict = SETTINGS.model_copy(update={"max_rejected_share": 0.01})
    assert only(list(required_fields(report({Rejection.BAD_DATE: 2}), strict))).severity is Severity.ERROR


def test_future_dates() -> None:
    """Rows dated after today are a warning with their number and places."""
    found = only(list(future_dates(report({Rejection.FUTURE_DATE: 3}), SETTINGS)))
    assert (found.severity, found.rows) == (Severity.WARNING, 3)
    assert found.reason == "3 rows are dated in the future and were left out"
    assert len(found.examples) == 3


def test_duplicates() -> None:
    """Dropped repeats are a warning with their number."""
    found = only(list(duplicates(report(rows_used=93, rows_merged=7, duplicates_dropped=7), SETTINGS)))
    assert (found.severity, found.rows) == (Severity.WARNING, 7)
    assert "7 rows are exact repeats" in found.reason


def test_quantities() -> None:
    """Absurd quantities and net negative days are findings of their own."""
    absurd, negative = quantities(report({Rejection.ABSURD_QUANTITY: 2}, net_negative_days=4), SETTINGS)
    assert absurd.reason == "2 rows hold more than 1e+06 units and were left out"
    assert (absurd.rows, len(absurd.examples)) == (2, 2)
    assert (negative.rows, negative.severity) == (4, Severity.WARNING)
    assert "4 product days have more returns than sales" in negative.reason


@pytest.mark.parametrize(("products", "wrong"), [(0, True), (1, False), (10_000, False), (10_001, True)])
def test_product_count(products: int, wrong: bool) -> None:
    """No product at all, and more than allowed, are errors."""
    found = list(product_count(report(products=products), SETTINGS))
    assert bool(found) == wrong
    assert all((one.severity, one.rows) == (Severity.ERROR, products) for one in found)


def begun(count: int, value: float = 5.0) -> np.ndarray:
    """Return a product that was sold on the last `count` days alone."""
    return np.where(np.arange(LENGTH) < LENGTH - count, 0.0, value)


@pytest.mark.parametrize(("count", "severity"), [(29, Severity.ERROR), (30, Severity.WARNING), (89, Severity.WARNING)])
def test_minimum_history(count: int, severity: Severity) -> None:
    """Below 30 observed days a product is an error, below 90 a warning; both name it and its days."""
    found = only(list(minimum_history(history(young=begun(count)), SETTINGS)))
    assert (found.severity, found.product_id, found.rows) == (severity, "young", count)
    assert str(count) in found.reason
    if severity is Severity.ERROR:
        assert found.reason.startswith("Product requires minimum 30 days of sales data. Currently: 29 days.")


def test_ninety_days_are_enough() -> None:
    """With 90 observed days nothing is said."""
    assert list(minimum_history(history(old=begun(90)), SETTINGS)) == []


@pytest.mark.parametrize(
    ("sold", "severity"), [(37, None), (36, None), (35, Severity.WARNING), (12, Severity.WARNING), (11, Severity.ERROR)]
)
def test_zero_share(sold: int, severity: Severity | None) -> None:
    """More than 70 % of days without sales warn, more than 90 % restrict; the product and its days are named."""
    units = np.zeros(LENGTH)
    units[np.linspace(0, LENGTH - 1, sold).round().astype(int)] = 4
    found = list(zero_share(history(slow=units), SETTINGS))
    assert [one.severity for one in found] == ([] if severity is None else [severity])
    for one in found:
        assert (one.product_id, one.rows) == ("slow", LENGTH - sold)
        assert f"of {LENGTH} observed days have no sales" in one.reason
        assert ("naive and intermittent families only" in one.reason) == (severity is Severity.ERROR)


def test_zero_share_waits_for_enough_days() -> None:
    """A product too young to be trained is not also blamed for its zeros."""
    units = begun(20, 0.0)
    units[-20] = 1
    assert list(zero_share(history(new=units), SETTINGS)) == []


def test_outliers() -> None:
    """A price typed as a quantity is found, with its product, day and units; ordinary days are not."""
    units = NOISE.copy()
    units[60] = 1250
    found = only(list(outliers(history(typo=units), SETTINGS)))
    assert (found.severity, found.product_id, found.rows) == (Severity.WARNING, "typo", 1)
    assert found.examples == (f"{days(LENGTH)[60].date()}: 1250 units",)
    assert found.reason == "1 days lie more than 12 deviations from the usual"


def test_a_day_of_nothing_can_be_an_outlier() -> None:
    """A day far below the usual counts as one far above."""
    units = np.full(LENGTH, 400.0)
    units[60] = 0
    assert only(list(outliers(history(gap=units), SETTINGS))).examples == (f"{days(LENGTH)[60].date()}: 0 units",)


@hypothesis_settings(max_examples=40, deadline=None)
@given(level=st.floats(0.05, 300), seed=st.integers(0, 2**16))
def test_ordinary_days_are_no_outliers(level: float, seed: int) -> None:
    """Counts around a level with a strong weekly season and growth are never called outliers."""
    rng, t = np.random.default_rng(seed), np.arange(LENGTH)
    units = rng.poisson(level * (1 + 0.5 * np.sin(2 * np.pi * t / 7)) * (1 + t / LENGTH)).astype(float)
    assert deviations(units).max() <= SETTINGS.outlier_mads


def test_deviations_against_a_loop() -> None:
    """A deviation is the distance from the median of eight weeks in units of their robust spread."""
    units = np.random.default_rng(9).poisson(30, LENGTH).astype(float)
    units[[10, 50, 51]] = NAN
    found = deviations(units)
    medians = [np.nanmedian(units[max(0, at - 28) : at + 29]) for at in range(LENGTH)]
    apart = np.abs(units - medians)
    for at in range(LENGTH):
        spread = 1.4826 * np.nanmedian(apart[max(0, at - 28) : at + 29])
        expected = apart[at] / max(spread, np.sqrt(max(medians[at], 1.0)))
        assert found[at] == pytest.approx(0.0 if np.isnan(expected) else expected)


def test_too_few_days_deviate_from_nothing() -> None:
    """With fewer than two observed weeks around a day nothing is usual, so nothing is unusual."""
    assert not deviations(np.array([1.0] * 12 + [1000.0])).any()
    assert not deviations(np.full(60, NAN)).any()


def test_the_first_day_is_the_shops() -> None:
    """What these histories rest on: the shop sells on every day from Monday on."""
    assert history().panel.dates[0] == MONDAY
    assert history().panel.observed.all()
