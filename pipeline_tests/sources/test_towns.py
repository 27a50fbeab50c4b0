"""The local holidays of known towns: on the right days, each with its source, and others named where there are none."""

from __future__ import annotations

import datetime as dt

import pytest

from contracts import LocalHoliday, Tenant
from pipeline.errors import UnknownCountryError
from pipeline.sources.calendar import build_calendar
from pipeline.sources.holidays import local_holidays, public_holidays
from pipeline.sources.towns import _known, holidays_of_town
from pipeline_tests.sources.builders import days

YEAR = (dt.date(2024, 1, 1), dt.date(2024, 12, 31))
"""Easter Sunday is the 31st of March."""


@pytest.mark.parametrize(
    ("region", "town", "expected"),
    [
        ("MD", "Madrid", ["05-15", "11-09"]),
        ("CT", "Barcelona", ["05-20", "09-24"]),
        ("VC", "Valencia", ["01-22", "04-08"]),
        ("AR", "Zaragoza", ["01-29", "03-05"]),
        ("IB", "Palma", ["01-20"]),
        ("AN", "Málaga", ["08-19", "09-08"]),
        ("AN", "malaga", ["08-19", "09-08"]),
        ("AN", "Granada", ["01-02", "05-30"]),
        ("AS", "Oviedo", ["05-21", "09-21"]),
        ("VC", "Alicante", ["04-11"]),
        ("CN", "SANTA CRUZ DE TENERIFE", ["02-13", "05-03"]),
        ("GA", "Santiago de Compostela", ["05-09"]),
        ("MC", "Cartagena", ["03-22"]),
        ("MC", "Murcia", ["04-02"]),
        (None, "Vigo", ["03-28", "08-16"]),
        ("Madrid", "Madrid", ["05-15", "11-09"]),
    ],
)
def test_the_days_of_a_year(region: str | None, town: str, expected: list[str]) -> None:
    """Each rule gives the day on which its feast was kept in 2024, whatever the spelling of town and region."""
    found = local_holidays(holidays_of_town("ES", region, town), *YEAR)
    assert [f"{day:%m-%d}" for day in found["date"]] == expected


def test_every_rule_can_be_used_and_says_what_it_stands_on() -> None:
    """Regions are those of the public holidays; a town has one or two days, which its region hardly ever has too."""
    twelve_years = dt.date(2015, 1, 1), dt.date(2026, 12, 31)
    for region, rules in _known()["ES"].items():
        whole = set(public_holidays("ES", region, *twelve_years)["date"])
        assert rules["announced"]
        for town, own in rules["towns"].items():
            found = local_holidays(holidays_of_town("ES", region, town), *twelve_years)
            assert len(found) == 12 * len(own)
            assert len(own) <= 2
            assert len(whole & set(found["date"])) <= 2, town
            assert all(rule["source"] for rule in own)


@pytest.mark.parametrize(
    ("country", "region", "said"),
    [
        ("ES", "CT", "known for ES, region CT: Barcelona, Lleida, Tarragona. "),
        ("ES", "ML", "known for ES, region ML: no town. "),
        ("DE", None, "known for DE: no town. "),
        ("ES", None, "known for ES: Albacete, "),
    ],
)
def test_a_town_that_is_not_known_is_an_error_that_helps(country: str, region: str | None, said: str) -> None:
    """It names the towns of the country and region, and how to state the days."""
    with pytest.raises(UnknownCountryError, match=r"town 'Nowhere' are not known.*\[\[local_holidays\]\]") as caught:
        holidays_of_town(country, region, "Nowhere")
    assert said in str(caught.value)


def test_the_calendar_has_the_days_of_the_town_as_they_were_moved() -> None:
    """A town's days are beside the country's; stated ones are added, and moved ones taken away."""
    tenant = Tenant.model_validate(
        {"id": "shop", "name": "S", "country": "ES", "region": "MD", "town": "Madrid", "timezone": "Europe/Madrid",
         "source": {"path": "/x.csv"}, "without_holidays": ["2025-11-09"]}
    )  # fmt: skip
    moved = LocalHoliday(name="La Almudena, moved", date=dt.date(2025, 11, 10))
    tenant = tenant.model_copy(update={"local_holidays": (moved,)})
    sales = days("2024-11-01", [1.0]).astype({"date": "datetime64[ns]"})
    found = build_calendar(tenant, sales, dt.date(2025, 11, 30), 14)
    named = found.dropna(subset="holiday").set_index("date")["holiday"]
    almudena = named[named.str.contains("Almudena")]
    assert [f"{day:%Y-%m-%d}" for day in almudena.index] == ["2024-11-09", "2025-11-10"]
    assert named["2025-05-15"] == "San Isidro"
    assert "2025-05-02" in named.index
