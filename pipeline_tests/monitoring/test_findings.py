"""Each check of a tenant's sales: when it speaks, what it says, and when it is silent."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from contracts import ExtractionReport, FaultKind, FileSource, ProductFault, RejectedRow, Rejection, SetAside, Tenant
from pipeline.engine.observe import lay_out
from pipeline.monitoring.findings import (
    HISTORY_CHECKS,
    MOST,
    REPORT_CHECKS,
    SHOWN,
    Finding,
    Severity,
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
from pipeline_tests.engine.builders import MONDAY, days, outlook_of, sold_daily

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
    bad = report({Rejection.BAD_DATE: 1, Rejection.FUTURE_DATE: 1, Rejection.ABSURD_QUANTITY: 1}, products=10_001)
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


def test_a_file_that_was_set_aside_blocks() -> None:
    """However small its share of all rows, a file of which nothing was taken is an error, and is named."""
    files = (SetAside(file="june.csv", rows=4, unusable=3),)
    rejected = {Rejection.BAD_DATE: 3, Rejection.SET_ASIDE: 1}
    found = only(list(required_fields(report(rejected, set_aside=files), SETTINGS)))
    assert (found.severity, found.rows) == (Severity.ERROR, 3)
    assert found.reason.endswith("; set aside, nothing of them is taken: june.csv (3 of 4 rows)")
    many = report(rejected, set_aside=files * (SHOWN + 2))
    assert only(list(required_fields(many, SETTINGS))).reason.endswith("(3 of 4 rows), and 2 more files")


def test_the_share_that_blocks_is_a_setting() -> None:
    """With another setting another share is an error."""
    strict = SETTINGS.model_copy(update={"max_rejected_share": 0.01})
    assert only(list(required_fields(report({Rejection.BAD_DATE: 2}), strict))).severity is Severity.ERROR


def fault(kind: FaultKind, product: str | None, rows: int = 1) -> ProductFault:
    """Return a product's fault, with places."""
    examples = tuple(f"till.csv row {row + 1}" for row in range(min(rows, 5)))
    return ProductFault(kind=kind, product_id=product, rows=rows, examples=examples)


FAULTY = report(
    dict.fromkeys((Rejection.BAD_DATE, Rejection.BAD_QUANTITY, Rejection.ABSURD_QUANTITY, Rejection.FUTURE_DATE), 6),
    rows_used=70,
    rows_merged=6,
    duplicates_dropped=6,
    net_negative_days=6,
    product_faults=[fault(kind, product, rows) for rows, product in ((4, "rolls"), (2, "bread")) for kind in FaultKind],
    products_at_fault=dict.fromkeys(FaultKind, 2),
)


@pytest.mark.parametrize(
    ("check", "reasons"),
    [
        ("future_dates", ["are dated in the future"]),
        ("duplicates", ["are exact repeats"]),
        ("quantities", ["hold more than 1e+06 units", "have more returns than sales"]),
        ("required_fields", ["have no date", "have no number"]),
    ],
)
def test_each_product_is_named(check: str, reasons: list[str]) -> None:
    """A product with a fault is a warning of its own, with its rows and where they stand, the worst first."""
    found = [one for one in REPORT_CHECKS[check](FAULTY, SETTINGS) if one.product_id is not None]
    assert {(one.check, one.severity) for one in found} == {(check, Severity.WARNING)}
    assert [one.product_id for one in found] == ["rolls"] * len(reasons) + ["bread"] * len(reasons)
    for one, words in zip(found, reasons * 2, strict=True):
        assert words in one.reason
        assert one.reason.startswith(f"{one.rows} ")
        assert one.examples == tuple(f"till.csv row {row + 1}" for row in range(one.rows))
    tenant_wide = [one for one in REPORT_CHECKS[check](FAULTY, SETTINGS) if one.product_id is None]
    assert [one.rows for one in tenant_wide] == ([12] if check == "required_fields" else [])


def test_rows_without_a_product_are_the_tenants() -> None:
    """Repeats that name no product are a finding of the tenant, with their own number and places."""
    bad = report(rows_used=93, rows_merged=7, duplicates_dropped=7, products_at_fault={FaultKind.DUPLICATE: 1})
    faults = (fault(FaultKind.DUPLICATE, "bread", 4), fault(FaultKind.DUPLICATE, None, 3))
    named, nobodys = duplicates(bad.model_copy(update={"product_faults": faults}), SETTINGS)
    assert (named.product_id, named.rows) == ("bread", 4)
    assert (nobodys.product_id, nobodys.rows, nobodys.more, len(nobodys.examples)) == (None, 3, 0, 3)
    assert nobodys.reason == "3 rows are exact repeats and were dropped and name no product"


def test_products_that_the_report_leaves_out_are_counted() -> None:
    """Where the account by product is shortened, a last finding says how many products and rows it lacks."""
    bad = report(rows_used=93, rows_merged=7, duplicates_dropped=7, products_at_fault={FaultKind.DUPLICATE: 3})
    bad = bad.model_copy(update={"product_faults": (fault(FaultKind.DUPLICATE, "bread", 4),)})
    named, others = duplicates(bad, SETTINGS)
    assert (named.product_id, others.product_id) == ("bread", None)
    assert (others.rows, others.more) == (3, 2)
    assert others.reason == "3 rows are exact repeats and were dropped, of 2 more products"


@pytest.mark.parametrize("count", [MOST - 1, MOST, MOST + 1, 250])
def test_findings_of_a_report_are_bounded(count: int) -> None:
    """A check has at most 200 findings, the worst; the last says how many more there are."""
    faults = [fault(FaultKind.DUPLICATE, f"p{n:03}", count - n) for n in range(count)]
    total = sum(one.rows for one in faults)
    changes = {"rows_read": 100 + total, "rows_merged": total, "duplicates_dropped": total}
    bad = report(product_faults=faults, products_at_fault={FaultKind.DUPLICATE: count}, **changes)
    found = list(duplicates(bad, SETTINGS))
    assert len(found) == min(count, MOST)
    assert sum(one.rows for one in found) == total
    assert [one.product_id for one in found[: MOST - 1]] == [f"p{n:03}" for n in range(MOST - 1)]
    assert sum(max(one.more, 1) for one in found) == count
    if count > MOST:
        assert found[-1].reason == f"and {count - MOST + 1} more that are not named here"


def test_a_share_that_blocks_is_never_left_out() -> None:
    """However many products have bad rows, the error about all of them is the first finding."""
    faults = [fault(FaultKind.BAD_DATE, f"p{n}") for n in range(250)]
    bad = report({Rejection.BAD_DATE: 300}, rows_read=400, rows_used=100, product_faults=faults)
    found = list(required_fields(bad, SETTINGS))
    assert (len(found), found[0].severity, found[0].rows) == (MOST, Severity.ERROR, 300)


def test_two_shortened_lists_end_in_one_finding() -> None:
    """Products left out of two kinds of one check are summed up once."""
    bad = FAULTY.model_copy(update={"products_at_fault": dict.fromkeys(FaultKind, 5), "net_negative_days": 9})
    bad = bad.model_copy(update={"rejected_by_reason": {Rejection.ABSURD_QUANTITY: 8}})
    *named, last = quantities(bad, SETTINGS)
    assert all(one.product_id for one in named)
    assert (len(named), last.rows, last.more) == (4, 5, 6)


def test_findings_of_a_history_are_bounded() -> None:
    """Of 250 products that are too young the youngest are named, the rest counted, as severe as the worst of them."""
    young = {f"p{n:03}": begun(5 + n % 24) for n in range(250)}
    found = list(minimum_history(history(**young), SETTINGS))
    assert (len(found), found[-1].more, found[-1].severity) == (MOST, 51, Severity.ERROR)
    rows = [one.rows for one in found[:-1]]
    assert rows == sorted(rows)


def test_future_dates() -> None:
    """Of a report that knows no products, rows dated after today are one warning with their number and places."""
    found = only(list(future_dates(report({Rejection.FUTURE_DATE: 3}), SETTINGS)))
    assert (found.severity, found.rows) == (Severity.WARNING, 3)
    assert found.reason == "3 rows are dated in the future and were left out"
    assert found.examples == tuple(f"till.csv row {row}: future_date '?'" for row in (1, 2, 3))


def test_duplicates() -> None:
    """Dropped repeats are a warning with their number."""
    found = only(list(duplicates(report(rows_used=93, rows_merged=7, duplicates_dropped=7), SETTINGS)))
    assert (found.severity, found.rows) == (Severity.WARNING, 7)
    assert "7 rows are exact repeats" in found.reason


def test_quantities() -> None:
    """Absurd quantities and net negative days are findings of their own, the larger first."""
    negative, absurd = quantities(report({Rejection.ABSURD_QUANTITY: 2}, net_negative_days=4), SETTINGS)
    assert absurd.reason == "2 rows hold more than 1e+06 units and were left out"
    assert (absurd.rows, len(absurd.examples)) == (2, 2)
    assert (negative.rows, negative.severity) == (4, Severity.WARNING)
    assert "4 product days have more returns than sales" in negative.reason


@pytest.mark.parametrize(("products", "wrong"), [(1, False), (10_000, False), (10_001, True)])
def test_product_count(products: int, wrong: bool) -> None:
    """More products than allowed are an error."""
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
    first, last = days(LENGTH)[-count], days(LENGTH)[-1]
    assert found.examples == (f"first {first.date()}", f"last with sales {last.date()}")
    if severity is Severity.ERROR:
        assert found.reason.startswith("Product requires minimum 30 days of sales data. Currently: 29 days.")
        assert found.reason.endswith("borrowed from similar products where three can lend, else last week's sales.")


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
        assert one.examples == (f"first {days(LENGTH)[0].date()}", f"last with sales {days(LENGTH)[-1].date()}")
        assert f"of {LENGTH} observed days have no sales" in one.reason
        assert ("naive and intermittent families only" in one.reason) == (severity is Severity.ERROR)


def test_zero_share_waits_for_enough_days() -> None:
    """A product too young to be trained is not also blamed for its zeros."""
    units = begun(20, 0.0)
    units[-20] = 1
    assert list(zero_share(history(new=units), SETTINGS)) == []


def test_outliers() -> None:
    """A price typed as a quantity is found, with its product, day, units and what they count as; other days are not."""
    units = NOISE.copy()
    units[60] = 1250
    data = history(typo=units)
    found = only(list(outliers(data, SETTINGS)))
    assert (found.severity, found.product_id, found.rows) == (Severity.WARNING, "typo", 1)
    counts_as = data.held.panel.quantity[data.panel.row["typo"], 60]
    assert found.examples == (f"{days(LENGTH)[60].date()}: 1250 units count as {counts_as:.4g}",)
    assert found.reason == "1 days sold far more than usual, once; in fitting they count as usual ones"


def test_products_with_most_outliers_come_first() -> None:
    """The worst product is named first; a day of nothing among sales is none of them."""
    twice, once, gap = NOISE.copy(), NOISE.copy(), NOISE.copy()
    twice[[20, 80]], once[60], gap[40] = 1250, 1250, 0
    found = list(outliers(history(once=once, twice=twice, gap=gap), SETTINGS))
    assert [(one.product_id, one.rows) for one in found] == [("twice", 2), ("once", 1)]


def test_the_first_day_is_the_shops() -> None:
    """What these histories rest on: the shop sells on every day from Monday on."""
    assert history().panel.dates[0] == MONDAY
    assert history().panel.observed.all()
