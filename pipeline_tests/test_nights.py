"""A tenant's nights: its quiet hours, through every time zone and change of clocks."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import FileSource, QuietHours, Tenant
from pipeline.nights import last_night, night, night_now

ZONES = (
    "Europe/Madrid",
    "Atlantic/Canary",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Australia/Lord_Howe",
)
MOMENTS = st.datetimes(dt.datetime(2023, 1, 1), dt.datetime(2027, 12, 31), timezones=st.just(dt.UTC))
HOURS = st.builds(QuietHours, start=st.times(timezones=st.none()), end=st.times(timezones=st.none()))


def tenant(zone: str, hours: QuietHours) -> Tenant:
    """A tenant of a time zone."""
    source = FileSource(path="sales.csv")
    return Tenant(id="t", name="T", country="ES", timezone=zone, source=source, quiet_hours=hours)


def hours(start: str, end: str) -> QuietHours:
    """Quiet hours in words."""
    return QuietHours(start=dt.time.fromisoformat(start), end=dt.time.fromisoformat(end))


@given(st.sampled_from(ZONES), HOURS, MOMENTS)
def test_every_night_is_found_from_within(zone: str, quiet: QuietHours, now: dt.datetime) -> None:
    """A night lasts an hour at least and 25 at most, and the first moment and the one before the last are in one."""
    whose = tenant(zone, quiet)
    evening = now.astimezone(ZoneInfo(zone)).date()
    start, end = night(whose, evening)
    assert dt.timedelta(hours=1) <= end - start <= dt.timedelta(hours=25)
    assert night_now(whose, start) in (evening, evening - dt.timedelta(days=1))
    assert night_now(whose, end - dt.timedelta(microseconds=1)) in (evening, evening - dt.timedelta(days=1))


@given(st.sampled_from(ZONES), HOURS, MOMENTS)
def test_the_last_night_is_over(zone: str, quiet: QuietHours, now: dt.datetime) -> None:
    """The night that ended last has ended, and the one after it has not."""
    whose = tenant(zone, quiet)
    evening = last_night(whose, now)
    assert night(whose, evening)[1] <= now < night(whose, evening + dt.timedelta(days=1))[1]


@pytest.mark.parametrize(
    ("quiet", "now", "expected"),
    [
        (hours("01:00", "05:00"), "2026-11-23T00:30", "2026-11-23"),
        (hours("01:00", "05:00"), "2026-11-22T23:30", None),
        (hours("01:00", "05:00"), "2026-11-23T04:00", None),
        (hours("22:00", "05:00"), "2026-11-23T02:00", "2026-11-22"),
        (hours("22:00", "05:00"), "2026-11-22T21:30", "2026-11-22"),
        (hours("00:00", "00:00"), "2026-11-22T12:00", "2026-11-22"),
        (hours("02:00", "03:00"), "2026-03-29T01:30", "2026-03-29"),
    ],
    ids=["within", "before", "over", "after midnight", "before midnight", "all day", "clocks put forward"],
)
def test_nights_of_madrid(quiet: QuietHours, now: str, expected: str | None) -> None:
    """A night is named by the day on which it begins; an hour that the clocks leave out is an hour later."""
    found = night_now(tenant("Europe/Madrid", quiet), dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC))
    assert (None if found is None else str(found)) == expected
