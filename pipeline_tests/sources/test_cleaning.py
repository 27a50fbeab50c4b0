"""One file's rows: typed, cleaned, netted, and each of them accounted for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from contracts import Rejection
from pipeline.errors import DataError, MissingColumnsError, TenantError
from pipeline.home import Home
from pipeline.sources.extract import load_sales
from pipeline_tests.sources.builders import NOW, extract, make_tenant, quantities, write_rows, write_text


def take(folder: Path, home: Home, text: str, **source: object):
    """Extract one CSV file of a text, however many of its rows are bad."""
    return extract(make_tenant(write_text(folder / "sales.csv", text), **source), home, max_rejected_share=1.0)


def test_ticket_lines_become_local_days(folder: Path, home: Home) -> None:
    """Naive times are local, times with an offset are converted, and the lines of a day add up."""
    text = (
        "date,product_id,quantity\n"
        "2024-01-05 09:00,bread,2\n"
        "2024-01-05T22:30:00Z,bread,3\n"
        "2024-01-05T23:30:00Z,bread,5\n"
        "2024-01-06T00:30:00+03:00,bread,7\n"
    )
    assert quantities(take(folder, home, text)) == {("bread", "2024-01-05"): 12.0, ("bread", "2024-01-06"): 5.0}


def test_days_stamped_at_midnight_utc_stay_days(folder: Path, home: Home) -> None:
    """A column of midnights in UTC holds days, which a zone to the west must not move."""
    text = "date,product_id,quantity\n2024-01-05T00:00:00Z,bread,2\n2024-01-06T00:00:00Z,bread,3\n"
    found = take(folder, home, text, timezone="America/New_York")
    assert quantities(found) == {("bread", "2024-01-05"): 2.0, ("bread", "2024-01-06"): 3.0}


@pytest.mark.parametrize(
    ("written", "date_format"),
    [
        ("2024-03-04", None),
        ("20240304", None),
        ("2024/03/04", None),
        ("2024-03-04 08:15:00.250", None),
        ("04.03.2024", "%d.%m.%Y"),
        ("03/04/2024 8:15", "%m/%d/%Y %H:%M"),
    ],
)
def test_spellings_of_a_date(folder: Path, home: Home, written: str, date_format: str | None) -> None:
    """ISO dates are read as they are, others by the format that is given."""
    found = take(folder, home, f"date,product_id,quantity\n{written},bread,1\n", date_format=date_format)
    assert quantities(found) == {("bread", "2024-03-04"): 1.0}


@pytest.mark.parametrize("kind", ["datetime64[ns]", "datetime64[ms]", "date", "utc", "int"])
def test_types_of_date_columns_in_parquet(folder: Path, home: Home, kind: str) -> None:
    """Time stamps, dates, zoned times and whole numbers such as 20240304 are dates."""
    moments = pd.Series(pd.to_datetime(["2024-03-04 23:30"]))
    dates: dict[str, object] = {
        "date": moments.dt.date,
        "utc": (moments - pd.Timedelta(hours=2)).dt.tz_localize("UTC"),
        "int": [20240304],
    }
    rows = pd.DataFrame({"date": dates.get(kind, moments), "product_id": ["bread"], "quantity": [1]})
    if kind.startswith("datetime64"):
        rows["date"] = rows["date"].astype(kind)
    found = extract(make_tenant(write_rows(folder / "a.parquet", rows)), home)
    assert quantities(found) == {("bread", "2024-03-04"): 1.0}


def test_returns_are_netted_and_reported(folder: Path, home: Home) -> None:
    """Negative lines are taken off the day; a day below zero becomes 0 and is counted."""
    text = (
        "date,product_id,quantity\n2024-01-05,bread,10\n2024-01-05,bread,-3\n"
        "2024-01-06,bread,1\n2024-01-06,bread,-4\n2024-01-07,bread,-2\n"
    )
    found = take(folder, home, text)
    assert list(found.daily["quantity"]) == [7.0, 0.0, 0.0]
    assert list(found.daily["returned"]) == [3.0, 4.0, 2.0]
    report = found.report
    assert (report.return_rows, report.returned_units, report.net_negative_days) == (3, 9.0, 2)
    assert (report.rows_read, report.rows_used, report.merged_into_day) == (5, 3, 2)


@pytest.mark.parametrize(("duplicates", "expected", "dropped"), [("drop", 5.0, 1), ("keep", 7.0, 0)])
def test_rows_equal_in_every_column(folder: Path, home: Home, duplicates: str, expected: float, dropped: int) -> None:
    """Rows equal in every column, unmapped ones included, are duplicates; a differing column makes two sales."""
    text = "date,product_id,quantity,ticket\n2024-01-05,bread,2,1\n2024-01-05,bread,2,1\n2024-01-05,bread,3,2\n"
    found = take(folder, home, text, duplicates=duplicates)
    assert quantities(found) == {("bread", "2024-01-05"): expected}
    assert found.report.duplicates_dropped == dropped


def test_every_reason_to_reject(folder: Path, home: Home) -> None:
    """Each fault rejects its row for its reason, with the row's number and value as an example."""
    text = (
        "date,product_id,quantity,tenant_id\n"
        "2024-01-05,bread,1,shop\n"
        "soon,bread,1,shop\n"
        "2024-01-05,bread,two,shop\n"
        "2024-01-05,bread,1000001,shop\n"
        "2024-01-05,  ,1,shop\n"
        "2024-07-01,bread,1,shop\n"
        "2024-01-05,bread,1,other shop\n"
        "1970-01-01,bread,1,shop\n"
        "2024-01-05,bread,,shop\n"
    )
    report = take(folder, home, text).report
    assert report.rejected_by_reason == {
        Rejection.BAD_DATE: 2,
        Rejection.BAD_QUANTITY: 2,
        Rejection.ABSURD_QUANTITY: 1,
        Rejection.MISSING_PRODUCT: 1,
        Rejection.FUTURE_DATE: 1,
        Rejection.OTHER_TENANT: 1,
    }
    assert (report.rows_read, report.rows_used, report.rows_rejected) == (9, 1, 8)
    shown = {(example.row, example.reason, example.value) for example in report.examples}
    assert (2, Rejection.BAD_DATE, "soon") in shown
    assert (3, Rejection.BAD_QUANTITY, "two") in shown
    assert (7, Rejection.OTHER_TENANT, "other shop") in shown
    assert all(example.file == "sales.csv" for example in report.examples)


def test_today_is_no_future(folder: Path, home: Home) -> None:
    """The tenant's own today is the last day that may have sales, whatever the day is in UTC."""
    late = dt.datetime(2024, 6, 30, 23, 0, tzinfo=dt.UTC)
    path = write_text(folder / "a.csv", "date,product_id,quantity\n2024-06-30,bread,1\n2024-07-01,bread,1\n")
    assert extract(make_tenant(path), home, late).report.rows_rejected == 0
    found = extract(make_tenant(path, timezone="America/New_York"), Home(home.root / "west"), late)
    assert found.report.rejected_by_reason == {Rejection.FUTURE_DATE: 1}


def test_a_blank_tenant_is_this_one(folder: Path, home: Home) -> None:
    """A blank cell in the tenant column does not make a row another tenant's where nobody else is named."""
    text = "date,product_id,quantity,tenant_id\n2024-01-05,bread,1,\n2024-01-06,bread,2,Shop\n2024-01-07,bread,2,SHOP\n"
    assert take(folder, home, text).report.rows_used == 3


@pytest.mark.parametrize("own", ["shop", "Shop"])
def test_a_blank_tenant_among_several_is_nobodys(folder: Path, home: Home, own: str) -> None:
    """Where the column names others, a blank cell could be anybody's: it is rejected, with an empty value."""
    text = (
        f"date,product_id,quantity,tenant_id\n2024-01-05,bread,1,{own}\n2024-01-05,bread,2,else\n2024-01-05,bread,4,\n"
    )
    found = take(folder, home, text)
    assert quantities(found) == {("bread", "2024-01-05"): 1.0}
    assert [(e.row, e.reason, e.value) for e in found.report.examples] == [
        (2, Rejection.OTHER_TENANT, "else"),
        (3, Rejection.OTHER_TENANT, ""),
    ]


def test_the_id_itself_goes_before_its_spellings(folder: Path, home: Home) -> None:
    """Two tenants whose names make one id stay apart where one of them is the id; else spelling is forgiven."""
    head = "date,product_id,quantity,tenant_id\n"
    other = "2024-01-05,bread,2,Shöp\n"
    assert quantities(take(folder, home, head + "2024-01-05,bread,1,shop\n" + other)) == {("bread", "2024-01-05"): 1.0}
    again = Home(home.root / "again")
    assert quantities(take(folder, again, head + other)) == {("bread", "2024-01-05"): 2.0}


def test_two_names_of_one_id_are_not_mixed(folder: Path, home: Home) -> None:
    """Names that make the tenant's id but differ in more than capitals are refused, in one file and in several."""
    head = "date,product_id,quantity,tenant_id\n"
    rows = ("2024-01-05,bread,1,sh.op\n", "2024-01-05,bread,2,sh op\n")
    north = make_tenant(folder).model_copy(update={"id": "sh-op"})
    both = write_text(folder / "both.csv", head + "".join(rows))
    with pytest.raises(TenantError, match=r"'sh-op'.*'sh op' \(file 'both.csv'\), 'sh.op' .*several businesses"):
        extract(north, home)
    both.unlink()
    write_text(folder / "a.csv", head + rows[0])
    extract(north, home)
    stored = load_sales(home, "sh-op")
    second = write_text(folder / "b.csv", head + rows[1])
    with pytest.raises(TenantError, match=r"'sh op' \(file 'b.csv'\), 'sh.op' \(file 'a.csv'\)"):
        extract(north, home)
    assert_frame_equal(load_sales(home, "sh-op"), stored)
    second.unlink()
    write_text(folder / "c.csv", head + rows[0].replace("sh.op", "SH.OP").replace("05", "06"))
    assert len(extract(north, home).daily) == 2


def test_mojibake_names_are_mended(folder: Path, home: Home) -> None:
    """A name whose UTF-8 was read as Windows-1252 joins its proper spelling; names in doubt stay."""
    text = (
        "date,product_id,quantity\n2024-01-05,Café,1\n2024-01-05,CafÃ©,2\n2024-01-05,Ã,4\n2024-01-05,  pÃ¢té chaud ,8\n"
    )
    found = take(folder, home, text)
    names = dict(zip(found.daily["product_id"], found.daily["quantity"], strict=True))
    assert names == {"Café": 3.0, "Ã": 4.0, "pÃ¢té chaud": 8.0}
    assert found.report.repairs == {"mojibake": 1}


def test_optional_columns(folder: Path, home: Home) -> None:
    """Prices are weighted by units, flags combined, names kept, and places kept apart."""
    text = (
        "date,product_id,quantity,unit_price,location_id,category,product_name,sold_out,available\n"
        "2024-01-05,7,1,2.00,north,rolls,Brioche,no,yes\n"
        "2024-01-05,7,3,4.00,north,rolls,Brioche,yes,no\n"
        "2024-01-05,7,5,,south,,,,\n"
        "2024-01-06,7,0,6.00,north,rolls,Brioche,no,yes\n"
        "2024-01-07,7,-1,-5,north,rolls,Brioche,perhaps,yes\n"
    )
    found = take(folder, home, text)
    north, six, seven, south = found.daily.to_dict("records")
    assert (north["quantity"], north["unit_price"], north["input_rows"]) == (4.0, 3.5, 2)
    assert (north["sold_out"], north["available"]) == (True, False)
    assert (north["category"], north["product_name"], north["location_id"]) == ("rolls", "Brioche", "north")
    assert six["unit_price"] == 6.0
    assert np.isnan(seven["unit_price"])
    assert seven["sold_out"] is None
    assert (south["location_id"], south["quantity"], south["category"]) == ("south", 5.0, None)
    assert found.report.repairs == {"unit_price_ignored": 1, "sold_out_ignored": 1}


def test_the_price_of_a_day_is_that_of_what_was_sold(folder: Path, home: Home) -> None:
    """Returns do not weigh in a day's price; of two categories the first by alphabet stands."""
    text = (
        "date,product_id,quantity,unit_price,category\n2024-01-05,bread,2,2.00,warm\n"
        "2024-01-05,bread,-1,8.00,cold\n2024-01-05,bread,2,3.00,\n"
    )
    (row,) = take(folder, home, text).daily.to_dict("records")
    assert (row["quantity"], row["unit_price"], row["category"]) == (3.0, 2.5, "cold")


def test_zoned_midnights_in_parquet_stay_days(folder: Path, home: Home) -> None:
    """A zoned column of midnights holds days, whatever the tenant's zone."""
    dates = pd.to_datetime(["2024-01-05", "2024-01-06"]).tz_localize("UTC")
    path = write_rows(folder / "a.parquet", pd.DataFrame({"date": dates, "product_id": "bread", "quantity": [2, 3]}))
    found = extract(make_tenant(path, timezone="America/New_York"), home)
    assert quantities(found) == {("bread", "2024-01-05"): 2.0, ("bread", "2024-01-06"): 3.0}


def test_mapped_columns(folder: Path, home: Home) -> None:
    """The tenant's own column names are used where the mapping gives them."""
    text = "Datum;Artikel;Menge;date\n2024-01-05;Brot;1,5;x\n"
    mapping = {"date": "Datum", "product_id": "Artikel", "quantity": "Menge"}
    assert quantities(take(folder, home, text, mapping=mapping)) == {("Brot", "2024-01-05"): 1.5}


@pytest.mark.parametrize(
    ("header", "mapping", "said"),
    [
        ("date,product_id,units", {}, r"no column 'quantity'; found 'date', 'product_id', 'units'.*--map quantity="),
        ("date,product_id,Quantity", {}, r"--map quantity=Quantity"),
        ("date,product_id,quantity", {"unit_price": "price"}, r"no column 'price'"),
    ],
)
def test_missing_columns_are_named(folder: Path, home: Home, header: str, mapping: dict[str, str], said: str) -> None:
    """A missing column is named with what was found and how to map it, an optional one if it was asked for."""
    with pytest.raises(MissingColumnsError, match=rf"sales\.csv.*{said}"):
        take(folder, home, f"{header}\n2024-01-05,bread,1\n", mapping=mapping)


@pytest.mark.parametrize(
    ("rows", "source", "said"),
    [
        ("2024-01-05,bread,many\n2024-01-06,bread,few", {}, "column 'quantity' holds no number.*'many', 'few'"),
        (
            '2024-01-05,bread,"1,5"\n2024-01-06,bread,"2,5"',
            {"decimal": "."},
            "'1,5', '2,5'.*decimal sign looks like a comma",
        ),
        ("13.01.2024,bread,1", {}, r"column 'date' holds no date.*look like '%d\.%m\.%Y'.*date_format"),
        ("2024-01-05,bread,1", {"date_format": "%d.%m.%Y"}, r"it is '%d\.%m\.%Y' now"),
        ("2024-01-05,,1", {}, "column 'product_id' holds no product name.*nothing but blanks"),
    ],
)
def test_a_column_without_anything_readable(
    folder: Path, home: Home, rows: str, source: dict[str, object], said: str
) -> None:
    """Nothing readable in a required column is an error with its first values and what they look like."""
    with pytest.raises(DataError, match=rf"sales\.csv.*{said}"):
        take(folder, home, f"date,product_id,quantity\n{rows}\n", **source)


def test_no_sales_at_all(folder: Path, home: Home) -> None:
    """A file whose every row is another tenant's leaves no sales, and the error says why."""
    with pytest.raises(DataError, match=r"no sales are left of 1 rows.*1 other_tenant.*row 1.*'else'"):
        take(folder, home, "date,product_id,quantity,tenant_id\n2024-01-05,bread,1,else\n")
    with pytest.raises(DataError, match="no sales are left of 0 rows"):
        take(folder, home, "date,product_id,quantity\n")
    assert not home.table("shop", "sales").exists()


def test_at_most_fifty_examples(folder: Path, home: Home) -> None:
    """A thousand rejected rows are all counted, the first fifty shown."""
    bad = "".join(f"2024-01-05,bread,bad {number}\n" for number in range(1000))
    report = take(folder, home, f"date,product_id,quantity\n2024-01-05,bread,1\n{bad}").report
    assert report.rows_rejected == 1000
    assert [example.row for example in report.examples] == list(range(2, 52))


def test_the_stored_table_is_the_contract(folder: Path, home: Home) -> None:
    """The stored Parquet file has the contract's columns and types, sorted by product, place and day."""
    text = (
        "date,product_id,quantity,location_id\n2024-01-06,b,1,x\n2024-01-05,b,1,x\n2024-01-05,b,1,\n2024-01-05,a,1,x\n"
    )
    found = take(folder, home, text)
    stored = pd.read_parquet(home.table("shop", "sales"))
    keys = list(zip(stored["product_id"], stored["location_id"], stored["date"].dt.day, strict=True))
    assert keys == [("a", "x", 5), ("b", None, 5), ("b", "x", 5), ("b", "x", 6)]
    assert str(stored["date"].dtype) == "datetime64[ns]"
    assert stored["quantity"].dtype == np.float64
    assert set(stored["tenant_id"]) == {"shop"}
    assert set(stored["source_file"]) == {"sales.csv"}
    assert found.report.extracted_at == NOW
