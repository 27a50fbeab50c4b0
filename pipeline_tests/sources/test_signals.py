"""Weather and traffic from a real server: asked for once, kept as issued, and in nobody's way when they fail."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts import CovariateSource, SignalSource, Tenant
from pipeline.home import Home
from pipeline.resilience import Services
from pipeline.sources.calendar import build_calendar
from pipeline.sources.signal_store import kept
from pipeline.sources.signals import Signals, load_degraded, with_signals
from pipeline_tests.services.server import Request, Server, server
from pipeline_tests.sources.builders import SETTINGS, days

ORIGIN = dt.date(2024, 6, 28)
NOW = dt.datetime(2024, 6, 29, 3, 0, tzinfo=dt.UTC)
SALES = days("2024-06-01", [5.0] * 28).assign(date=lambda rows: pd.to_datetime(rows["date"]))
HORIZON = 7
QUICK = SETTINGS.model_copy(update={"retry_external_min_seconds": 0.001, "retry_external_max_seconds": 0.002})
NAMES = {"weather": "weather (rain, warmth)", "traffic": "traffic (passers)"}


@dataclass
class Station:
    """A service of weather and traffic by day; tests change what it says. Warmth is the day, passers a hundred more."""

    issued_at: dt.datetime = NOW
    warmer: float = 0.0
    instead: Any = None
    asked: list[Request] = field(default_factory=list)
    url: str = ""
    place: Server | None = None

    def answer(self, request: Request) -> object:
        """As the contract says, for the days that are asked for."""
        self.asked.append(request)
        if self.instead is not None:
            return self.instead
        span = pd.date_range(request.query["from"], request.query["to"])
        rows = [
            {"date": str(day.date()), "t": day.day + self.warmer, "mm": None if day.day % 2 else 1, "n": 100 + day.day}
            for day in span
        ]
        return {"issued_at": self.issued_at.isoformat(), "rows": rows}

    def signal(self, kind: str, **more: object) -> SignalSource:
        """How a tenant's file names it."""
        columns = {"warmth": "t", "rain": "mm"} if kind == "weather" else {"passers": "n"}
        return SignalSource.model_validate({"kind": kind, "url": f"{self.url}/{kind}", "columns": columns, **more})

    def tenant(self, *kinds: str, **more: object) -> Tenant:
        """A tenant that uses it."""
        made = Tenant.model_validate(
            {"id": "shop", "name": "S", "country": "ES", "timezone": "Europe/Madrid", "source": {"path": "x.csv"}}
        )
        return made.model_copy(update={"signals": tuple(self.signal(kind, **more) for kind in kinds)})


@pytest.fixture
def station() -> Iterator[Station]:
    """A station that listens."""
    made = Station()
    with server({"/weather": made.answer, "/traffic": made.answer}) as place:
        made.url, made.place = place.url, place
        yield made


def built(
    tenant: Tenant, home: Home, now: dt.datetime = NOW, services: Services | None = None, **settings: object
) -> tuple[pd.DataFrame, Signals]:
    """The calendar of a tenant with its signals, its dates as index."""
    chosen = QUICK.model_copy(update=settings)
    plain = build_calendar(tenant, SALES, ORIGIN, HORIZON)
    frame, told = with_signals(plain, tenant, home, chosen, services or Services(chosen), ORIGIN, now)
    assert list(frame.columns[: len(plain.columns)]) == list(plain.columns)
    assert load_degraded(home, tenant) == told.degraded
    return frame.set_index("date"), told


def test_weather_reaches_ahead_and_traffic_does_not(station: Station, home: Home) -> None:
    """Forecast days have weather; a day that is not over has no traffic; what the service lacks stays empty."""
    frame, told = built(station.tenant("weather", "traffic"), home)
    assert list(frame["warmth"]) == [float(day.day) for day in frame.index]
    assert frame["rain"].isna().tolist() == [day.day % 2 == 1 for day in frame.index]
    assert frame["passers"].notna().tolist() == [day.date() <= ORIGIN for day in frame.index]
    assert told.degraded == {}
    assert told.issued == dict.fromkeys(NAMES.values(), NOW.isoformat())
    assert [request.query for request in station.asked] == [{"from": "2024-06-01", "to": "2024-07-05"}] * 2


def test_two_runs_on_one_day_ask_once(station: Station, home: Home) -> None:
    """What is fresh is not asked for again; the next night asks for the last fortnight alone."""
    tenant = station.tenant("weather")
    first, _ = built(tenant, home)
    again, _ = built(tenant, home, NOW + dt.timedelta(hours=19))
    assert first.equals(again)
    assert len(station.asked) == 1
    built(tenant, home, NOW + dt.timedelta(hours=24))
    assert station.asked[1].query == {"from": "2024-06-14", "to": "2024-07-05"}


def test_place_and_token_are_sent(station: Station, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters stand in the query, the token in its header; neither a lacking variable nor its value is kept."""
    tenant = station.tenant("weather", token="${PIPELINE_SOURCE_SKY}", parameters={"place": "Soria"})
    _, told = built(tenant, home)
    assert "PIPELINE_SOURCE_SKY" in told.degraded[NAMES["weather"]]
    assert station.asked == []
    monkeypatch.setenv("PIPELINE_SOURCE_SKY", "s3cret")
    assert built(tenant, home)[1].degraded == {}
    (asked,) = station.asked
    assert (asked.query["place"], asked.headers["authorization"]) == ("Soria", "Bearer s3cret")
    written = b"".join(path.read_bytes() for path in home.tenant("shop").rglob("*") if path.is_file())
    assert b"s3cret" not in written


def test_every_forecast_is_kept_as_issued(station: Station, home: Home) -> None:
    """Of a day all that was ever foreseen can be read again with its moment; the calendar has the newest."""
    tenant = station.tenant("weather")
    built(tenant, home)
    later = NOW + dt.timedelta(days=1)
    station.issued_at, station.warmer = later, 0.5
    frame, _ = built(tenant, home, later)
    log = kept(home, "shop", tenant.signals[0]).read()
    seen = log[(log["field"] == "t") & (log["date"] == "2024-06-29")]
    assert list(zip(seen["issued_at"], seen["value"], seen["observed"], strict=True)) == [
        (pd.Timestamp(NOW), 29.0, False),
        (pd.Timestamp(later), 29.5, True),
    ]
    assert frame.loc["2024-06-29", "warmth"] == 29.5
    assert frame.loc["2024-06-05", "warmth"] == 5.0  # Before the fortnight that was asked for again.
    known_then = log[(log["issued_at"] <= NOW) & (log["date"] == "2024-07-02") & (log["field"] == "t")]
    assert list(known_then["value"]) == [2.0]


FAULTS = [
    ("hang", "was asked"),
    ("slow", "was asked"),
    ("cut", "was asked"),
    ("drop", "was asked"),
    ("noise", "was asked"),
    ("429", "HTTP 429"),
    ("500", "HTTP 500"),
    ("404", "HTTP 404"),
    ("garbage", "what is no JSON"),
]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
@pytest.mark.parametrize("before", [True, False], ids=["kept", "nothing kept"])
def test_a_service_that_fails_stops_nobody(station: Station, home: Home, fault: str, said: str, before: bool) -> None:
    """The calendar comes with the values that were kept, or with none, and says what is wrong."""
    tenant = station.tenant("weather")
    good = built(tenant, home)[0] if before else None
    assert station.place is not None
    station.place.misbehave(fault, seconds=2)
    begun = time.monotonic()
    frame, told = built(tenant, home, NOW + dt.timedelta(hours=21), signal_seconds=0.3)
    assert time.monotonic() - begun < 3
    assert said in told.degraded[NAMES["weather"]] or "left alone" in told.degraded[NAMES["weather"]]
    if good is None:
        assert frame[["warmth", "rain"]].isna().all(axis=None)
        assert "there is no value" in told.degraded[NAMES["weather"]]
    else:
        assert frame.equals(good)
        assert "the values asked for at 2024-06-29 03:00 UTC stand" in told.degraded[NAMES["weather"]]
    station.place.misbehave(None)
    assert built(tenant, home, NOW + dt.timedelta(hours=22))[1].degraded == {}


ROW = {"date": "2024-06-29", "t": 1.0, "mm": 2}
ISSUED = NOW.isoformat()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], "the whole: Input should be"),
        ({"rows": [ROW]}, "issued_at: Field required"),
        ({"issued_at": "2024-06-29T03:00:00", "rows": [ROW]}, "issued_at: Input should have timezone"),
        ({"issued_at": "2099-01-01T00:00:00Z", "rows": [ROW]}, "which is yet to come"),
        ({"issued_at": ISSUED, "rows": []}, "no row has the field mm, t; found no row at all"),
        ({"issued_at": ISSUED, "rows": [{"date": "2024-06-29", "t": 1}]}, "no row has the field mm; found date, t"),
        ({"issued_at": ISSUED, "rows": [ROW, ROW]}, "two rows are of 2024-06-29"),
        ({"issued_at": ISSUED, "rows": [{**ROW, "date": "29.6."}]}, "row 1: '29.6.' is no date"),
        ({"issued_at": ISSUED, "rows": [{**ROW, "t": "hot"}]}, "row 1: 'hot' in t is no number"),
        ({"issued_at": ISSUED, "rows": [{**ROW, "t": True}]}, "row 1: 'True' in t is no number"),
        ({"issued_at": ISSUED, "rows": [{**ROW, "t": 10**400}]}, "in t is no number"),
        ({"issued_at": ISSUED, "rows": [{**ROW, "date": "0001-01-01"}]}, "row 1: '0001-01-01' is no date"),
        ({"issued_at": ISSUED, "rows": [{**ROW, "date": "9999-12-31"}]}, "row 1: '9999-12-31' is no date"),
        ({"issued_at": "0001-01-01T00:00:00+10:00", "rows": [ROW]}, "OverflowError"),
        ({"issued_at": ISSUED, "rows": [{**ROW, "t": float("nan")}]}, "what is no JSON"),
        ({"issued_at": ISSUED, "rows": [{**ROW, "date": "1999-01-01"}]}, "it told of no day from 2024-06-01"),
    ],
)
def test_an_answer_that_is_not_as_agreed_is_not_taken(station: Station, home: Home, answer: Any, said: str) -> None:
    """Nothing of it gets into the calendar, and the reason names the place and the value."""
    station.instead = answer
    frame, told = built(station.tenant("weather"), home)
    assert said in told.degraded[NAMES["weather"]]
    assert frame[["warmth", "rain"]].isna().all(axis=None)


def test_what_is_late_is_used_and_said(station: Station, home: Home) -> None:
    """A service that repeats its forecast of the day before yesterday is late; so is one that tells no future."""
    station.issued_at = NOW - dt.timedelta(hours=48)
    frame, told = built(station.tenant("weather"), home)
    assert told.degraded[NAMES["weather"]] == "late: it was issued at 2024-06-27 03:00 UTC, 48 h ago"
    assert frame["warmth"].notna().all()
    station.instead = {"issued_at": ISSUED, "rows": [{**ROW, "date": "2024-06-28"}]}
    _, told = built(station.tenant("weather"), Home(home.root / "other"))
    assert told.degraded[NAMES["weather"]] == "it tells of no day after 2024-06-28"


def test_a_dead_service_is_left_alone_by_all_tenants(station: Station, home: Home) -> None:
    """After three failures the second tenant's calendar is built without a single request, and says why."""
    assert station.place is not None
    station.place.misbehave("503")
    services = Services(QUICK)
    first = station.tenant("weather")
    built(first, home, services=services)
    assert len(station.place.requests) == 3
    _, told = built(first.model_copy(update={"id": "other"}), home, services=services)
    assert len(station.place.requests) == 3
    assert "the service weather:127.0.0.1" in told.degraded[NAMES["weather"]]
    assert "is left alone since" in told.degraded[NAMES["weather"]]


def test_tenants_keep_their_own(station: Station, home: Home) -> None:
    """What one tenant was told is not another's, and another place is asked for by itself."""
    one, other = station.tenant("weather"), station.tenant("weather", parameters={"place": "Soria"})
    built(one, home)
    built(one.model_copy(update={"id": "other"}), home)
    built(other, home)
    assert len(station.asked) == 3
    assert len({path.parent for path in home.root.rglob("*.parquet")}) == 3


def test_a_torn_file_is_asked_for_again(station: Station, home: Home) -> None:
    """A kept answer that cannot be read counts for nothing and stops nobody."""
    tenant = station.tenant("weather")
    good, _ = built(tenant, home)
    (path,) = home.signals("shop").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:100])
    again, told = built(tenant, home, NOW + dt.timedelta(hours=1))
    assert again.equals(good)
    assert told.degraded == {}
    assert len(station.asked) == 2


@pytest.mark.parametrize(
    "content",
    [b'{"weather', b"[1]", b'{"weather": 1}', b"\xff\xfe", b"", b"[" * 100_000, None],
    ids=lambda value: repr(value)[:20],
)
def test_what_was_wrong_can_be_unknown(station: Station, home: Home, content: bytes | None) -> None:
    """A torn or odd account of what was wrong, or a folder in its place, is one entry that says so, and no error."""
    tenant = station.tenant("weather")
    assert load_degraded(home, tenant) == {}
    path = home.signals(tenant.id) / "degraded.json"
    path.parent.mkdir(parents=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    (said,) = load_degraded(home, tenant).values()
    assert "what was wrong with them is not known" in said


def test_a_column_of_the_covariates_file_stands(station: Station, home: Home) -> None:
    """A signal never takes the place of what the tenant's own file says; products' own rows have no signals."""
    path = home.root / "own.csv"
    path.parent.mkdir(parents=True)
    path.write_text("date,product_id,warmth,offer\n2024-06-03,,-5,0\n2024-06-03,bread,-6,1\n", encoding="utf-8")
    tenant = station.tenant("weather").model_copy(update={"covariates": CovariateSource(path=str(path))})
    frame, told = built(tenant, home)
    assert told.degraded[NAMES["weather"]] == "the covariates file has columns of the same name: warmth"
    shared = frame[frame["product_id"].isna()]
    assert (shared.loc["2024-06-03", "warmth"], shared.loc["2024-06-04", "rain"]) == (-5, 1)
    assert np.isnan(frame.loc[frame["product_id"] == "bread", "rain"]).all()


def test_columns_of_signals_are_told_apart() -> None:
    """A tenant whose signals name a column twice, or one of the calendar itself, is refused."""
    base = {"id": "shop", "name": "S", "country": "ES", "timezone": "Europe/Madrid", "source": {"path": "x.csv"}}
    for columns in ({"warmth": "n"}, {"holiday": "n"}):
        signals = [
            {"kind": "weather", "url": "https://sky.example/days", "columns": {"warmth": "t"}},
            {"kind": "traffic", "url": "https://road.example/days", "columns": columns},
        ]
        with pytest.raises(
            ValidationError, match=f"a column twice, or one of the calendar itself: {next(iter(columns))}"
        ):
            Tenant.model_validate({**base, "signals": signals})
