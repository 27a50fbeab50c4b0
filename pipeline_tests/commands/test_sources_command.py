"""Tenants of databases and services, added and run as a person types it."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pipeline.tenants import load_tenant
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.sources.places import over_http

QUERY = "SELECT day, item, units FROM sales WHERE day >= :since"


@pytest.fixture
def till(tmp_path: Path) -> Path:
    """A SQLite file with sixty days of two products."""
    place = tmp_path / "till.db"
    days = [dt.date(2024, 5, 1) + dt.timedelta(days=n) for n in range(60)]
    rows = [(str(day), item, 10 + day.weekday()) for day in days for item in ("Bun", "Rye")]
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("CREATE TABLE sales (day DATE, item TEXT, units INT)")
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", rows)
    return place


def test_from_a_database_to_forecasts(fresh: Terminal, till: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A database is added with a query in a file, run as any tenant, and forecast."""
    query = tmp_path / "sales.sql"
    query.write_text(QUERY, encoding="utf-8")
    command = ["tenants", "add", "--sql", f"sqlite:///{till.name}", "--query", query, "--country", "ES"]
    columns = ["--tenant", "shop", "--map", "date=day,product_id=item,quantity=units"]
    monkeypatch.chdir(till.parent)
    answer = fresh(*command, *columns)
    assert (answer.status, answer.err) == (0, "")
    assert load_tenant(fresh.world.home, "shop").source.place == f"sqlite:///{till}"
    assert fresh("run", "--tenant", "shop", WITHOUT_FAMILIES="prophet,lightgbm,lightgbm_direct").status == 0
    forecasts = pd.read_parquet(fresh.world.home.table("shop", "forecasts"))
    assert sorted(forecasts["product_id"].unique()) == ["Bun", "Rye"]


def test_a_service_is_added(fresh: Terminal, monkeypatch: pytest.MonkeyPatch):
    """A service is asked for its columns before its tenant is written; the token stays in its variable."""
    monkeypatch.setenv("PIPELINE_SOURCE_SHOP", "s3cret")
    with over_http(stamps=True) as place:
        place.service.token = "s3cret"
        place.put(pd.DataFrame({"date": ["2024-05-01"], "product_id": ["Bun"], "quantity": [3]}))
        command = ["tenants", "add", "--source-url", place.service.url, "--country", "ES", "--tenant", "shop"]
        assert "HTTP 401 from" in fresh(*command).err
        assert fresh(*command, "--token-variable", "PIPELINE_SOURCE_SHOP").status == 0
    written = (fresh.world.home.tenants / "shop.toml").read_text(encoding="utf-8")
    assert 'token = "${PIPELINE_SOURCE_SHOP}"' in written
    assert "s3cret" not in written


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give one of --sales, --sql and --source-url, not none"),
        (["--sql", "sqlite:///{till}", "--sales", "x"], "not --sales and --sql"),
        (["--sql", "sqlite:///{till}"], "--sql and --query belong together"),
        (["--sql", "sqlite:///{till}", "--query", "sales"], "say with --tenant"),
        (["--sql", "sqlite:///{till}", "--query", "sales", "--tenant", "x"], "has no column 'date', 'product_id'"),
        (["--sql", "sqlite:///{till}", "--query", "gone.sql", "--tenant", "x"], "'gone.sql' cannot be read"),
        (["--source-url", "http://h", "--token-variable", "HOME", "--tenant", "x"], "--token-variable HOME"),
        (["--source-url", "ftp://h", "--tenant", "x"], "source.url = 'ftp://h'"),
    ],
)
def test_what_cannot_be_added_is_named(fresh: Terminal, till: Path, options: list[str], said: str):
    """Options that do not fit, and places without sales, are named, and no tenant is written."""
    answer = fresh("tenants", "add", "--country", "ES", *(option.replace("{till}", str(till)) for option in options))
    assert answer.status == 1
    assert said in " ".join(answer.err.split())
    assert not list(fresh.world.home.tenants.glob("*.toml"))


def test_a_password_in_clear_is_warned_of(fresh: Terminal, till: Path):
    """Who writes a password into the command is told of the variable instead."""
    url = f"sqlite://bob:s3cret@/{till}"
    answer = fresh("tenants", "add", "--sql", url, "--query", QUERY, "--country", "ES", "--tenant", "x", "--map",
                   "date=day,product_id=item,quantity=units")  # fmt: skip
    assert "the password will stand in the tenant's file" in " ".join(answer.err.split())
    assert "s3cret" not in answer.out + answer.err
