"""The last day of the data: whole, or seen only in part."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from pipeline.home import Home
from pipeline.sources.extract import load_report
from pipeline_tests.sources.builders import age, days, extract, make_tenant, write_rows

LAST = dt.date(2024, 6, 30)


def tickets(last_hour: int, first: str = "2024-06-01", last: str = "2024-06-30") -> pd.DataFrame:
    """Return tickets from 8 to 18 o'clock each day, on the last day until an hour."""
    rows = []
    for day in pd.date_range(first, last):
        hours = range(8, (last_hour if day == pd.Timestamp(last) else 18) + 1)
        rows += [{"date": f"{day:%Y-%m-%d} {hour:02}:30", "product_id": "bread", "quantity": 1} for hour in hours]
    return pd.DataFrame(rows)


def at(text: str) -> dt.datetime:
    """Return a moment in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize("rows", [days("2024-06-01", [1] * 30), tickets(18)], ids=["daily", "tickets"])
def test_today_is_partial(folder: Path, home: Home, rows: pd.DataFrame) -> None:
    """The tenant's today is partial in daily rows and in tickets, the day before is not."""
    tenant = make_tenant(write_rows(folder / "a.csv", rows))
    assert extract(tenant, home, at("2024-06-30 20:00")).report.partial_last_day == LAST
    fresh = Home(home.root / "fresh")
    assert extract(tenant, fresh, at("2024-07-01 06:00")).report.partial_last_day is None


def test_today_is_the_tenants(folder: Path, home: Home) -> None:
    """Which day is today depends on the tenant's zone."""
    path = write_rows(folder / "a.csv", days("2024-06-01", [1] * 30))
    night = at("2024-06-30 23:00")
    assert extract(make_tenant(path), home, night).report.partial_last_day is None
    west = make_tenant(path, timezone="America/New_York")
    assert extract(west, Home(home.root / "west"), night).report.partial_last_day == LAST


def test_daily_rows_read_on_their_day_stay_partial(folder: Path, home: Home) -> None:
    """An export made during a day does not become whole by waiting, only by a new export."""
    path = write_rows(folder / "a.csv", days("2024-06-01", [1] * 30))
    tenant = make_tenant(path)
    extract(tenant, home, at("2024-06-30 10:00"))
    age(path, 5)
    assert extract(tenant, home, at("2024-07-01 06:00")).report.partial_last_day == LAST
    write_rows(path, days("2024-06-01", [1] * 29 + [7]), age_minutes=3)
    assert extract(tenant, home, at("2024-07-01 07:00")).report.partial_last_day is None


def test_reading_old_content_again_makes_no_day_whole(folder: Path, home: Home) -> None:
    """An export that is taken anew because settings changed is as old as it was."""
    path = write_rows(folder / "a.csv", days("2024-06-01", [1] * 30))
    extract(make_tenant(path), home, at("2024-06-30 10:00"))
    found = extract(make_tenant(path, duplicates="keep"), home, at("2024-07-01 06:00"))
    assert found.report.files_read == 1
    assert found.report.partial_last_day == LAST


@pytest.mark.parametrize(("last_hour", "expected"), [(18, None), (17, LAST), (12, LAST)])
def test_tickets_tell_whether_the_day_was_over(
    folder: Path, home: Home, last_hour: int, expected: dt.date | None
) -> None:
    """Tickets that run to closing time make a day whole the next morning; tickets that stop at noon do not."""
    tenant = make_tenant(write_rows(folder / "a.csv", tickets(last_hour)))
    assert extract(tenant, home, at("2024-06-30 17:00")).report.partial_last_day == LAST
    assert extract(tenant, home, at("2024-07-01 06:00")).report.partial_last_day == expected
    assert load_report(home, "shop").partial_last_day == expected


@pytest.mark.parametrize(("last_hour", "expected"), [(10, LAST), (17, None)])
def test_an_old_export_that_stopped_early(folder: Path, home: Home, last_hour: int, expected: dt.date | None) -> None:
    """Long after, a last day that stopped hours before any other is partial; a slightly early one is not."""
    tenant = make_tenant(write_rows(folder / "a.csv", tickets(last_hour)))
    assert extract(tenant, home, at("2024-12-01 06:00")).report.partial_last_day == expected


def test_closing_times_of_daily_files_are_put_together(folder: Path, home: Home) -> None:
    """Where each file holds one day of tickets, the days before still tell when the shop closes."""
    rows = tickets(10)
    for day, lines in rows.groupby(rows["date"].str[:10]):
        write_rows(folder / f"{day}.csv", lines)
    assert extract(make_tenant(folder), home, at("2024-12-01 06:00")).report.partial_last_day == LAST


def test_few_days_are_no_evidence(folder: Path, home: Home) -> None:
    """With less than two weeks of tickets an early end proves nothing."""
    tenant = make_tenant(write_rows(folder / "a.csv", tickets(10, first="2024-06-20")))
    assert extract(tenant, home, at("2024-12-01 06:00")).report.partial_last_day is None
