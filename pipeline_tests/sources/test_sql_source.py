"""Sales in a database: values keep their meaning, nothing is written, time is bounded, and errors tell no secret."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from contracts import Tenant
from pipeline.errors import ConfigurationError, DataError, MissingColumnsError, PipelineError, SourceError
from pipeline.home import Home
from pipeline.resilience import Kind, Patience, Service, Services
from pipeline.sources.database import Database
from pipeline.sources.extract import source_fingerprint
from pipeline.sources.rows import gathered
from pipeline.sources.statement import statement
from pipeline.sources.variables import filled
from pipeline_tests.registry.conftest import database
from pipeline_tests.sources.builders import SETTINGS, days, extract, quantities
from pipeline_tests.sources.places import InSqlite

Fill = Callable[[str], str]
ENGINE = create_engine("sqlite://")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a PostgreSQL database of this file's own."""
    with database() as url:
        yield url


@pytest.fixture
def fill(server: str) -> Fill:
    """Run SQL in that database and return its URL."""

    def run(sql: str) -> str:
        engine = create_engine(make_url(server).set(drivername="postgresql+psycopg2"), poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(sql))
        return server

    return run


def tenant(url: str, query: str, timezone: str = "Europe/Madrid", **source: object) -> Tenant:
    """A tenant whose sales a query gives."""
    made = {"kind": "sql", "url": url, "query": query, **source}
    return Tenant.model_validate({"id": "shop", "name": "S", "country": "ES", "timezone": timezone, "source": made})


def test_values_of_postgresql_keep_their_meaning(fill: Fill, home: Home) -> None:
    """Decimals, whole-number ids beyond floats, NULLs, flags and the tenant's local day come through."""
    url = fill(
        """
        DROP TABLE IF EXISTS typed;
        CREATE TABLE typed (
            date timestamptz, product_id numeric(20, 0), quantity numeric(10, 3), unit_price double precision,
            location_id text, sold_out boolean, note jsonb);
        INSERT INTO typed VALUES
            ('2024-01-01 22:30:00+00', 12345678901234567890, 1.125, 2.5, NULL, true, '{"a": 1}'),
            ('2024-01-01 23:30:00+00', 12345678901234567890, 2.250, NULL, NULL, NULL, NULL),
            ('2024-07-01 22:30:00+00', 12345678901234567891, 4, NULL, 'north', false, '[]'),
            ('2024-06-01 10:00:00+00', NULL, 4, NULL, NULL, NULL, NULL),
            ('2024-06-01 10:00:00+00', 7, NULL, NULL, NULL, NULL, NULL)
        """
    )
    found = extract(tenant(url, "typed"), home, dt.datetime(2024, 7, 5, tzinfo=dt.UTC))
    big = "12345678901234567890"
    assert quantities(found) == {
        (big, "2024-01-01"): 1.125,
        (big, "2024-01-02"): 2.25,
        (big[:-1] + "1", "2024-07-02"): 4,
    }
    assert found.daily["sold_out"].tolist() == [True, pd.NA, False]
    assert found.report.rejected_by_reason == {"missing_product": 1, "bad_quantity": 1}


def test_days_at_the_edge_of_the_window_are_whole(fill: Fill, home: Home) -> None:
    """Where the tenant's midnight is not the database's, the first day that is asked for again loses nothing."""
    url = fill(
        """
        DROP TABLE IF EXISTS tickets;
        CREATE TABLE tickets AS SELECT generate_series('2024-01-01 00:30+09'::timestamptz, '2024-02-29 23:30+09', '1 h')
            AS date, 'bread' AS product_id, 1 AS quantity
        """
    )
    japan = tenant(url, "SELECT * FROM tickets WHERE date >= :since", "Asia/Tokyo", duplicates="keep")
    first = extract(japan, home, lookback_days=5)
    fill("UPDATE tickets SET quantity = 2 WHERE date = '2024-02-28 12:30+09'")
    second = extract(japan, home, lookback_days=5)
    assert {units for (_, day), units in quantities(second).items() if day != "2024-02-28"} == {24.0}
    assert quantities(second)["bread", "2024-02-28"] == 25.0
    assert set(quantities(first).values()) == {24.0}


def test_text_dates_and_decimal_commas_are_read_as_in_files(folder: Path, home: Home) -> None:
    """A database that holds everything as text is read by the tenant's mapping and formats; all of it each time."""
    rows = pd.DataFrame({"Fecha": ["31.12.2023", "01.01.2024"], "Art": ["pan", "pan"], "Cant": ["1,5", "2.000,25"]})
    place = InSqlite(folder, "SELECT * FROM till")
    place.put(rows)
    mapping = {"date": "Fecha", "product_id": "Art", "quantity": "Cant"}
    made = place.tenant(mapping=mapping, date_format="%d.%m.%Y", decimal=",")
    assert quantities(extract(made, home)) == {("pan", "2023-12-31"): 1.5, ("pan", "2024-01-01"): 2000.25}
    place.put(rows.assign(Cant=["3,5", "4"]))
    assert quantities(extract(made, home)) == {("pan", "2023-12-31"): 3.5, ("pan", "2024-01-01"): 4}


def test_values_of_several_kinds_in_one_column() -> None:
    """Numbers of several kinds are numbers, anything else becomes its text, and what is missing stays missing."""
    zone = dt.timezone(dt.timedelta(hours=2))
    frame = gathered(
        ["number", "mixed", "moment", "none"],
        [
            [(1, 1, dt.datetime(2024, 1, 1, 1, tzinfo=zone), None), (None, None, None, None)],
            [(Decimal("2.5"), "x", dt.datetime(2024, 1, 2, tzinfo=dt.UTC), None), (3.0, 2.5, None, None)],
        ],
    )
    assert frame["number"].tolist()[2:] == [2.5, 3.0]
    assert frame["number"].isna().tolist() == [False, True, False, False]
    assert frame["mixed"].astype(object).where(frame["mixed"].notna(), None).tolist() == ["1", None, "x", "2.5"]
    assert str(frame["moment"].iloc[0]) == "2023-12-31 23:00:00+00:00"
    assert frame["none"].isna().all()
    assert list(frame.index) == [1, 2, 3, 4]


def test_an_endless_number_is_one_rejected_row(fill: Fill, home: Home) -> None:
    """PostgreSQL's `Infinity` of a numeric column is no quantity, as that of a float; the rows beside it come."""
    odd = "SELECT '2024-06-01' AS date, 'a' AS product_id, 'Infinity'::numeric AS quantity"
    found = extract(tenant(fill("SELECT 1"), f"{odd} UNION ALL SELECT '2024-06-02', 'a', 2.5"), home)
    assert quantities(found) == {("a", "2024-06-02"): 2.5}
    assert found.report.rejected_by_reason == {"bad_quantity": 1}


def test_two_columns_of_a_name_that_nobody_asks_for_do_no_harm(fill: Fill, home: Home) -> None:
    """A join gives its key twice; where no field is read from it, the rows come."""
    query = "SELECT '2024-06-01' AS date, 'a' AS product_id, 1 AS quantity, 7 AS id, 7 AS id"
    assert quantities(extract(tenant(fill("SELECT 1"), query), home)) == {("a", "2024-06-01"): 1}


def test_a_database_is_only_read(fill: Fill, folder: Path, home: Home) -> None:
    """A query that would write is refused by the database, in both kinds."""
    fill("DROP SEQUENCE IF EXISTS bump; CREATE SEQUENCE bump")
    url = fill("DROP TABLE IF EXISTS typed; CREATE TABLE typed (date date, product_id text, quantity int)")
    with pytest.raises(SourceError, match="read-only transaction"):
        extract(tenant(url, "SELECT nextval('bump') AS quantity, 'a' AS product_id, current_date AS date"), home)
    with pytest.raises(SourceError, match="must not contain data-modifying"):
        extract(tenant(url, "WITH gone AS (DELETE FROM typed RETURNING *) SELECT * FROM gone"), home)
    place = InSqlite(folder)
    place.put(days("2024-01-01", [1.0]))
    before = place.path.read_bytes()
    with pytest.raises(SourceError, match="attempt to write a readonly database"):
        extract(place.tenant(query="WITH a AS (SELECT 1) DELETE FROM till"), home)
    assert place.path.read_bytes() == before


def test_a_slow_question_is_given_up(fill: Fill, folder: Path, home: Home) -> None:
    """Neither a read nor a look takes longer than its setting allows."""
    url = fill("DROP TABLE IF EXISTS typed; CREATE TABLE typed (date date); INSERT INTO typed VALUES (now())")
    place = InSqlite(folder)
    place.put(days("2024-01-01", [1.0]))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS quantity FROM n WHERE i < 0"
    for slow in (tenant(url, "SELECT *, pg_sleep(20) FROM typed"), place.tenant(query=endless)):
        begun = time.monotonic()
        with pytest.raises(SourceError, match=r"took longer than 0\.3 s"):
            extract(slow, home, source_read_seconds=0.3)
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("url", "query", "error", "said"),
    [
        ("postgresql://bob:s3cret@127.0.0.1:1/x", "till", SourceError, "127.0.0.1:1/x could not be read: .*refused"),
        ("{server}_gone", "till", SourceError, "does not exist"),
        ("{server}", "no_such_table", SourceError, 'relation "no_such_table" does not exist'),
        ("{server}", "SELECT 1 AS quantity", MissingColumnsError, "has no column 'date', 'product_id'"),
        ("{server}", "SELECT nothing FROM one", SourceError, "does not exist"),
        ("{server}", "SELECT 'soon' AS date, 'a' AS product_id, 1 AS quantity", DataError, "holds no date"),
        (
            "{server}",
            "SELECT '2024-06-01' AS date, 'a' AS product_id, 1 AS quantity, 2 AS quantity",
            SourceError,
            "of .*127.0.0.1.* gives two columns of one name: 'quantity'; give each a name of its own with AS",
        ),
        ("{server}", "DELETE FROM till", ConfigurationError, "is no SELECT"),
        ("{server}", "SELECT 1; DROP TABLE till", ConfigurationError, "several statements"),
        ("{server}", "SELECT :since, :until", ConfigurationError, "asks for :until"),
        ("sqlite:////nowhere/till.db", "till", SourceError, "there is no database '/nowhere/till.db'"),
        ("no url", "till", ConfigurationError, "is no database URL"),
        (
            "host=h user=bob password=s3cret",
            "till",
            ConfigurationError,
            "the source's url, which is not shown, .* is no database URL",
        ),
        (
            "odbc:Driver=x;UID=bob;PWD=s3cret",
            "till",
            ConfigurationError,
            "the source's url, which is not shown, .* is no database URL",
        ),
        ("postgresql://bob:p@s3cret@127.0.0.1:1/x", "till", ConfigurationError, "holds an '@' of its own: .* %40"),
        ("postgresql://bob:p@s3cret/y@127.0.0.1:1/x", "till", ConfigurationError, "holds an '@' of its own"),
        ("postgresql://bob:p@s3cret?y@127.0.0.1:1/x", "till", ConfigurationError, "holds an '@' of its own"),
        ("postgresql://bob:s3cret@[::1]:1/x?application_name=a@b", "till", SourceError, "could not be read"),
        ("postgresql://bob:p%40s3cret@127.0.0.1:1/x", "till", SourceError, "could not be read: .*refused"),
        ("nosuchdb://bob:s3cret@host/x", "till", ConfigurationError, "cannot be used here"),
        (
            "postgresql://bob:${HOME}@host/x",
            "till",
            ConfigurationError,
            "only variables .* begin with PIPELINE_SOURCE_",
        ),
        (
            "postgresql://bob:${PIPELINE_SOURCE_NONE}@h/x",
            "till",
            ConfigurationError,
            "PIPELINE_SOURCE_NONE.* is not set",
        ),
    ],
)
def test_faults_are_told_with_their_place_and_no_secret(
    server: str, home: Home, url: str, query: str, error: type[PipelineError], said: str
) -> None:
    """Each fault is an error of ours that names what and where; passwords and users stand nowhere in it."""
    login = make_url(server).set(password="s3cret").render_as_string(hide_password=False)
    with pytest.raises(error, match=said) as caught:
        extract(tenant(url.replace("{server}", login), query), home)
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "s3cret" not in str(chain)
        assert "bob" not in str(chain)
        chain = chain.__cause__


def test_a_password_that_a_driver_names_is_hidden() -> None:
    """What a driver repeats of its own form of a login is told without the password."""
    guard = Services(SETTINGS).guard(Kind.DATABASE, Service.SALES, "sqlite://", "shop")
    place = Database("sqlite:////x.db", "UTC", 10, guard, Patience())
    said = place._said(ValueError("cannot use Driver=x;UID=sa;PWD=s3cret;Port=1 nor password = s3cret"))
    assert said == "cannot use Driver=x;UID=sa;PWD=***;Port=1 nor password = ***"


def test_a_wrong_password_is_told_without_it(fill: Fill, server: str, home: Home) -> None:
    """A server that refuses the login is named, without the login."""
    fill("DROP ROLE IF EXISTS sales_reader; CREATE ROLE sales_reader NOLOGIN PASSWORD 'right'")
    url = make_url(server).set(username="sales_reader", password="wr0ng").render_as_string(hide_password=False)
    with pytest.raises(SourceError, match="could not be read") as caught:
        extract(tenant(url, "till"), home)
    fill("DROP ROLE sales_reader")
    assert "wr0ng" not in str(caught.value)
    assert "sales_reader" not in str(caught.value)


def test_secrets_come_from_the_environment(
    server: str, fill: Fill, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole URL, or a password with signs that URLs give a meaning, may stand in a variable; state holds neither."""
    fill("DROP TABLE IF EXISTS one; CREATE TABLE one AS SELECT '2024-01-01' AS date, 'a' AS product_id, 1 AS quantity")
    secret = make_url(server).set(password="s3cret").render_as_string(hide_password=False)
    monkeypatch.setenv("PIPELINE_SOURCE_URL", secret)
    made = tenant("${PIPELINE_SOURCE_URL}", "one")
    assert len(extract(made, home).daily) == 1
    assert source_fingerprint(made, home, SETTINGS)
    written = b"".join(file.read_bytes() for file in home.tenant("shop").iterdir())
    assert b"s3cret" not in written
    monkeypatch.setenv("PIPELINE_SOURCE_PASSWORD", "a@b/c:d")
    assert make_url(filled("postgresql://bob:${PIPELINE_SOURCE_PASSWORD}@host/x")).password == "a@b/c:d"


@pytest.mark.parametrize(
    "query",
    [
        "select ';' as a -- ; :x",
        "SELECT 1 /* ; */ ;",
        "(SELECT 1)",
        "-- all\nWITH a AS (SELECT 1) SELECT * FROM a",
        "SELECT '12:30:00', x::date FROM t",
        "SELECT $a$ ; $a$",
        "SELECT ' :x' AS \":y\"",
    ],
)
def test_queries_that_only_look_odd_are_taken(query: str) -> None:
    """Semicolons and colons in texts and comments are none of ours."""
    made, windowed = statement(query, "date", ENGINE)
    assert not windowed
    hidden = [sign for sign in (":x'", ':y"', "12:30:00", "::date", "';'", "$ ; $") if sign in query]
    assert [sign for sign in hidden if sign not in str(made.compile(ENGINE))] == []


def test_a_table_with_days_is_asked_for_the_last_ones(folder: Path) -> None:
    """A table's name reads its window where the date column is a date; where it is text, all of it."""
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        connection.execute('CREATE TABLE by_day ("the day" DATE)')
        connection.execute('CREATE TABLE by_text ("the day" TEXT)')
    engine = create_engine(f"sqlite:///{folder / 'a.db'}", poolclass=NullPool)
    assert [statement(name, "the day", engine)[1] for name in ("by_day", "by_text")] == [True, False]


def test_another_query_of_another_business_begins_anew(folder: Path, home: Home) -> None:
    """A query that is pointed at another shop's rows does not mix them; one that says the same otherwise goes on."""
    place = InSqlite(folder)
    rows = pd.concat([days("2024-01-01", [1.0, 2.0]).assign(shop="a"), days("2024-01-01", [5.0, 6.0]).assign(shop="b")])
    place.put(rows)
    first = extract(place.tenant(query="SELECT * FROM till WHERE shop = 'a'"), home)
    same = extract(place.tenant(query="SELECT * FROM till WHERE shop < 'b' AND date >= :since"), home)
    assert (quantities(same), same.report.replaced_source) == (quantities(first), None)
    other = extract(place.tenant(query="SELECT * FROM till WHERE shop = 'b' AND date >= :since"), home)
    assert sorted(quantities(other).values()) == [5.0, 6.0]
    assert other.report.replaced_source == f"sqlite:///{place.path}"


def test_a_change_that_only_moves_units_is_seen_when_read(folder: Path, home: Home) -> None:
    """SQLite's signal does not see units that move between products; whatever run reads them next, does."""
    place = InSqlite(folder)
    rows = pd.concat([days("2024-01-01", [1.0]), days("2024-01-01", [2.0], "rolls")])
    place.put(rows)
    before = extract(place.tenant(), home)
    place.put(rows.assign(quantity=rows["quantity"].to_numpy()[::-1]))
    assert source_fingerprint(place.tenant(), home, SETTINGS) == before.fingerprint
    assert quantities(extract(place.tenant(), home)) == {("bread", "2024-01-01"): 2.0, ("rolls", "2024-01-01"): 1.0}


def test_postgresql_sees_every_change(fill: Fill, home: Home) -> None:
    """A row's change that leaves all sums alone changes PostgreSQL's signal."""
    rows = "SELECT '2024-01-01' AS date, n AS product_id, n AS quantity FROM generate_series(1, 2) n"
    url = fill(f"DROP TABLE IF EXISTS two; CREATE TABLE two AS {rows}")
    made = tenant(url, "two")
    before = extract(made, home)
    fill("UPDATE two SET quantity = 3 - quantity")
    assert source_fingerprint(made, home, SETTINGS) != before.fingerprint
