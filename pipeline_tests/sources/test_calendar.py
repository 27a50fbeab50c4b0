"""Holidays, covariates and the calendar that they make."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import ClosingDays, CovariateKind, CovariateSource, LocalHoliday, Tenant
from pipeline.errors import DataError, MissingColumnsError, SourceNotFoundError, UnknownCountryError
from pipeline.sources.calendar import build_calendar, public_holidays, read_covariates
from pipeline.sources.holidays import local_holidays
from pipeline_tests.sources.builders import days, make_tenant, write_rows, write_text

FIRST, LAST = dt.date(2024, 1, 1), dt.date(2024, 12, 31)


def test_holidays_of_a_region() -> None:
    """A region has its country's holidays and its own, by English name, between the given days only."""
    madrid = public_holidays("ES", "MD", FIRST, LAST)
    names = dict(zip(madrid["date"].dt.strftime("%m-%d"), madrid["holiday"], strict=True))
    assert names["01-01"] == "New Year's Day"
    assert names["05-02"] == "Madrid Day"
    assert "05-02" not in set(public_holidays("ES", None, FIRST, LAST)["date"].dt.strftime("%m-%d"))
    assert list(public_holidays("FR", None, dt.date(2024, 12, 25), LAST)["holiday"]) == ["Christmas Day"]
    assert public_holidays("FR", None, dt.date(2024, 2, 1), dt.date(2024, 2, 2)).empty


def test_holidays_span_years() -> None:
    """Every year between the days is covered, in order."""
    found = public_holidays("DE", None, dt.date(2019, 12, 1), dt.date(2022, 1, 31))
    assert list(found["date"].dt.year.unique()) == [2019, 2020, 2021, 2022]
    assert found["date"].is_monotonic_increasing
    assert str(found["date"].dtype) == "datetime64[ns]"


def test_two_holidays_of_one_day_are_two_rows() -> None:
    """Where two holidays fall on one day each name has its row."""
    found = public_holidays("FR", None, dt.date(2008, 5, 1), dt.date(2008, 5, 1))
    assert sorted(found["holiday"]) == ["Ascension Day", "Labor Day"]


def test_names_do_not_follow_the_locale() -> None:
    """The machine's language does not change the names, or models would break when they move."""
    code = (
        "import datetime as d; from pipeline.sources.holidays import public_holidays as p;"
        "print(*p('FR', None, d.date(2024, 12, 25), d.date(2024, 12, 25))['holiday'])"
    )
    environment = {**os.environ, "LANG": "fr_FR.UTF-8", "LANGUAGE": "fr"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Christmas Day"


@pytest.mark.parametrize(
    ("country", "region", "said"),
    [
        ("XX", None, r"country 'XX'; near: .*\(.*ISO 3166"),
        ("Spain", None, r"country 'Spain'; near: ES \(Spain\)"),
        ("FX", None, r"near: .*FR \(France\)"),
        ("ES", "MDD", r"region 'MDD' of ES; near: MD"),
        ("FR", "nowhere", r"region 'nowhere' of FR.*known: "),
    ],
)
def test_unknown_places_list_near_ones(country: str, region: str | None, said: str) -> None:
    """An unknown country or region is an error that lists what may have been meant."""
    with pytest.raises(UnknownCountryError, match=said):
        public_holidays(country, region, FIRST, LAST)


def covariates(path: Path, text: str, products: tuple[str, ...] = ("bread",), **source: object) -> pd.DataFrame:
    """Read covariates from a text."""
    config = CovariateSource.model_validate({"path": str(write_text(path / "covariates.csv", text)), **source})
    return read_covariates(config, products)


def test_wide_covariates(tmp_path: Path) -> None:
    """A column is a covariate; yes and no become 1 and 0, blanks stay missing, the last of two rows stands."""
    found = covariates(tmp_path, "date;rain;open\n2024-01-02;1,5;true\n2024-01-01;;FALSE\n2024-01-02;2,5;\n")
    assert list(found.columns) == ["date", "product_id", "rain", "open"]
    assert list(found["date"].dt.day) == [1, 2]
    assert found["product_id"].tolist() == [None, None]
    np.testing.assert_array_equal(found["rain"], [np.nan, 2.5])
    np.testing.assert_array_equal(found["open"], [0.0, np.nan])


def test_covariates_by_product(tmp_path: Path) -> None:
    """Rows of the tenant's products are kept, those of others left out, blank products shared by all."""
    text = "Tag,article,promo\n2024-01-01,bread,1\n2024-01-01,cake,1\n2024-01-01,,0\n2024-01-01,CafÃ©,2\n"
    found = covariates(tmp_path, text, ("bread", "Café"), date="Tag", product_id="article")
    assert found["product_id"].tolist() == [None, "Café", "bread"]
    assert dict(zip(found["product_id"], found["promo"], strict=True)) == {None: 0.0, "bread": 1.0, "Café": 2.0}


def test_long_covariates(tmp_path: Path) -> None:
    """Rows of name and value become columns, by date and by product."""
    text = (
        "date,product_id,covariate,value\n2024-01-01,,rain,1\n2024-01-01,,heat,5\n2024-01-01,bread,promo,1\n"
        "2024-01-01,bread,promo,0\n"
    )
    found = covariates(tmp_path, text)
    assert list(found.columns) == ["date", "product_id", "heat", "promo", "rain"]
    np.testing.assert_array_equal(found[["heat", "promo", "rain"]], [[5.0, np.nan, 1.0], [np.nan, 0.0, np.nan]])


def test_covariates_of_several_files(tmp_path: Path) -> None:
    """A folder of files is read as one, the later name last."""
    for name, rain in (("a", 1), ("b", 2)):
        write_rows(tmp_path / f"{name}.parquet", pd.DataFrame({"date": [dt.date(2024, 1, 1)], "rain": [rain]}))
    assert list(read_covariates(CovariateSource(path=str(tmp_path)), [])["rain"]) == [2.0]


@pytest.mark.parametrize(
    ("text", "source", "error", "said"),
    [
        ("date,sky\n2024-01-01,1\n2024-01-02,grey\n", {}, DataError, "row 2: 'grey' in column 'sky' is no number"),
        ("date,rain\nsoon,1\n", {}, DataError, "row 1: 'soon' in column 'date' is no date"),
        ("day,rain\n2024-01-01,1\n", {}, MissingColumnsError, "no column 'date'; found 'day', 'rain'"),
        (
            "date,rain\n2024-01-01,1\n",
            {"kinds": {"heat": CovariateKind.FORECAST}},
            MissingColumnsError,
            "no column 'heat'.*found 'rain'",
        ),
        ("date,closed\n2024-01-01,1\n", {}, DataError, "'closed' is a column of the calendar itself"),
    ],
)
def test_unusable_covariates(
    tmp_path: Path, text: str, source: dict[str, object], error: type[Exception], said: str
) -> None:
    """Text, bad dates and missing or reserved columns are errors with file, column and value."""
    with pytest.raises(error, match=rf"(?s)covariates.*{said}"):
        covariates(tmp_path, text, **source)


def test_absent_covariates(tmp_path: Path) -> None:
    """Covariates that are not there are an error."""
    with pytest.raises(SourceNotFoundError, match=r"none\.csv"):
        read_covariates(CovariateSource(path=str(tmp_path / "none.csv")), [])


ISIDRO = LocalHoliday(name="San Isidro", yearly="05-15")
WHIT = LocalHoliday(name="Whit Monday", easter=50)
MOVED = LocalHoliday(name="Feria", date=dt.date(2026, 4, 22))


def named(holidays: pd.DataFrame) -> dict[str, str]:
    """Names by day."""
    return dict(zip(holidays["date"].dt.strftime("%Y-%m-%d"), holidays["holiday"], strict=True))


def test_holidays_of_a_town() -> None:
    """A yearly one falls on its day each year, one by Easter moves with it, and one with a date comes once."""
    found = local_holidays((ISIDRO, WHIT, MOVED), dt.date(2024, 1, 1), dt.date(2026, 5, 20))
    assert named(found) == {
        "2024-05-15": "San Isidro",
        "2024-05-20": "Whit Monday",
        "2025-05-15": "San Isidro",
        "2025-06-09": "Whit Monday",
        "2026-04-22": "Feria",
        "2026-05-15": "San Isidro",
    }
    assert found["date"].is_monotonic_increasing
    assert str(found["date"].dtype) == "datetime64[ns]"


def test_a_leap_day_is_a_holiday_in_leap_years() -> None:
    """The 29th of February is skipped where there is none."""
    leap = LocalHoliday(name="Leap Day", yearly="02-29")
    assert list(named(local_holidays((leap,), dt.date(2023, 1, 1), dt.date(2028, 12, 31)))) == [
        "2024-02-29",
        "2028-02-29",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "it has none"),
        ({"yearly": "05-15", "easter": 50}, "it has yearly, easter"),
        ({"yearly": "02-30"}, "'02-30' is no day of any year"),
        ({"yearly": "5-15"}, "match pattern"),
        ({"easter": 101}, "less than or equal to 100"),
        ({"date": "2026-02-29"}, "valid date"),
    ],
)
def test_a_rule_that_names_no_day_is_refused(given: dict[str, object], said: str) -> None:
    """A local holiday has one rule, and the rule leads to a day."""
    with pytest.raises(ValidationError, match=said):
        LocalHoliday.model_validate({"name": "Fiesta", **given})


def test_the_calendar_of_a_town_in_spain() -> None:
    """National, regional and local days stand in one calendar; a shop that keeps public holidays closes on all."""
    almudena = LocalHoliday(name="Almudena", yearly="11-09")
    labor = LocalHoliday(name="San José Obrero", yearly="05-01")
    tenant = shop(ClosingDays(public_holidays=True)).model_copy(update={"local_holidays": (ISIDRO, almudena, labor)})
    found = build_calendar(tenant, daily("2024-05-01"), dt.date(2024, 11, 10), 2).set_index("date")
    assert found.loc["2024-05-01", "holiday"] == "Labor Day; San José Obrero"
    assert found.loc["2024-05-02", "holiday"] == "Madrid Day"
    assert found.loc["2024-05-15", "holiday"] == "San Isidro"
    assert found.loc["2024-11-09", "holiday"] == "Almudena"
    assert found.loc[found["holiday"].notna(), "closed"].all()
    assert found["closed"].sum() == found["holiday"].notna().sum()


@given(
    rules=st.lists(
        st.integers(-100, 100).map(lambda days: LocalHoliday(name="Fiesta", easter=days))
        | st.dates(dt.date(2000, 1, 1), dt.date(2040, 1, 1)).map(lambda day: LocalHoliday(name="Fiesta", date=day)),
        max_size=3,
    ),
    first=st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1)),
    length=st.integers(0, 800),
)
def test_a_longer_span_holds_the_days_of_a_shorter_one(rules: list[LocalHoliday], first: dt.date, length: int) -> None:
    """What falls between two days does not depend on how far one looks."""
    last = first + dt.timedelta(days=length)
    within = named(local_holidays(rules, first, last))
    wide = named(local_holidays(rules, first - dt.timedelta(days=500), last + dt.timedelta(days=500)))
    assert within == {day: name for day, name in wide.items() if str(first) <= day <= str(last)}


def shop(closing: ClosingDays, path: str | None = None) -> Tenant:
    """Return a tenant in Madrid with closing days and perhaps covariates."""
    tenant = make_tenant("sales.csv")
    more = {"region": "MD", "closing": closing, "covariates": CovariateSource(path=path) if path else None}
    return tenant.model_copy(update=more)


def daily(first: str, products: tuple[str, ...] = ("bread",)) -> pd.DataFrame:
    """Return a daily table."""
    rows = pd.concat([days(first, [1, 1], product) for product in products])
    return rows.assign(date=pd.to_datetime(rows["date"]))


def test_the_calendar_covers_history_and_horizon() -> None:
    """There is a row a date from the first sale through the horizon, holidays named, closing days marked."""
    closing = ClosingDays(weekdays=("mon",), dates=(dt.date(2024, 5, 4),), public_holidays=True)
    found = build_calendar(shop(closing), daily("2024-04-28"), dt.date(2024, 4, 30), 5)
    assert list(found.columns) == ["date", "product_id", "holiday", "closed"]
    assert list(found["date"]) == list(pd.date_range("2024-04-28", "2024-05-05"))
    assert found["holiday"].tolist() == [None, None, None, "Labor Day", "Madrid Day", None, None, None]
    assert found["closed"].tolist() == [False, True, False, True, True, False, True, False]
    assert found["closed"].dtype == bool
    plain = build_calendar(shop(ClosingDays()), daily("2024-04-28"), dt.date(2024, 4, 30), 5)
    assert not plain["closed"].any()


def test_the_calendar_with_covariates(tmp_path: Path) -> None:
    """Shared values stand in the shared rows, values by product in rows of their own; days outside are left out."""
    text = "date,product_id,promo\n2024-04-29,,0.5\n2024-05-01,bread,1\n2024-05-01,cake,1\n2024-06-01,bread,1\n"
    path = str(write_text(tmp_path / "c.csv", text))
    found = build_calendar(shop(ClosingDays(weekdays=("wed",)), path), daily("2024-04-28"), dt.date(2024, 4, 30), 2)
    assert list(found.columns) == ["date", "product_id", "holiday", "closed", "promo"]
    assert found["product_id"].tolist() == [None] * 5 + ["bread"]
    np.testing.assert_array_equal(found["promo"], [np.nan, 0.5, np.nan, np.nan, np.nan, 1.0])
    own = found.iloc[-1]
    assert (own["date"], own["holiday"], own["closed"]) == (pd.Timestamp("2024-05-01"), "Labor Day", True)
