"""Which faults pass by themselves: real ones, of real servers, databases and sockets, and the others."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg2
import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pipeline.errors import BadAnswerError, RegistryError
from pipeline.resilience import transient
from pipeline.resilience.faults import retry_after, shown, told
from pipeline_tests.registry.conftest import database
from pipeline_tests.services.server import server
from pipeline_tests.training.test_database_away import close, cut


def caught(call: Callable[[], object]) -> BaseException:
    """The error that a call ends with."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one it is, is what the test asks
        call()
    return raised.value


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        ConnectionResetError(),
        BrokenPipeError(),
        TimeoutError(),
        OSError(errno.EHOSTUNREACH, "no route"),
        socket.gaierror(socket.EAI_AGAIN, "ask again"),
        http.client.IncompleteRead(b"half"),
        http.client.RemoteDisconnected(),
    ],
    ids=repr,
)
def test_the_networks_faults_pass(error: Exception) -> None:
    """Lost connections, time-outs, ways that are cut and answers that are torn may be gone the next time."""
    assert transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        PermissionError("not yours"),
        FileNotFoundError("gone"),
        OSError(errno.ENOSPC, "full"),
        socket.gaierror(socket.EAI_NONAME, "nobody knows it"),
        ssl.SSLCertVerificationError("not theirs"),
        KeyboardInterrupt(),
        MemoryError(),
        BadAnswerError("no JSON"),
        RegistryError("away"),
        httpx.UnsupportedProtocol("gopher"),
        httpx.TooManyRedirects("round"),
        httpx.DecodingError("not packed"),
    ],
    ids=repr,
)
def test_other_faults_stay(error: BaseException) -> None:
    """Bad data, missing rights, a full disk, names that nobody knows, and interruptions are not asked again."""
    assert not transient(error)


def test_statuses_pass_or_stay() -> None:
    """Of all statuses that httpx raises for, five are of a server that is busy."""
    passing = set()
    for status in range(300, 600):
        answer = httpx.Response(status, request=httpx.Request("GET", "http://till.example"))
        if transient(caught(answer.raise_for_status)):
            passing.add(status)
    assert passing == {429, 500, 502, 503, 504}


def test_httpx_faults_pass() -> None:
    """What httpx raises of a real server that hangs, hangs up, cuts short or says no HTTP passes; and of no server."""
    with server({"/": lambda _: list(range(1000))}) as made, httpx.Client(timeout=0.2) as client:
        for fault in ("hang", "drop", "cut", "noise"):
            made.misbehave(fault)
            assert transient(caught(lambda: client.get(made.url))), fault
        place = made.url
    with httpx.Client() as client:
        assert transient(caught(lambda: client.get(place)))


@pytest.mark.parametrize(("code", "passes"), [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)])
def test_a_name_that_nobody_knows_stays(monkeypatch: pytest.MonkeyPatch, code: int, passes: bool) -> None:
    """A host that does not exist is an error at once; a name server that does not answer is asked again."""

    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "so it is")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert transient(caught(lambda: httpx.get("http://till.example"))) is passes


@contextmanager
def connected(url: str, **options: object) -> Iterator[Engine]:
    """An engine on PostgreSQL."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), **options)
    yield engine
    engine.dispose()


def run(engine: Engine, statement: str) -> Callable[[], object]:
    """Run a statement in a transaction."""

    def call() -> None:
        with engine.begin() as connection:
            connection.execute(text(statement))

    return call


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of an empty database."""
    with database() as url:
        yield url


def test_a_lost_connection_passes(postgres: str) -> None:
    """A connection that the server ended, as it does when it is restarted."""
    with connected(postgres) as engine, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        cut(postgres.rpartition("/")[2])
        assert transient(caught(lambda: connection.execute(text("SELECT 1"))))


def test_a_server_that_is_not_there_passes() -> None:
    """Nobody listens at the port."""
    with connected("postgresql://127.0.0.1:1/test") as engine:
        assert transient(caught(engine.connect))


@pytest.mark.parametrize(
    "statement", ["SELEC 1", "SELECT * FROM nowhere", "SELECT 1 / 0", "SELECT 'x'::int", "SET ROLE nobody_at_all"]
)
def test_a_wrong_statement_stays(postgres: str, statement: str) -> None:
    """Syntax errors, missing tables, wrong values and missing rights."""
    with connected(postgres) as engine:
        assert not transient(caught(run(engine, statement)))


def test_a_wrong_database_or_login_stays(postgres: str) -> None:
    """A database that is not there, a user that is not there, and a database that lets nobody in."""
    wrong = make_url(postgres).set(database="nowhere_at_all"), make_url(postgres).set(username="nobody_at_all")
    for url in wrong:
        with connected(url.render_as_string(hide_password=False), poolclass=NullPool) as engine:
            assert not transient(caught(engine.connect)), url
    name = postgres.rpartition("/")[2]
    close(name, allow=False)
    with connected(postgres, poolclass=NullPool) as engine:
        assert not transient(caught(engine.connect))
    close(name, allow=True)


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ('connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  password authentication failed', False),
        ('connection to server at "db" (10.0.0.1), port 5432 failed: fe_sendauth: no password supplied', False),
        ('connection to server at "db" failed: Connection refused\nserver at "db" failed: FATAL:  password', False),
        ('connection to server at "db" failed: FATAL:  no pg_hba.conf entry for host "10.0.0.2"', False),
        ('connection to server at "db" failed: Connection refused\n\tIs the server running on that host?', True),
        ('connection to server at "db" failed: timeout expired', True),
        ('connection to server at "db" failed: FATAL:  the database system is starting up', True),
        ('connection to server at "db" failed: FATAL:  the database system is shutting down', True),
        ('connection to server at "db" failed: FATAL:  sorry, too many clients already', True),
        ('connection to server at "db" failed: FATAL:  remaining connection slots are reserved', True),
        ('could not translate host name "db" to address: Temporary failure in name resolution', True),
        ('could not translate host name "db" to address: Name or service not known', False),
    ],
)
def test_what_a_client_says_without_a_code(message: str, passes: bool) -> None:
    """Where no connection came about there is only a text: the server's last word decides."""
    assert transient(OperationalError("", {}, psycopg2.OperationalError(message))) is passes


def test_a_deadlock_a_lock_and_a_time_limit_pass(postgres: str) -> None:
    """Two that wait for each other, a lock that is not free, and a statement that took too long."""
    with connected(postgres) as engine:
        run(engine, "CREATE TABLE IF NOT EXISTS rows AS SELECT generate_series(1, 2) AS id")()
        slow = caught(run(engine, "SET LOCAL statement_timeout = 50; SELECT pg_sleep(5)"))
        with engine.begin() as held:
            held.execute(text("LOCK TABLE rows"))
            locked = caught(run(engine, "LOCK TABLE rows NOWAIT"))
        dead = deadlock(engine)
    assert [transient(one) for one in (slow, locked, dead)] == [True] * 3


def deadlock(engine: Engine) -> BaseException:
    """The error of one of two transactions that wait for each other."""
    meeting, errors = threading.Barrier(2), list[BaseException]()

    def cross(first: int, second: int) -> None:
        try:
            with engine.begin() as connection:
                connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
                connection.execute(text(f"SELECT * FROM rows WHERE id = {first} FOR UPDATE"))
                meeting.wait(10)
                connection.execute(text(f"SELECT * FROM rows WHERE id = {second} FOR UPDATE"))
        except DBAPIError as error:
            errors.append(error)

    threads = [threading.Thread(target=cross, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (error,) = errors
    return error


def test_a_pool_without_a_free_connection_passes(postgres: str) -> None:
    """All connections are lent and none comes back in time."""
    with connected(postgres, pool_size=1, max_overflow=0, pool_timeout=0.05) as engine, engine.connect():
        error = caught(engine.connect)
    assert isinstance(error, PoolTimeoutError)
    assert transient(error)


def test_a_locked_file_passes_and_a_wrong_one_stays(tmp_path: Path) -> None:
    """A SQLite file that another writes may be free the next time; one without the table, or that is none, is not."""
    one, other = (create_engine(f"sqlite:///{tmp_path}/a.db", connect_args={"timeout": 0.05}) for _ in range(2))
    (tmp_path / "b.db").write_bytes(b"no database" * 1000)
    torn = create_engine(f"sqlite:///{tmp_path}/b.db")
    away = create_engine(f"sqlite:///{tmp_path}/nowhere/c.db")
    run(one, "CREATE TABLE rows (id INTEGER)")()
    with one.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        assert transient(caught(run(other, "INSERT INTO rows VALUES (1)")))
    for engine, statement in ((one, "SELECT * FROM nowhere"), (torn, "SELECT * FROM rows"), (away, "SELECT 1")):
        assert not transient(caught(run(engine, statement)))
    for engine in (one, other, torn, away):
        engine.dispose()


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://ana:s3cret@till.example:8443/api/v1?key=s3cret&x=1#part", "https://till.example:8443/api/v1"),
        ("https://till.example/api?s3cret", "https://till.example/api"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, seen: str) -> None:
    """Neither login nor query nor fragment is shown."""
    assert shown(url) == seen


def test_faults_are_told_in_one_line() -> None:
    """A database's statement and its values, further lines and endless texts are left out."""
    long = OperationalError("SELECT s3cret", {"x": "s3cret"}, psycopg2.OperationalError("no\nroute" + "!" * 999))
    assert told(long).startswith("OperationalError: no route!!!")
    assert len(told(long)) == 300
    assert "s3cret" not in told(long)
    assert told(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(
    "date", ["Mon, 20 Nov 99999999999999999999 00:00:00 GMT", "Mon, 20 Nov 2026 00:00:00 +9999999999"]
)
def test_a_date_that_no_clock_can_show_asks_for_no_wait(date: str) -> None:
    """A server that writes nonsense into `Retry-After`, or into `Date`, is asked again as usual."""
    good = "Mon, 20 Nov 2000 00:00:00 GMT"
    for headers in ({"Retry-After": date}, {"Retry-After": good, "Date": date}):
        answer = httpx.Response(503, headers=headers)
        busy = httpx.HTTPStatusError("busy", request=httpx.Request("GET", "http://till/"), response=answer)
        assert retry_after(busy) == 0.0
