"""Extraction again and again: only what is new is read, and what a file gave before is replaced."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from contracts import CovariateSource, DatasetMetadata
from pipeline.errors import ConfigurationError, DataError, SourceNotFoundError, UnreadableFileError
from pipeline.home import Home
from pipeline.sources import due, location
from pipeline.sources.extract import extract_sales, load_report, load_sales, source_fingerprint
from pipeline.sources.files import FilesSource
from pipeline.sources.opening import tenants_named
from pipeline.sources.state import State
from pipeline_tests.sources.builders import (
    NOW,
    SETTINGS,
    age,
    days,
    extract,
    make_tenant,
    quantities,
    write_rows,
    write_text,
)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose content is read from now on."""
    names: list[str] = []
    read = location._read_once

    def noted(fs: object, path: str, name: str) -> bytes:
        names.append(name)
        return read(fs, path, name)

    monkeypatch.setattr(location, "_read_once", noted)
    return names


def test_unchanged_files_are_not_read(folder: Path, home: Home, reads: list[str]) -> None:
    """A second extraction reads nothing, changes nothing and reports the first one's account."""
    write_rows(folder / "a.csv", days("2024-01-01", [1, 2, 3]))
    first = extract(make_tenant(folder), home)
    reads.clear()
    second = extract(make_tenant(folder), home, NOW + dt.timedelta(hours=1))
    assert reads == []
    assert (first.changed, second.changed) == (True, False)
    assert_frame_equal(first.daily, second.daily)
    assert second.report == first.report == load_report(home, "shop")
    assert_frame_equal(load_sales(home, "shop"), first.daily)


def test_sales_that_were_looked_at_are_fresh(folder: Path, home: Home) -> None:
    """Where nothing new has come in, the metadata's moment moves, and neither its version nor the table does."""
    write_rows(folder / "a.csv", days("2024-01-01", [1, 2, 3]))
    extract(make_tenant(folder), home)
    table = home.table("shop", "sales")
    first, bytes_before = (
        DatasetMetadata.model_validate_json(table.with_suffix(".json").read_bytes()),
        table.read_bytes(),
    )
    extract(make_tenant(folder), home, NOW + dt.timedelta(hours=1))
    second = DatasetMetadata.model_validate_json(table.with_suffix(".json").read_bytes())
    assert second.built_at > first.built_at
    assert second.model_copy(update={"built_at": first.built_at}) == first
    assert table.read_bytes() == bytes_before
    table.with_suffix(".json").write_text("{")
    extract(make_tenant(folder), home)
    third = DatasetMetadata.model_validate_json(table.with_suffix(".json").read_bytes())
    assert third.dataset_version == first.dataset_version


def test_a_new_stamp_alone_changes_nothing(folder: Path, home: Home, reads: list[str]) -> None:
    """A touched file is hashed once, not taken, and not read after that."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1, 2, 3]))
    extract(make_tenant(folder), home)
    age(path, 30)
    reads.clear()
    assert not extract(make_tenant(folder), home).changed
    assert not extract(make_tenant(folder), home).changed
    assert reads == ["a.csv"]


def test_a_change_within_one_stamp_is_seen(folder: Path, home: Home) -> None:
    """A file that changes right after it was read is taken again though size and stamp are equal."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1]), age_minutes=0)
    stamp = path.stat()
    extract(make_tenant(folder), home)
    write_rows(path, days("2024-01-01", [2]))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert quantities(extract(make_tenant(folder), home)) == {("bread", "2024-01-01"): 2.0}


def test_a_new_file_adds_its_days(folder: Path, home: Home) -> None:
    """Only the new file's rows are read; the table has both, and says that it changed."""
    write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    extract(make_tenant(folder), home)
    write_rows(folder / "b.parquet", days("2024-01-03", [3]))
    found = extract(make_tenant(folder), home)
    assert list(found.daily["quantity"]) == [1.0, 2.0, 3.0]
    assert found.changed
    report = found.report
    assert (report.files_seen, report.files_read, report.rows_read, report.rows_used) == (2, 1, 1, 1)
    assert (report.first_date, report.last_date, report.products) == (dt.date(2024, 1, 1), dt.date(2024, 1, 3), 1)


@pytest.mark.parametrize(("overlap", "expected"), [("replace", [1.0, 7.0, 8.0]), ("add", [1.0, 9.0, 8.0])])
@pytest.mark.parametrize("at_once", [True, False])
def test_two_files_give_the_same_day(
    folder: Path, home: Home, overlap: str, expected: list[float], at_once: bool
) -> None:
    """The later file replaces or adds, whether both come at once or one after the other."""
    write_rows(folder / "b old.csv", days("2024-01-01", [1, 2]), age_minutes=60)
    tenant = make_tenant(folder, overlap=overlap)
    if not at_once:
        extract(tenant, home)
    write_rows(folder / "a new.csv", days("2024-01-02", [7, 8]), age_minutes=5)
    found = extract(tenant, home)
    assert list(found.daily["quantity"]) == expected
    assert found.report.superseded == (1 if at_once and overlap == "replace" else 0)


def test_an_older_file_does_not_replace_a_later_one(folder: Path, home: Home) -> None:
    """A file that arrives late but was written earlier fills gaps only, as it would have in one reading."""
    write_rows(folder / "new.csv", days("2024-01-02", [7, 8]), age_minutes=5)
    extract(make_tenant(folder), home)
    write_rows(folder / "old.csv", days("2024-01-01", [1, 2]), age_minutes=600)
    found = extract(make_tenant(folder), home)
    assert list(found.daily["quantity"]) == [1.0, 7.0, 8.0]
    assert (found.report.rows_used, found.report.superseded) == (1, 1)


def test_files_of_one_minute_stand_in_order_of_name(folder: Path, home: Home) -> None:
    """Copied folders carry times in no order: within a minute the name decides."""
    moment = 1_700_000_000.0
    for name, quantity, second in (("2024-02.csv", 2, 1), ("2024-01.csv", 1, 20)):
        path = write_rows(folder / name, days("2024-01-31", [quantity]))
        os.utime(path, (moment + second, moment + second))
    assert quantities(extract(make_tenant(folder), home)) == {("bread", "2024-01-31"): 2.0}


@pytest.mark.parametrize("overlap", ["replace", "add"])
def test_a_changed_file_replaces_what_it_gave(folder: Path, home: Home, overlap: str) -> None:
    """Corrected, added and vanished rows of a changed file arrive; nothing is counted twice."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1, 2, 3]))
    write_rows(folder / "b.csv", days("2024-01-02", [10], "rolls"))
    tenant = make_tenant(folder, overlap=overlap)
    extract(tenant, home)
    write_rows(path, days("2024-01-01", [1, 20, 3, 4]).drop(2), age_minutes=5)
    found = extract(tenant, home)
    assert quantities(found) == {
        ("bread", "2024-01-01"): 1.0,
        ("bread", "2024-01-02"): 20.0,
        ("bread", "2024-01-04"): 4.0,
        ("rolls", "2024-01-02"): 10.0,
    }


def test_old_rows_are_never_deleted(folder: Path, home: Home) -> None:
    """Rows that vanish before the look-back stay, also when corrected; within it they go."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [float(n) for n in range(1, 61)]))
    extract(make_tenant(folder), home)
    rows = days("2024-01-01", [float(n) for n in range(1, 61)])
    rows.loc[1, "quantity"] = 99.0
    write_rows(path, rows.drop([4, 50]), age_minutes=5)
    found = quantities(extract(make_tenant(folder), home, lookback_days=35))
    assert found["bread", "2024-01-05"] == 5.0
    assert found["bread", "2024-01-02"] == 99.0
    assert ("bread", "2024-02-20") not in found
    assert len(found) == 59


def test_an_export_of_the_last_days_keeps_the_days_before(folder: Path, home: Home) -> None:
    """A file that always holds the last week says nothing about the weeks before it."""
    path = write_rows(folder / "week.csv", days("2024-01-01", [1] * 7))
    extract(make_tenant(folder), home)
    write_rows(path, days("2024-01-05", [2] * 7), age_minutes=5)
    assert list(extract(make_tenant(folder), home).daily["quantity"]) == [1.0] * 4 + [2.0] * 7


def test_a_file_that_was_cut_off_takes_nothing_back(folder: Path, home: Home) -> None:
    """A half-written file corrects the days that it holds; what it gave after them before stays."""
    rows = days("2024-01-01", [float(n) for n in range(1, 61)])
    path = write_rows(folder / "a.csv", rows)
    extract(make_tenant(folder), home)
    rows.loc[3, "quantity"] = 99.0
    write_rows(path, rows.drop(9).head(20), age_minutes=5)
    found = quantities(extract(make_tenant(folder), home, lookback_days=35))
    assert len(found) == 59
    assert found["bread", "2024-01-04"] == 99.0
    assert ("bread", "2024-01-10") not in found
    assert found["bread", "2024-02-29"] == 60.0
    write_rows(path, rows, age_minutes=3)
    assert len(extract(make_tenant(folder), home).daily) == 60


def test_a_row_that_became_unreadable_takes_nothing_back(folder: Path, home: Home) -> None:
    """A product's day whose row is rejected now keeps what was known of it; a sound row beside it counts."""
    rows = days("2024-01-01", [float(n) for n in range(1, 11)])
    path = write_rows(folder / "a.csv", rows)
    extract(make_tenant(folder), home)
    broken = rows.astype({"quantity": object})
    broken.loc[[2, 9], "quantity"] = ["ten", 1e12]
    broken.loc[5, "quantity"] = 60.0
    write_rows(path, broken.drop(4), age_minutes=5)
    found = quantities(extract(make_tenant(folder), home))
    assert found["bread", "2024-01-03"] == 3.0
    assert found["bread", "2024-01-10"] == 10.0
    assert found["bread", "2024-01-06"] == 60.0
    assert ("bread", "2024-01-05") not in found


def test_a_vanished_file_loses_nothing(folder: Path, home: Home) -> None:
    """Rows of a file that is removed stay, and come in again when it returns changed."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    write_rows(folder / "b.csv", days("2024-01-03", [3]))
    extract(make_tenant(folder), home)
    path.unlink()
    assert not extract(make_tenant(folder), home).changed
    write_rows(path, days("2024-01-01", [5, 2]), age_minutes=5)
    assert list(extract(make_tenant(folder), home).daily["quantity"]) == [5.0, 2.0, 3.0]


def test_a_renamed_file_is_not_added_twice(folder: Path, home: Home) -> None:
    """A file that comes back under another name is the same file, where files add up too."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    tenant = make_tenant(folder, overlap="add")
    extract(tenant, home)
    (folder / "done").mkdir()
    path.rename(folder / "done" / "a.csv")
    assert list(extract(tenant, home).daily["quantity"]) == [1.0, 2.0]
    write_rows(folder / "done" / "a.csv", days("2024-01-01", [1, 3]), age_minutes=5)
    assert list(extract(tenant, home).daily["quantity"]) == [1.0, 3.0]


def test_a_withdrawn_correction_uncovers_the_original(folder: Path, home: Home) -> None:
    """When a later file no longer gives a day, the earlier file's row of that day is there again."""
    write_rows(folder / "sales.csv", days("2024-01-01", [1, 2, 3]))
    correction = write_rows(folder / "correction.csv", days("2024-01-01", [9, 9, 9]), age_minutes=30)
    assert list(extract(make_tenant(folder), home).daily["quantity"]) == [9.0, 9.0, 9.0]
    write_rows(correction, days("2024-01-01", [9, 9, 9]).drop(1), age_minutes=5)
    assert list(extract(make_tenant(folder), home).daily["quantity"]) == [9.0, 2.0, 9.0]


@pytest.mark.parametrize("again", [{"overlap": "add"}, {"duplicates": "keep"}, {"mapping": {"product_id": "article"}}])
def test_changed_settings_take_every_file_anew(folder: Path, home: Home, again: dict[str, object]) -> None:
    """New settings of the source give what a first extraction under them gives, without a trace of the old."""
    rows = days("2020-01-01", [1, 2, 2]).assign(article="loaf", date="2020-01-01")
    recent = rows.tail(1).assign(date="2024-01-01")
    write_rows(folder / "a.csv", pd.concat([rows, recent]))
    write_rows(folder / "b.csv", recent.assign(quantity=5))
    extract(make_tenant(folder), home)
    found = extract(make_tenant(folder, **again), home)
    fresh = extract(make_tenant(folder, **again), Home(home.root / "fresh"))
    assert_frame_equal(found.daily, fresh.daily)
    extract(make_tenant(folder), home)
    write_rows(folder / "a.csv", pd.concat([rows, recent.assign(product_id="cake")]).tail(1), age_minutes=9)
    write_rows(folder / "b.csv", recent.assign(quantity=5, product_id="cake"), age_minutes=7)
    extract(make_tenant(folder), home)
    write_rows(folder / "c.csv", recent.assign(quantity=7, product_id="roll"), age_minutes=5)
    back = extract(make_tenant(folder), home)
    recently = back.daily[back.daily["date"] == pd.Timestamp("2024-01-01")]
    assert dict(zip(recently["product_id"], recently["quantity"], strict=True)) == {"cake": 5.0, "roll": 7.0}


def test_rows_from_the_future_come_of_age(folder: Path, home: Home) -> None:
    """A row rejected because its day had not come is taken when it has, though the file is unchanged."""
    write_rows(folder / "a.csv", days("2024-06-30", [1, 2]))
    assert extract(make_tenant(folder), home).report.rows_rejected == 1
    assert not extract(make_tenant(folder), home).changed
    found = extract(make_tenant(folder), home, NOW + dt.timedelta(days=1))
    assert found.changed
    assert list(found.daily["quantity"]) == [1.0, 2.0]


@pytest.mark.parametrize("lost", ["extraction_state.json", "extraction_report.json", "sales.parquet"])
@pytest.mark.parametrize("overlap", ["replace", "add"])
def test_a_lost_file_of_ours_is_harmless(folder: Path, home: Home, lost: str, overlap: str) -> None:
    """Without its state, report or table an extraction reads everything again and ends the same."""
    write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    write_rows(folder / "b.csv", days("2024-01-02", [3, 4]), age_minutes=5)
    first = extract(make_tenant(folder, overlap=overlap), home)
    (home.tenant("shop") / lost).unlink()
    assert_frame_equal(extract(make_tenant(folder, overlap=overlap), home).daily, first.daily)


def test_a_torn_state_is_harmless(folder: Path, home: Home) -> None:
    """A state that cannot be read is as if nothing had been read."""
    write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    first = extract(make_tenant(folder), home)
    (home.tenant("shop") / "extraction_state.json").write_text('{"rules": "x", "fi')
    assert_frame_equal(extract(make_tenant(folder), home).daily, first.daily)


def test_a_torn_table_is_said(folder: Path, home: Home) -> None:
    """A stored table that is damaged is an error that names it and says what to do."""
    write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    extract(make_tenant(folder), home)
    home.table("shop", "sales").write_bytes(b"PAR1 torn")
    with pytest.raises(UnreadableFileError, match=r"sales\.parquet is damaged.*Remove it"):
        load_sales(home, "shop")


def test_a_fault_in_one_file_changes_nothing(folder: Path, home: Home) -> None:
    """One file without usable numbers stops the extraction by name; new rows of others wait."""
    write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    first = extract(make_tenant(folder), home)
    write_rows(folder / "b.csv", days("2024-01-03", [3]))
    bad = write_text(folder / "c.csv", "date,product_id,quantity\n2024-01-04,bread,none\n")
    with pytest.raises(DataError, match=r"c\.csv"):
        extract(make_tenant(folder), home)
    assert_frame_equal(load_sales(home, "shop"), first.daily)
    bad.unlink()
    assert list(extract(make_tenant(folder), home).daily["quantity"]) == [1.0, 2.0, 3.0]


def test_an_empty_day_deletes_nothing(folder: Path, home: Home) -> None:
    """A file that is rewritten as a header alone gives nothing and takes nothing away."""
    path = write_rows(folder / "a.csv", days("2024-01-01", [1, 2]))
    extract(make_tenant(folder), home)
    write_rows(path, days("2024-01-01", []), age_minutes=5)
    found = extract(make_tenant(folder), home)
    assert (list(found.daily["quantity"]), found.changed) == ([1.0, 2.0], False)


def test_tenants_are_kept_apart(folder: Path, home: Home) -> None:
    """Two tenants that share a file each get their own rows of the same product."""
    rows = pd.concat([days("2024-01-01", [1]).assign(tenant_id="Shop"), days("2024-01-01", [5]).assign(tenant_id="b")])
    path = write_rows(folder / "a.csv", rows)
    other = make_tenant(path).model_copy(update={"id": "b"})
    assert quantities(extract(make_tenant(path), home)) == {("bread", "2024-01-01"): 1.0}
    assert quantities(extract(other, home)) == {("bread", "2024-01-01"): 5.0}
    assert list(load_sales(home, "shop")["quantity"]) == [1.0]
    assert tenants_named(make_tenant(path).source) == ["Shop", "b"]
    assert tenants_named(make_tenant(write_rows(folder / "b.csv", days("2024-01-01", [1]))).source) == []


def test_a_naive_now_is_refused(folder: Path, home: Home) -> None:
    """A moment without a time zone cannot say which day it is for the tenant."""
    with pytest.raises(ConfigurationError, match="must carry a time zone"):
        extract_sales(make_tenant(folder), home, SETTINGS, dt.datetime(2024, 1, 1))


def test_nothing_extracted_yet(home: Home) -> None:
    """Loading before the first extraction is an error that says so."""
    for load in (load_sales, load_report):
        with pytest.raises(SourceNotFoundError, match="have been extracted yet"):
            load(home, "shop")


def test_the_fingerprint_follows_the_files(folder: Path, home: Home) -> None:
    """The fingerprint is steady, and changes with a file's coming, change, going, and with covariates."""
    path = write_rows(folder / "sales" / "a.csv", days("2024-01-01", [1]))
    tenant = make_tenant(folder / "sales")
    seen = [source_fingerprint(tenant, home, SETTINGS)]
    assert source_fingerprint(tenant, home, SETTINGS) == seen[0]
    age(path, 5)
    seen.append(source_fingerprint(tenant, home, SETTINGS))
    write_rows(folder / "sales" / "b.csv", days("2024-01-02", [1]))
    seen.append(source_fingerprint(tenant, home, SETTINGS))
    covariates = CovariateSource(path=str(folder / "weather.csv"))
    tenant = tenant.model_copy(update={"covariates": covariates})
    seen.append(source_fingerprint(tenant, home, SETTINGS))
    write_text(folder / "weather.csv", "date,rain\n2024-01-01,1\n")
    seen.append(source_fingerprint(tenant, home, SETTINGS))
    assert len(set(seen)) == len(seen)


def test_lookback_zero_touches_the_last_day_only(folder: Path) -> None:
    """The cutoff never lies before the file's first day, and with no look-back on its last."""
    tenant = make_tenant(folder)
    write_rows(folder / "a.csv", days("2024-01-01", [1] * 50))
    files = FilesSource(tenant.source)
    job = due.Job(tenant, SETTINGS, NOW, files, files.parts(), State(rules="x"), "x")
    (reading,) = due.read_due(job).taken
    assert due.cutoff(reading, 0) == dt.date(2024, 2, 19)
    assert due.cutoff(reading, 9) == dt.date(2024, 2, 10)
    assert due.cutoff(reading, 500) == dt.date(2024, 1, 1)
