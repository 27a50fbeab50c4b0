"""A tenant whose source is another place: moved files are the same business, others are not mixed with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pipeline.errors import SourceError
from pipeline.home import Home
from pipeline.sources.extract import load_report, load_sales
from pipeline_tests.sources.builders import days, extract, make_tenant, quantities, write_rows, write_text

OURS = days("2024-01-01", [1.0, 2.0, 3.0])
THEIRS = days("2024-01-02", [7.0, 8.0], "rolls")


def kept(home: Home) -> list[Path]:
    """Return the tables that were kept of earlier sources."""
    return sorted(home.tenant("shop").glob("sales_until_*.parquet"))


@pytest.mark.parametrize("overlap", ["replace", "add"])
def test_another_businesss_sales_are_not_mixed(folder: Path, home: Home, overlap: str) -> None:
    """From another place's files the table begins anew; the report says so, and the table before is kept."""
    old = write_rows(folder / "a.csv", OURS)
    first = extract(make_tenant(old, overlap=overlap), home)
    new = write_rows(folder / "b.csv", THEIRS)
    found = extract(make_tenant(new, overlap=overlap), home)
    assert quantities(found) == {("rolls", "2024-01-02"): 7.0, ("rolls", "2024-01-03"): 8.0}
    assert found.report.replaced_source == str(old)
    (backup,) = kept(home)
    assert list(pd.read_parquet(backup)["quantity"]) == list(first.daily["quantity"])
    assert not extract(make_tenant(new, overlap=overlap), home).changed
    write_rows(folder / "b.csv", days("2024-01-04", [9.0], "rolls"), age_minutes=5)
    again = extract(make_tenant(new, overlap=overlap), home)
    assert list(again.daily["quantity"]) == [7.0, 8.0, 9.0]
    assert again.report.replaced_source is None
    assert kept(home) == [backup]


def test_files_that_have_moved_are_the_same_business(folder: Path, home: Home) -> None:
    """A folder that moves keeps all of its days, also those whose files are gone, and a new file adds to them."""
    write_rows(folder / "old" / "a.csv", OURS)
    gone = write_rows(folder / "old" / "gone.csv", days("2023-12-31", [5.0]))
    extract(make_tenant(folder / "old"), home)
    gone.unlink()
    shutil.move(folder / "old", folder / "new")
    write_rows(folder / "new" / "b.csv", days("2024-01-04", [4.0]))
    for _ in range(2):
        found = extract(make_tenant(folder / "new"), home)
        assert list(found.daily["quantity"]) == [5.0, 1.0, 2.0, 3.0, 4.0]
    assert found.report.replaced_source is None
    assert kept(home) == []


def test_the_new_place_is_remembered(folder: Path, home: Home) -> None:
    """After a move without news the new place is the tenant's: the next change there does not begin anew."""
    old = write_rows(folder / "a.csv", OURS)
    extract(make_tenant(old), home)
    new = folder / "elsewhere" / "a.csv"
    new.parent.mkdir()
    shutil.copy2(old, new)
    extract(make_tenant(new), home)
    write_rows(new, days("2024-01-04", [4.0]), age_minutes=5)
    assert list(extract(make_tenant(new), home).daily["quantity"]) == [1.0, 2.0, 3.0, 4.0]


def test_a_header_alone_proves_no_move(folder: Path, home: Home) -> None:
    """Two tills' empty exports are equal: that does not make them one business."""
    header = "date,product_id,quantity\n"
    for name, rows in (("ours", OURS), ("theirs", THEIRS)):
        write_rows(folder / name / "a.csv", rows)
        write_text(folder / name / "empty.csv", header)
    extract(make_tenant(folder / "ours"), home)
    assert set(extract(make_tenant(folder / "theirs"), home).daily["product_id"]) == {"rolls"}


def test_another_source_that_cannot_be_used_replaces_nothing(folder: Path, home: Home) -> None:
    """Where all files of the other place are set aside, it is an error, and what is stored stays."""
    old = write_rows(folder / "a.csv", OURS)
    first = extract(make_tenant(old), home)
    bad = write_text(folder / "b.csv", "date,product_id,quantity\n2024-01-01,rolls,1\nsoon,rolls,1\nlater,rolls,1\n")
    with pytest.raises(SourceError, match=r"'b\.csv' \(2 of its 3 rows\)"):
        extract(make_tenant(bad), home)
    assert_frame_equal(load_sales(home, "shop"), first.daily)
    assert load_report(home, "shop") == first.report
    assert kept(home) == []
    assert not extract(make_tenant(old), home).changed


def test_another_password_is_no_other_source(home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same place under another login goes on as before, and no password is written down."""
    path = write_rows(folder / "a.csv", OURS)
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda _: (fsspec.filesystem("file"), str(path)))
    extract(make_tenant("sftp://bob:s3cret@shop.example/a.csv"), home)
    write_rows(path, days("2024-01-04", [4.0]), age_minutes=5)
    found = extract(make_tenant("sftp://eve:0ther@shop.example/a.csv"), home)
    assert list(found.daily["quantity"]) == [1.0, 2.0, 3.0, 4.0]
    written = b"".join(file.read_bytes() for file in home.tenant("shop").glob("*.json"))
    assert b"s3cret" not in written
    assert b"shop.example" in written
