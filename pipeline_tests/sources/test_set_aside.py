"""A broken export is set aside whole: it takes nothing away, gives nothing, and is not forgotten."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from contracts import Rejection, SetAside
from pipeline.errors import SourceError
from pipeline.home import Home
from pipeline.sources.extract import load_report, load_sales
from pipeline_tests.sources.builders import days, extract, make_tenant, quantities, write_rows, write_text

GOOD = days("2024-01-01", [float(n) for n in range(10, 50)])


def broken(rows: pd.DataFrame, unusable: int) -> pd.DataFrame:
    """Return the rows with the first so many quantities unreadable."""
    mended = rows.astype({"quantity": object})
    mended.iloc[:unusable, mended.columns.get_loc("quantity")] = "n/a"
    return mended


@pytest.mark.parametrize("overlap", ["replace", "add"])
def test_a_broken_export_loses_no_good_row(folder: Path, home: Home, overlap: str) -> None:
    """The stored days stand while the export of the same days is broken, also when other files come in."""
    tenant = make_tenant(folder, overlap=overlap)
    path = write_rows(folder / "a.csv", GOOD)
    first = extract(tenant, home)
    write_rows(path, broken(GOOD, 28), age_minutes=30)
    second = extract(tenant, home)
    assert not second.changed
    assert_frame_equal(second.daily, first.daily)
    write_rows(folder / "b.csv", days("2024-02-10", [7]), age_minutes=5)
    third = extract(tenant, home)
    assert list(third.daily["quantity"]) == [*GOOD["quantity"], 7.0]
    assert third.report.rows_used == 1
    for found in (second, third):
        assert found.report.set_aside == (SetAside(file="a.csv", rows=40, unusable=28),)


def test_every_row_of_it_is_accounted_for(folder: Path, home: Home) -> None:
    """Unusable rows keep their reason and their examples, repeats are merged, and sound rows are set aside."""
    write_rows(folder / "a.csv", days("2024-01-01", [1]))
    rows = "date,product_id,quantity\nsoon,bread,1\n2024-01-02,bread,x\n2024-01-02,,1\n" + "2024-01-02,bread,-5\n" * 2
    write_text(folder / "b.csv", rows)
    report = extract(make_tenant(folder), home).report
    assert report.rejected_by_reason == {
        Rejection.BAD_DATE: 1,
        Rejection.BAD_QUANTITY: 1,
        Rejection.MISSING_PRODUCT: 1,
        Rejection.SET_ASIDE: 1,
    }
    assert (report.rows_read, report.rows_used, report.rows_merged, report.rows_rejected) == (6, 1, 1, 4)
    assert (report.files_read, report.return_rows, report.returned_units) == (2, 0, 0.0)
    assert [(one.file, one.row) for one in report.examples] == [("b.csv", 1), ("b.csv", 2), ("b.csv", 3)]


def test_it_is_judged_again_until_it_is_mended_or_gone(folder: Path, home: Home) -> None:
    """Nothing is remembered of it: an unchanged one is reported again; mended it is taken, removed it is forgotten."""
    tenant = make_tenant(folder)
    path = write_rows(folder / "a.csv", GOOD, age_minutes=90)
    extract(tenant, home)
    worse = GOOD.assign(quantity=GOOD["quantity"] * 2)
    write_rows(path, broken(worse, 28), age_minutes=60)
    for _ in range(2):
        assert [one.file for one in extract(tenant, home).report.set_aside] == ["a.csv"]
    write_rows(path, worse, age_minutes=50)
    assert list(extract(tenant, home).daily["quantity"]) == list(worse["quantity"])
    assert load_report(home, "shop").set_aside == ()
    write_rows(folder / "b.csv", broken(days("2024-03-01", [1, 2, 3]), 2), age_minutes=40)
    assert [one.file for one in extract(tenant, home).report.set_aside] == ["b.csv"]
    (folder / "b.csv").unlink()
    assert extract(tenant, home).report.set_aside == ()
    assert load_report(home, "shop").set_aside == ()


def test_a_good_file_put_back_ends_it(folder: Path, home: Home) -> None:
    """When the content that was taken before comes back, nothing is reported as set aside any more."""
    tenant = make_tenant(folder)
    path = write_rows(folder / "a.csv", GOOD, age_minutes=90)
    first = extract(tenant, home)
    write_rows(path, broken(GOOD, 28), age_minutes=60)
    extract(tenant, home)
    write_rows(path, GOOD, age_minutes=30)
    found = extract(tenant, home)
    assert found.report.set_aside == ()
    assert_frame_equal(found.daily, first.daily)


@pytest.mark.parametrize(("unusable", "taken"), [(20, True), (21, False)])
def test_the_limit_is_a_share_of_the_tenants_own_rows(folder: Path, home: Home, unusable: int, taken: bool) -> None:
    """Half of a file may be unusable, not more; rows of other tenants do not dilute the share."""
    others = GOOD.assign(tenant_id="else", product_id="roll")
    write_rows(folder / "a.csv", days("2023-01-01", [1]).assign(tenant_id="shop"))
    own = broken(GOOD, unusable).assign(tenant_id="shop")
    write_rows(folder / "b.csv", pd.concat([own, others, others.assign(product_id="bun")]))
    report = extract(make_tenant(folder), home).report
    assert (report.set_aside == ()) == taken
    assert report.rows_used == (1 + 40 - unusable if taken else 1)


def test_the_limit_is_a_setting(folder: Path, home: Home) -> None:
    """A file that a stricter limit set aside is taken once the limit allows it, though it is unchanged."""
    write_rows(folder / "a.csv", days("2023-01-01", [1]))
    write_rows(folder / "b.csv", broken(GOOD, 4))
    assert extract(make_tenant(folder), home, max_rejected_share=0.05).report.set_aside
    found = extract(make_tenant(folder), home)
    assert (len(found.daily), found.report.set_aside) == (37, ())


def test_with_nothing_else_it_is_an_error(folder: Path, home: Home) -> None:
    """Where no other sales are known, the error names the file, its share, the reasons and examples."""
    write_rows(folder / "a.csv", broken(GOOD, 28))
    said = (
        r"'shop'.* in 'a.csv' \(28 of its 40 rows\).*MAX_REJECTED_SHARE = 0.5.*"
        r"rejected: 28 bad_quantity, 12 set_aside\): a.csv row 1: bad_quantity 'n/a'; "
    )
    with pytest.raises(SourceError, match=said):
        extract(make_tenant(folder), home)
    assert not home.table("shop", "sales").exists()


def test_a_new_meaning_reaches_a_file_once_it_is_mended(folder: Path, home: Home) -> None:
    """While a file is set aside as settings change, its old days stay; mended, none of the old meaning is left."""
    rows = pd.concat([days("2023-01-01", [1.0] * 40), GOOD]).assign(article="loaf")
    path = write_rows(folder / "a.csv", rows, age_minutes=90)
    write_rows(folder / "b.csv", days("2024-03-01", [5]).assign(article="loaf"))
    first = extract(make_tenant(folder), home)
    write_rows(path, broken(rows, 60), age_minutes=60)
    renamed = make_tenant(folder, mapping={"product_id": "article"})
    kept = quantities(extract(renamed, home))
    assert {product for product, _ in kept} == {"bread", "loaf"}
    assert len(kept) == len(first.daily)
    write_rows(path, rows, age_minutes=30)
    assert set(extract(renamed, home).daily["product_id"]) == {"loaf"}
    assert set(load_sales(home, "shop")["product_id"]) == {"loaf"}
