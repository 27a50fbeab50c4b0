"""The account of faults by product: whose rows they are, how many, and where the first of them stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import ExtractionReport, FaultKind, ProductFault
from pipeline.home import Home
from pipeline.sources.by_product import LISTED, added_up, largest
from pipeline.sources.extract import Extraction, load_report
from pipeline_tests.sources.builders import extract, make_tenant, write_text

HEADER = "date,product_id,quantity,tenant_id\n"
FAULTY = (
    "2024-01-05,bread,1,\n"
    "2024-01-05,bread,1,\n"
    "2024-01-05,bread,1,\n"
    "soon,bread,1,\n"
    "2024-01-05,rolls,two,\n"
    "2024-01-05,rolls,1000001,\n"
    "2024-07-01,rolls,1,\n"
    "2024-07-02,rolls,1,\n"
    "2024-01-06,cake,1,\n"
    "2024-01-06,cake,-4,\n"
    "2024-01-08,cake,-2,\n"
    "2024-01-05,,1,\n"
    "2024-01-05,,1,\n"
)
EXPECTED = {
    (FaultKind.DUPLICATE, "bread"): (2, ("a.csv row 2", "a.csv row 3")),
    (FaultKind.DUPLICATE, None): (1, ("a.csv row 13",)),
    (FaultKind.BAD_DATE, "bread"): (1, ("a.csv row 4",)),
    (FaultKind.BAD_QUANTITY, "rolls"): (1, ("a.csv row 5",)),
    (FaultKind.ABSURD_QUANTITY, "rolls"): (1, ("a.csv row 6",)),
    (FaultKind.FUTURE_DATE, "rolls"): (2, ("a.csv row 7", "a.csv row 8")),
    (FaultKind.NET_NEGATIVE_DAY, "cake"): (2, ("2024-01-06", "2024-01-08")),
}
FAULTS = st.builds(
    ProductFault,
    kind=st.sampled_from(FaultKind),
    product_id=st.none() | st.sampled_from(["bread", "rolls", "cake"]),
    rows=st.integers(1, 9),
    examples=st.lists(st.sampled_from(["a.csv row 1", "a.csv row 2"]), max_size=5).map(tuple),
)


def told(found: Extraction) -> dict[tuple[FaultKind, str | None], tuple[int, tuple[str, ...]]]:
    """Return rows and examples by kind and product."""
    return {(fault.kind, fault.product_id): (fault.rows, fault.examples) for fault in found.report.product_faults}


def test_each_fault_is_told_by_product(folder: Path, home: Home) -> None:
    """Every fault of a product's rows stands under the product, with the rows where it is found."""
    found = extract(make_tenant(write_text(folder / "a.csv", HEADER + FAULTY)), home)
    assert told(found) == EXPECTED
    assert found.report.products_at_fault == dict.fromkeys(FaultKind, 1)
    assert [fault.rows for fault in found.report.product_faults] == [2, 2, 2, 1, 1, 1, 1]
    assert load_report(home, "shop") == found.report


def test_other_tenants_products_are_not_told(folder: Path, home: Home) -> None:
    """What another tenant repeats, or has wrong, is neither counted as this one's fault nor named."""
    rows = "2024-01-05,bread,1,shop\n" + "2024-01-05,secret,1,else\n" * 3 + "soon,secret,1,else\n"
    found = extract(make_tenant(write_text(folder / "a.csv", HEADER + rows)), home)
    assert told(found) == {}
    assert (found.report.duplicates_dropped, found.report.rows_rejected) == (0, 4)


@pytest.mark.parametrize("overlap", ["replace", "add"])
def test_faults_of_several_files_add_up(folder: Path, home: Home, overlap: str) -> None:
    """A product's rows of all files are one entry; it shows five of them, and days by what stands in the end."""
    for name in ("a.csv", "b.csv"):
        rows = "soon,bread,1,\n" * 4 + "2024-01-05,bread,-1,\n"
        write_text(folder / name, HEADER + rows)
    tenant = make_tenant(folder, overlap=overlap, duplicates="keep")
    found = extract(tenant, home, max_rejected_share=1.0)
    shown = (*(f"a.csv row {row}" for row in range(1, 5)), "b.csv row 1")
    assert told(found) == {
        (FaultKind.BAD_DATE, "bread"): (8, shown),
        (FaultKind.NET_NEGATIVE_DAY, "bread"): (1, ("2024-01-05",)),
    }


def test_a_product_whose_name_is_too_long_is_not_named(folder: Path, home: Home) -> None:
    """A repeated row whose name is no product's counts among those that name none."""
    rows = "2024-01-05,bread,1,\n" + f"2024-01-05,{'x' * 1001},1,\n" * 2
    found = extract(make_tenant(write_text(folder / "a.csv", HEADER + rows)), home)
    assert told(found) == {(FaultKind.DUPLICATE, None): (1, ("a.csv row 3",))}


def test_an_earlier_report_still_loads(folder: Path, home: Home) -> None:
    """A stored report that knows nothing of products is read, and names none."""
    extract(make_tenant(write_text(folder / "a.csv", HEADER + FAULTY)), home)
    path = home.tenant("shop") / "extraction_report.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    del stored["product_faults"], stored["products_at_fault"]
    path.write_text(json.dumps(stored), encoding="utf-8")
    report = load_report(home, "shop")
    assert (report.product_faults, report.products_at_fault, report.duplicates_dropped) == ((), {}, 3)


def test_products_cannot_have_more_faults_than_there_are(folder: Path, home: Home) -> None:
    """A report whose products add up to more than the count of a fault is refused, for every kind."""
    report = extract(make_tenant(write_text(folder / "a.csv", HEADER + FAULTY)), home).report
    for kind in FaultKind:
        more = ProductFault(kind=kind, product_id="more", rows=1)
        faults = [*report.model_dump(mode="json")["product_faults"], more.model_dump(mode="json")]
        with pytest.raises(ValidationError, match=f"of kind {kind}, but there are"):
            ExtractionReport.model_validate({**report.model_dump(mode="json"), "product_faults": faults})


@given(faults=st.lists(FAULTS, max_size=30))
def test_nothing_is_lost_in_adding_up(faults: list[ProductFault]) -> None:
    """Rows by kind stay as many, each product stands once under each, and the largest is first."""
    summed = added_up(faults)
    for kind in FaultKind:
        assert sum(f.rows for f in summed if f.kind is kind) == sum(f.rows for f in faults if f.kind is kind)
    assert len({(fault.kind, fault.product_id) for fault in summed}) == len(summed)
    assert [fault.rows for fault in summed] == sorted((fault.rows for fault in summed), reverse=True)
    assert largest(summed) == tuple(summed)


def test_the_list_is_bounded_and_fair() -> None:
    """Of too many faults the largest stay, and a thousand large ones of a kind do not crowd out another kind."""
    many = [ProductFault(kind=FaultKind.DUPLICATE, product_id=f"p{n}", rows=1000 + n) for n in range(1000)]
    few = [ProductFault(kind=FaultKind.BAD_DATE, product_id=f"p{n}", rows=1 + n) for n in range(20)]
    nobody = ProductFault(kind=FaultKind.DUPLICATE, product_id=None, rows=1)
    kept = largest(added_up([*many, *few, nobody]))
    assert len(kept) == LISTED
    assert {*few, nobody} <= set(kept)
    assert [fault.rows for fault in kept[:3]] == [1999, 1998, 1997]
    assert [fault.rows for fault in kept] == sorted((fault.rows for fault in kept), reverse=True)
