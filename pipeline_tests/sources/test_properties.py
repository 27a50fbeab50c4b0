"""What must hold for any sales, however messy: rows add up, names survive, order and splitting leave no trace."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from pipeline.errors import PipelineError
from pipeline.home import Home
from pipeline.sources.extract import Extraction, load_sales
from pipeline.sources.mojibake import repaired
from pipeline_tests.sources.builders import extract, make_tenant, write_rows

CELLS = st.one_of(
    st.sampled_from(
        ["2024-01-05", "2024-01-06 10:00", "2024-01-05T23:59Z", "2025-01-01", "05.01.2024", "1", "-2", "2.5", "1,5"]
    ),
    st.sampled_from(["bread", "rolls", "CafÃ©", "", " ", "shop", "other", "1e9", "nan", "yes", "0"]),
    st.text(max_size=4).filter(lambda text: "\0" not in text),
)
COLUMNS = ("date", "product_id", "quantity", "unit_price", "tenant_id", "sold_out", "location_id")
MESS = st.lists(st.tuples(*[CELLS] * len(COLUMNS)), min_size=1, max_size=12)

LAST_DAY = 3
Line = tuple[int, str, float, str | None, float | None]
LINES: st.SearchStrategy[list[Line]] = st.lists(
    st.tuples(
        st.integers(0, LAST_DAY),
        st.sampled_from(["bread", "rolls", "cake"]),
        st.integers(-300, 900).map(lambda cents: cents / 100),
        st.sampled_from([None, "north", "south"]),
        st.sampled_from([None, 1.5, 2.25]),
    ),
    min_size=1,
    max_size=25,
)


def frame_of(lines: list[Line]) -> pd.DataFrame:
    """Return ticket lines as a table; a ticket number keeps equal lines apart."""
    rows = pd.DataFrame(lines, columns=["day", "product_id", "quantity", "location_id", "unit_price"])
    rows["date"] = [f"2024-01-{1 + day:02}" for day in rows.pop("day")]
    return rows.assign(ticket=range(len(rows)), location_id=rows["location_id"].astype(object))


@contextmanager
def place() -> Iterator[tuple[Path, Home]]:
    """Give a folder for files and an empty home, fresh for each example."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "files").mkdir()
        yield Path(name) / "files", Home(Path(name) / "home")


def extracted(parts: list[pd.DataFrame], suffix: str = ".csv", **source: object) -> Extraction:
    """Extract tables as files of one folder, the first the oldest."""
    with place() as (folder, home):
        for number, part in enumerate(parts):
            write_rows(folder / f"{number}{suffix}", part, age_minutes=100 - number)
        return extract(make_tenant(folder, **source), home)


def content(extraction: Extraction) -> pd.DataFrame:
    """Return the daily table without the names of files."""
    return extraction.daily.drop(columns="source_file")


@settings(max_examples=40, deadline=None)
@given(files=st.lists(MESS, min_size=1, max_size=3), overlap=st.sampled_from(["replace", "add"]))
def test_every_row_is_accounted_for(files: list[list[tuple[str, ...]]], overlap: str) -> None:
    """Of any mess each row is used, merged or rejected, or the extraction ends in an error of ours."""
    tables = [pd.DataFrame(rows, columns=list(COLUMNS)) for rows in files]
    try:
        found = extracted(tables, ".parquet", overlap=overlap)
    except PipelineError:
        return
    report = found.report
    assert report.rows_read == sum(len(table) for table in tables)
    assert report.rows_used == len(found.daily)
    if overlap == "add" or len(files) == 1:
        assert found.daily["input_rows"].sum() == report.rows_used + report.merged_into_day
    assert (found.daily["quantity"] >= 0).all()
    assert not found.daily.duplicated(["product_id", "location_id", "date"]).any()


@settings(max_examples=40, deadline=None)
@given(name=st.text(min_size=1, max_size=30).filter(lambda text: text.strip()))
def test_any_name_survives(name: str) -> None:
    """A product's name comes through Parquet, and through CSV, as it is, but for space around and mojibake."""
    rows = pd.DataFrame({"date": ["2024-01-05"], "product_id": [name], "quantity": [1.0]})
    expected = repaired(name.strip())
    assert list(extracted([rows], ".parquet").daily["product_id"]) == [expected]
    if "\0" not in name:
        assert list(extracted([rows]).daily["product_id"]) == [expected]


@settings(max_examples=25, deadline=None)
@given(lines=LINES, data=st.data())
def test_order_leaves_no_trace(lines: list[Line], data: st.DataObject) -> None:
    """Shuffled rows give the same daily table to the last bit."""
    rows = frame_of(lines)
    order = data.draw(st.permutations(range(len(rows))))
    assert_frame_equal(content(extracted([rows])), content(extracted([rows.iloc[order]])), check_exact=True)


@settings(max_examples=25, deadline=None)
@given(lines=LINES, data=st.data())
def test_splitting_leaves_no_trace(lines: list[Line], data: st.DataObject) -> None:
    """A file split in two anywhere gives the same table where files add up, in either order of the halves."""
    rows = frame_of(lines).drop(columns="unit_price")
    cut = data.draw(st.integers(0, len(rows)))
    whole = content(extracted([rows], overlap="add"))
    halves = [rows.iloc[:cut], rows.iloc[cut:]]
    assert_frame_equal(content(extracted(halves, overlap="add")), whole)
    assert_frame_equal(content(extracted(halves[::-1], overlap="add")), whole)


@settings(max_examples=25, deadline=None)
@given(lines=LINES, day=st.integers(0, 4))
def test_splitting_between_days_leaves_no_trace(lines: list[Line], day: int) -> None:
    """A file split between two days gives the same table where later files replace."""
    rows = frame_of(lines)
    early = rows["date"] < f"2024-01-{1 + day:02}"
    assert_frame_equal(content(extracted([rows[~early], rows[early]])), content(extracted([rows])))


@settings(max_examples=20, deadline=None)
@given(
    versions=st.lists(st.tuples(st.integers(0, 2), LINES), min_size=1, max_size=5),
    overlap=st.sampled_from(["replace", "add"]),
)
def test_step_by_step_is_as_good_as_at_once(versions: list[tuple[int, list[Line]]], overlap: str) -> None:
    """Files written and rewritten with an extraction after each end as one extraction of the last versions.

    The look-back reaches over all days and each version holds the first and the last day, so that nothing is
    kept for being old, or for lying after the end of a file that was cut off. A version that equals the one
    before is no change, however new its time stamp.
    """
    span: list[Line] = [(0, "anchor", 1.0, None, None), (LAST_DAY, "anchor", 1.0, None, None)]
    with place() as (folder, home):
        tenant = make_tenant(folder, overlap=overlap)
        written: dict[int, list[Line]] = {}
        for step, (number, lines) in enumerate(versions):
            if written.get(number) == lines:
                continue
            written[number] = lines
            write_rows(folder / f"{number}.csv", frame_of(span + lines), age_minutes=100 - step)
            found = extract(tenant, home)
            again = extract(tenant, home, found.report.extracted_at + dt.timedelta(minutes=1))
            assert not again.changed
            assert_frame_equal(again.daily, found.daily)
        at_once = extract(tenant, Home(home.root / "other"))
        assert_frame_equal(found.daily, at_once.daily)
        assert_frame_equal(load_sales(home, "shop"), at_once.daily)


@given(text=st.text(max_size=20))
def test_mending_is_conservative(text: str) -> None:
    """Text mangled once is mended unless it was in doubt; a mended name is shorter, and ASCII is never touched."""
    mended = repaired(text)
    assert mended == text or len(mended) < len(text)
    if text.isascii():
        assert mended == text
    mangled = text.encode().decode("latin-1")
    assert repaired(mangled) in (repaired(text), mangled)
