"""Public holidays by country, region and town."""

from __future__ import annotations

import calendar
import datetime as dt
import difflib
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from contracts import LocalHoliday
from pipeline.errors import UnknownCountryError
from pipeline.tenants import country_names

_SHOWN = 20


def public_holidays(country: str, region: str | None, first: dt.date, last: dt.date) -> pd.DataFrame:
    """Return the public holidays from `first` to `last`: columns date (datetime64[ns]) and holiday (name).

    One row a name, in order; English names where they are known.

    Raises:
        UnknownCountryError: no holidays are known for the country or region; lists near matches.
    """
    known = _country(country, region, range(first.year, last.year + 1))
    rows = sorted({(day, name) for day in known for name in known.get_list(day) if first <= day <= last})
    return _table(rows)


def local_holidays(of_town: Iterable[LocalHoliday], first: dt.date, last: dt.date) -> pd.DataFrame:
    """Return a town's own holidays from `first` to `last`, in the columns of `public_holidays`.

    The 29th of February is a holiday in leap years alone.
    """
    rows = {(day, one.name) for one in of_town for day in _days_of(one, first, last) if first <= day <= last}
    return _table(sorted(rows))


def _days_of(holiday: LocalHoliday, first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """The days of a holiday in the years of a span; around Easter they may lie in the year before or after."""
    from dateutil.easter import easter

    if holiday.date is not None:
        yield holiday.date
        return
    for year in range(max(first.year - 1, dt.MINYEAR), min(last.year + 1, dt.MAXYEAR) + 1):
        if holiday.easter is not None:
            yield easter(year) + dt.timedelta(days=holiday.easter)
        elif holiday.yearly != "02-29" or calendar.isleap(year):
            yield dt.date.fromisoformat(f"{year:04}-{holiday.yearly}")


def _table(rows: Sequence[tuple[dt.date, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "date": pd.to_datetime([day for day, _ in rows]).astype("datetime64[ns]"),
            "holiday": pd.Series([name for _, name in rows], dtype=object),
        }
    )


def _country(country: str, region: str | None, years: Iterable[int]) -> Any:
    import holidays

    regions = holidays.list_supported_countries()
    if country not in regions:
        near = _near_countries(country, regions)
        raise UnknownCountryError(f"no public holidays are known for country {country!r}; near: {near}")
    plain = holidays.country_holidays(country)
    if region is not None and region not in _spellings(plain):
        near = _near_regions(region, plain.subdivisions)
        raise UnknownCountryError(f"no public holidays are known for region {region!r} of {country}{near}")
    return holidays.country_holidays(country, subdiv=region, years=years, language=_language(plain))


def _spellings(country: Any) -> set[str]:
    aliases = {alias for names in country.get_subdivision_aliases().values() for alias in names}
    return {*country.subdivisions, *aliases}


def _language(country: Any) -> str | None:
    """A language that is named; without one the names would follow the machine's locale."""
    english = sorted(language for language in country.supported_languages if language.startswith("en"))
    preferred: str | None = "en_US" if "en_US" in english else next(iter(english), country.default_language)
    return preferred


def _near_countries(country: str, known: Container[str]) -> str:
    names = {code: name for code, name in sorted(country_names().items()) if code in known}
    by_name = [code for code, name in names.items() if country.lower() in name.lower() and len(country) > 2]
    close = by_name or difflib.get_close_matches(country.upper(), names, n=len(names), cutoff=0.5) or list(names)
    close.sort(key=lambda code: code[:1] != country[:1].upper())  # A slip is likelier in the second letter.
    shown = ", ".join(f"{code} ({names[code]})" for code in close[:_SHOWN])
    return f"{shown}. Use an ISO 3166 code of two capitals"


def _near_regions(region: str, allowed: Sequence[str]) -> str:
    if not allowed:
        return ": the country has no regions of its own, leave it unset"
    close = difflib.get_close_matches(region.upper(), allowed, n=5, cutoff=0.4)
    return f"; {'near: ' + ', '.join(close) + '; ' if close else ''}known: {', '.join(allowed[:60])}"
