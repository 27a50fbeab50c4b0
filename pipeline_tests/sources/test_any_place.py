"""The contract of every kind of place that sales come from: the same rows make the same table, and nothing is lost."""

from __future__ import annotations

import datetime as dt
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from pandas.testing import assert_frame_equal

from pipeline.errors import PipelineError, SourceNotFoundError
from pipeline.home import Home
from pipeline.sources.extract import Extraction, extract_sales, load_sales, source_fingerprint
from pipeline_tests.registry.conftest import database
from pipeline_tests.sources.builders import NOW, SETTINGS, days, extract, quantities
from pipeline_tests.sources.places import InFile, InPostgres, InSqlite, Place, over_http
from pipeline_tests.sources.test_properties import LINES, Line, frame_of

KINDS = ["file", "sqlite", "postgresql", "service with stamps", "service without"]
ROWS = pd.concat([days("2024-03-01", [float(n % 9 + 1) for n in range(100)]), days("2024-05-20", [4.0] * 20, "rolls")])
LAST = dt.date(2024, 6, 8)


@contextmanager
def opened(kind: str, folder: Path, postgres: str | None) -> Iterator[Place]:
    """Give an empty place of a kind."""
    if kind == "file":
        yield InFile(folder)
    elif kind == "sqlite":
        yield InSqlite(folder)
    elif kind == "postgresql":
        assert postgres is not None
        yield InPostgres(postgres)
    else:
        with over_http(stamps=kind == "service with stamps") as place:
            yield place


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a database of this file's own."""
    with database() as url:
        yield url


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A place that holds ROWS, of each kind."""
    url = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with opened(request.param, tmp_path, url) as found:
        found.put(ROWS)
        yield found


def content(extraction: Extraction) -> pd.DataFrame:
    """The daily table without the names of parts."""
    return extraction.daily.drop(columns="source_file")


def changed(day: str, product: str, units: float | None) -> pd.DataFrame:
    """ROWS with another quantity on a product's day; None: without it."""
    here = (ROWS["date"] == day) & (ROWS["product_id"] == product)
    return ROWS[~here] if units is None else ROWS.assign(quantity=ROWS["quantity"].mask(here, units))


def test_the_same_rows_make_the_same_table(place: Place, tmp_path: Path, home: Home) -> None:
    """Rows make the daily table that they make as a file, and are counted the same."""
    (tmp_path / "other").mkdir()
    file = InFile(tmp_path / "other")
    file.put(ROWS)
    found, expected = extract(place.tenant(), home), extract(file.tenant(), Home(tmp_path / "file"))
    assert_frame_equal(content(found), content(expected))
    assert found.report.rows_read == found.report.rows_used == len(ROWS)


def test_nothing_new_is_neither_read_nor_changed(place: Place, home: Home) -> None:
    """A second extraction takes nothing, the report stands, and the sensor has nothing to ask for."""
    first = extract(place.tenant(), home)
    for _ in range(2):
        assert source_fingerprint(place.tenant(), home, SETTINGS) == first.fingerprint
        again = extract(place.tenant(), home, NOW + dt.timedelta(hours=1))
        assert (again.changed, again.report, again.fingerprint) == (False, first.report, first.fingerprint)


def test_a_new_day_is_taken_in_once(place: Place, home: Home) -> None:
    """A day that comes is noticed without reading, taken in, and nothing is left to ask for."""
    before = extract(place.tenant(), home)
    place.put(pd.concat([ROWS, days("2024-06-09", [7.0])]))
    assert source_fingerprint(place.tenant(), home, SETTINGS) != before.fingerprint
    found = extract(place.tenant(), home)
    assert found.changed
    assert quantities(found) == {**quantities(before), ("bread", "2024-06-09"): 7.0}
    assert source_fingerprint(place.tenant(), home, SETTINGS) == found.fingerprint
    assert not extract(place.tenant(), home).changed


@pytest.mark.parametrize(
    ("day", "product", "units"),
    [
        pytest.param("2024-06-01", "bread", 55.0, id="correction"),
        pytest.param("2024-05-05", "bread", 55.0, id="correction on the first day of the look-back"),
        pytest.param("2024-06-01", "rolls", None, id="deletion"),
        pytest.param("2024-05-20", "rolls", None, id="deletion of a product's first day"),
    ],
)
def test_what_changes_inside_the_look_back_arrives(
    place: Place, home: Home, day: str, product: str, units: float | None
) -> None:
    """A correction or a deletion of the last 35 days is noticed and taken over, and all other days stay."""
    before = extract(place.tenant(), home)
    place.put(changed(day, product, units))
    assert source_fingerprint(place.tenant(), home, SETTINGS) != before.fingerprint
    expected = quantities(before)
    del expected[product, day]
    if units is not None:
        expected[product, day] = units
    assert quantities(extract(place.tenant(), home)) == expected


def test_late_rows_arrive(place: Place, home: Home) -> None:
    """Rows that come late for a day inside the look-back add to it."""
    before = extract(place.tenant(), home)
    late = pd.concat([ROWS, days("2024-05-30", [2.5]), days("2024-05-10", [3.0], "cake")])
    place.put(late)
    found = quantities(extract(place.tenant(), home))
    assert found["bread", "2024-05-30"] == quantities(before)["bread", "2024-05-30"] + 2.5
    assert found["cake", "2024-05-10"] == 3.0


def test_rows_older_than_the_look_back_stay(place: Place, home: Home) -> None:
    """A place that forgets its old days takes none of them away."""
    before = extract(place.tenant(), home)
    place.put(ROWS[ROWS["date"] >= "2024-05-01"])
    assert quantities(extract(place.tenant(), home)) == quantities(before)


def test_a_fault_in_the_middle_changes_nothing(place: Place, home: Home) -> None:
    """An answer that breaks off is an error of ours, and all that is stored stays, to the byte; then all goes on."""
    extract(place.tenant(), home)
    stored = {path: path.read_bytes() for path in home.tenant("shop").iterdir() if not path.name.startswith(".")}
    place.put(changed("2024-06-01", "bread", 55.0))
    with place.broken(), pytest.raises(PipelineError):
        extract(place.tenant(), home, NOW + dt.timedelta(hours=1))
    assert {path: path.read_bytes() for path in stored} == stored
    assert quantities(extract(place.tenant(), home))["bread", "2024-06-01"] == 55.0


def test_two_extractions_at_once_lose_nothing(place: Place, home: Home) -> None:
    """Extractions that meet end with every row, once."""
    extract(place.tenant(), home)
    place.put(pd.concat([ROWS, days("2024-06-09", [7.0])]))
    failed: list[BaseException] = []

    def take() -> None:
        try:
            extract_sales(place.tenant(), home, SETTINGS, NOW)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert load_sales(home, "shop")["quantity"].sum() == ROWS["quantity"].sum() + 7
    assert not extract(place.tenant(), home).changed


@pytest.mark.parametrize("place", KINDS[1:], indirect=True)
def test_files_that_become_another_place_keep_their_history(place: Place, tmp_path: Path, home: Home) -> None:
    """A tenant that moves from files to a place of the same sales loses no day, nor counts one twice; and back."""
    (tmp_path / "old").mkdir()
    file = InFile(tmp_path / "old")
    file.put(pd.concat([days("2023-12-01", [8.0] * 91), ROWS]))
    before = extract(file.tenant(overlap="add"), home)
    for source in (place.tenant(), file.tenant(overlap="add")):
        found = extract(source, home)
        assert quantities(found) == quantities(before)
        assert found.report.replaced_source is None
        assert not extract(source, home).changed


def test_another_business_in_another_place_begins_anew(place: Place, tmp_path: Path, home: Home) -> None:
    """A place whose days are others is another business's: the table begins anew and the old one is kept."""
    (tmp_path / "old").mkdir()
    file = InFile(tmp_path / "old")
    file.put(ROWS.assign(quantity=ROWS["quantity"] + 1))
    extract(file.tenant(), home)
    found = extract(place.tenant(), home)
    assert found.report.replaced_source == str(file.path)
    assert found.daily["quantity"].sum() == ROWS["quantity"].sum()
    assert len(list(home.tenant("shop").glob("sales_until_*.parquet"))) == 1


def test_an_emptied_place_takes_nothing_away(place: Place, home: Home) -> None:
    """A table that is being filled anew is no news of deletions; where the place answers at all, it is an error."""
    before = extract(place.tenant(), home)
    place.put(ROWS.iloc[:0])
    with pytest.raises(SourceNotFoundError, match="no row from 2024-05-04 on") if place.live else nullcontext():
        extract(place.tenant(), home)
    assert_frame_equal(load_sales(home, "shop"), before.daily)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "service without"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=LINES, second=LINES)
def test_any_lines_make_what_they_make_as_a_file(
    kind: str, request: pytest.FixtureRequest, first: list[Line], second: list[Line]
) -> None:
    """Whatever the lines, and whatever they become, a place ends with the days of the same lines in a file."""
    url = request.getfixturevalue("postgres") if kind == "postgresql" else None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = stack.enter_context(opened(kind, folder, url))
        for lines in (first, second):
            place.put(frame_of(lines))
            found = extract(place.tenant(), Home(folder / "home"))
        file = InFile(folder)
        file.put(frame_of(second))
        expected = quantities_by_place(extract(file.tenant(), Home(folder / "file")))
        kept = quantities_by_place(found)
        assert {key: units for key, units in kept.items() if key in expected} == pytest.approx(expected)


def quantities_by_place(extraction: Extraction) -> dict[tuple[str, ...], float]:
    """The quantity of each product, location and day."""
    table = extraction.daily
    keys = zip(table["product_id"], table["location_id"].fillna("").astype(str), table["date"].astype(str), strict=True)
    return dict(zip(keys, np.asarray(table["quantity"], dtype=float), strict=True))
