"""Wrong input: one clear message on stderr, exit status 1, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from contracts import FileSource, Tenant
from pipeline.tenants import save_tenant
from pipeline_tests.commands.conftest import Answer, Terminal, apart
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD

SALES = tills.steady("Bun", days=40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sales files, sound and broken."""
    folder = tmp_path / "files"
    good = tills.write(SALES, folder / "good.csv")
    (folder / "empty.csv").write_text("")
    tills.write(SALES.rename(columns={"quantity": "menge"}), folder / "columns.csv")
    tills.write(SALES.assign(tenant_id=["north", "south"] * 20), folder / "two.csv")
    SALES.to_parquet(folder / "good.parquet")
    (folder / "half.parquet").write_bytes((folder / "good.parquet").read_bytes()[:-500])
    tills.write(SALES.assign(quantity="a few"), folder / "words.csv")
    (folder / "text.parquet").write_text(good.read_text())
    (folder / "nothing").mkdir()
    return folder


def one_message(answer: Answer) -> str:
    """The error, which must be the last and only one."""
    assert answer.status == 1
    assert "Traceback" not in answer.out + answer.err
    lines = [line for line in answer.err.splitlines() if "Error: " in line]
    assert len(lines) == 1, answer.err
    return lines[0]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("empty.csv", ["UnreadableFileError", "empty.csv", "is empty", "a header and rows of sales are needed"]),
        ("half.parquet", ["UnreadableFileError", "half.parquet", "half-written"]),
        ("text.parquet", ["UnreadableFileError", "text.parquet", "in another format"]),
        ("absent.csv", ["SourceNotFoundError", "absent.csv", "give a file, a folder, a glob or a URL"]),
        ("nothing", ["SourceNotFoundError", "nothing"]),
        ("two.csv", ["ConfigurationError", "two.csv", "holds 2 tenants (north, south)", "--tenant"]),
    ],
)
def test_sales_that_cannot_be_opened(fresh: Terminal, folder: Path, name: str, wanted: list[str]):
    """A file that is empty, torn, absent or several tenants' is named with what would be right; nothing is kept."""
    message = one_message(fresh("run", "--sales", folder / name, "--country", "ES"))
    assert [text for text in wanted if text not in message] == []
    assert not list(fresh.world.home.tenants.glob("*"))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("columns.csv", ["sales: MissingColumnsError", "no column 'quantity'", "found 'date', 'product_id', 'menge'"]),
        ("words.csv", ["sales: DataError", "'quantity'", "a few"]),
    ],
)
def test_sales_that_cannot_be_used(fresh: Terminal, folder: Path, name: str, wanted: list[str]):
    """A missing column or text for numbers fails the run with what was found and what to type."""
    message = one_message(fresh("run", "--sales", folder / name, "--country", "ES"))
    assert [text for text in wanted if text not in message] == []


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--country", "XX"], ["UnknownCountryError", "'XX'", "ISO 3166"]),
        (["--country", "Spain"], ["UnknownCountryError", "ES (Spain)"]),
        (["--country", "ES", "--region", "ZZ"], ["UnknownCountryError", "'ZZ'", "known: AN"]),
        ([], ["ConfigurationError", "--sales needs --country", "such as ES"]),
        (["--country", "ES", "--map", "date"], ["ConfigurationError", "--map", "'date'", "FIELD=COLUMN", "quantity"]),
        (["--country", "ES", "--map", "day=date"], ["ConfigurationError", "--map", "'day=date'", "product_id"]),
        (["--country", "ES", "--map", "date="], ["ConfigurationError", "--map", "'date='"]),
        (["--country", "ES", "--map", "date=quantity"], ["TenantError", "a column for two fields: quantity"]),
        (["--country", "ES", "--timezone", "Mars/Base"], ["TenantError", "'Mars/Base'", "such as Europe/Madrid"]),
        (["--country", "ES", "--tenant", "My Bakery"], ["TenantError", "'My Bakery'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_options_that_cannot_be_used(fresh: Terminal, folder: Path, options: list[str], wanted: list[str]):
    """A wrong option is named with its value and what would be right, before anything is written."""
    message = one_message(fresh("run", "--sales", folder / "good.csv", *options))
    assert [text for text in wanted if text not in message] == []
    assert len(message) < 400
    assert not list(fresh.world.home.tenants.glob("*"))


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (["run", "--tenant", "nobody"], ["TenantError", "'nobody'", "known: odd-till, twin", "pipeline tenants add"]),
        (["run", "--country", "ES"], ["ConfigurationError", "--country describes a sales file", "--sales"]),
        (["forecast", "show"], ["ConfigurationError", "say which tenant with --tenant: odd-till, twin"]),
        (["forecast", "show", "--tenant", "nobody"], ["TenantError", "'nobody'"]),
        (
            ["forecast", "show", "--tenant", "twin", "--date", "tomorrow"],
            ["ConfigurationError", "'tomorrow'", "YYYY"],
        ),
        (["forecast", "show", "--tenant", "twin", "--product", "Bun"], ["ConfigurationError", "no forecast of 'Bun'"]),
        (["forecast", "explain", "nobody", "Bun"], ["TenantError", "'nobody'", "known: odd-till, twin"]),
        (["forecast", "explain", "twin", "Bun"], ["ConfigurationError", "does not sell 'Bun'", "forecast show"]),
        (
            ["forecast", "explain", "twin", tills.STEADY[0], "--date", "2030-01-01"],
            ["ConfigurationError", "nothing is forecast for 2030-01-01; the days are 2024-07-19 to 2024-08-01"],
        ),
        (["forecast", "explain", "twin", tills.STEADY[0], "--date", "soon"], ["ConfigurationError", "'soon'", "YYYY"]),
        (["forecast", "explain", "odd-till", tills.GONE], ["DataError", "has no forecast", "the last 90 days"]),
        (["models", "show", "Bun", "--tenant", "twin"], ["NotRegisteredError", "'Bun'", "pipeline models list"]),
        (["models", "show", "..", "--tenant", "odd-till", "--version", "20200101_000000"], ["NotRegisteredError"]),
        (["models", "verify"], ["ConfigurationError", "--tenant"]),
    ],
    ids=" ".join,
)
def test_questions_that_cannot_be_answered(terminal: Terminal, command: list[str], wanted: list[str]):
    """An unknown tenant, product, version or day is named, with what is known."""
    message = one_message(terminal(*command))
    assert [text for text in wanted if text not in message] == []


def test_a_wrong_setting_is_named(fresh: Terminal):
    """An environment variable that cannot be used is named with its value."""
    message = one_message(fresh("models", "list", HORIZON_DAYS="a fortnight"))
    assert "HORIZON_DAYS='a fortnight'" in message


def test_the_first_look_without_anything_done(fresh: Terminal):
    """Where nothing has been run yet, the message says what to type."""
    assert "pipeline run" in one_message(fresh("forecast", "show"))


def test_in_a_shell_there_is_no_traceback_either(fresh: Terminal, folder: Path):
    """The real process ends with status 1, one line on stderr and nothing on stdout."""
    answer = apart(fresh.world, "run", "--sales", folder / "empty.csv", "--country", "ES", LOG_LEVEL="INFO")
    assert one_message(answer).startswith("UnreadableFileError: ")
    assert len(answer.err.splitlines()) == 1
    assert answer.out == ""


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--folds", "4"], ["DataError", "4 folds of 14 days need", "fewer --folds"]),
        (["--country", "XX"], ["UnknownCountryError", "'XX'"]),
        (["--map", "date"], ["ConfigurationError", "--map"]),
    ],
    ids=" ".join,
)
def test_backtests_that_cannot_be_made(fresh: Terminal, folder: Path, options: list[str], wanted: list[str]):
    """A history too short for the folds, or a wrong option, is explained and no file is written."""
    out = folder / "out.parquet"
    message = one_message(fresh("backtest", "--sales", folder / "good.csv", "--country", "ES", "--out", out, *options))
    assert [text for text in wanted if text not in message] == []
    assert not out.exists()


def test_a_second_tenant_of_the_same_name_is_refused(fresh: Terminal, folder: Path):
    """`tenants add` never overwrites another tenant unless asked to."""
    assert fresh("tenants", "add", "--sales", folder / "good.csv", "--country", "ES").status == 0
    other = ["tenants", "add", "--sales", folder / "good.parquet", "--country", "ES"]
    assert "exists already" in one_message(fresh(*other))
    assert fresh(*other, "--replace").status == 0
    stored = (fresh.world.home.tenants / "good.toml").read_text()
    assert "good.parquet" in stored
    assert pd.read_csv(folder / "good.csv").shape[0] == 40


def test_a_broken_tenant_stops_no_other(copied: Terminal):
    """`pipeline run` runs the sound tenants, names the broken one with why, and ends with status 1."""
    (copied.world.home.tenants / "odd-till.toml").write_text("id = [", encoding="utf-8")
    answer = copied("run", "--json")
    assert answer.status == 1
    rows = {row["tenant"]: row for row in json.loads(answer.out)}
    assert rows["twin"]["skipped"] == 2
    assert rows["odd-till"]["trained"] is None
    assert answer.err.startswith("odd-till: TenantError: tenant file ")


def test_a_broken_tenant_alone_is_no_empty_installation(fresh: Terminal):
    """Where the only tenant is broken the sample is not written beside it."""
    fresh.world.home.tenants.mkdir(parents=True)
    (fresh.world.home.tenants / "torn.toml").write_text("id = [", encoding="utf-8")
    answer = fresh("run", "--json")
    assert answer.status == 1
    assert [row["tenant"] for row in json.loads(answer.out)] == ["torn"]
    assert not fresh.world.home.sample.exists()


@pytest.mark.parametrize("place", ["/proc/nope", "{file}", "{file}/below"])
@pytest.mark.parametrize("command", [["tenants", "list"], ["run"], ["forecast", "show"]], ids=" ".join)
def test_a_home_that_cannot_be_made(fresh: Terminal, tmp_path: Path, place: str, command: list[str]):
    """A PIPELINE_HOME that cannot be made is named, with why and what to do."""
    file = tmp_path / "file"
    file.touch()
    message = one_message(fresh(*command, PIPELINE_HOME=place.format(file=file)))
    assert message.startswith("StorageError: the folder ")
    assert place.format(file=file) in message
    assert "choose another PIPELINE_HOME" in message


def test_a_source_in_another_place_is_named_without_its_password(fresh: Terminal, folder: Path):
    """The message that keeps two businesses apart shows both places, and the password of neither."""
    source = FileSource(path="sftp://bob:s3cret@host/good.csv")
    known = Tenant(id="good", name="good", country="ES", timezone="Europe/Madrid", source=source)
    save_tenant(fresh.world.home, known)
    message = one_message(fresh("run", "--sales", folder / "good.csv", "--country", "ES"))
    assert "already reads sftp://host/good.csv" in message
    assert "s3cret" not in message


def test_a_damaged_history_of_dagster_is_named(copied: Terminal):
    """Where Dagster's own database is no database, or no room is left, one message says where and what to do."""
    runs = copied.world.home.dagster / "history" / "runs.db"
    runs.write_bytes(b"garbage " * 200)
    message = one_message(copied("run"))
    assert "StorageError: Dagster's history in" in message
    assert str(copied.world.home.dagster) in message
    assert "move the damaged file away" in message


def test_a_relative_dagster_home_is_refused(copied: Terminal):
    """DAGSTER_HOME must be absolute, and the message says so."""
    message = one_message(apart(copied.world, "run", DAGSTER_HOME="here"))
    assert "DAGSTER_HOME = 'here' cannot be used" in message
    assert "absolute path" in message


def test_an_unknown_kind_of_store_is_named(copied: Terminal):
    """A MODEL_STORAGE_PATH that no library knows is named in one message, and nothing else is said."""
    answer = copied("models", "verify", "--tenant", ODD, MODEL_STORAGE_PATH="foo://x")
    assert "the artefact store 'foo://x' cannot be opened" in one_message(answer)


def test_a_foreign_forecast_file_is_named(copied: Terminal):
    """Forecasts that somebody else wrote are refused with the columns that are missing."""
    SALES.to_parquet(copied.world.home.table(ODD, "forecasts"))
    assert "lacks horizon, issued_at" in one_message(copied("forecast", "show", "--tenant", ODD))


def test_a_foreign_sales_table_is_named(copied: Terminal):
    """A stored panel that somebody else wrote is refused with what to do."""
    SALES.to_parquet(copied.world.home.table(ODD, "sales"))
    answer = copied("run", "--tenant", ODD)
    assert answer.status == 1
    assert "sales.parquet is damaged" in answer.err
    assert "Remove it to have it built again" in answer.err


def test_an_empty_setting_is_no_setting(fresh: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """PIPELINE_HOME set to nothing means ./var, as when it is unset."""
    monkeypatch.chdir(tmp_path)
    assert fresh("tenants", "list", PIPELINE_HOME="").status == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name in ("var", "dagster")] == ["var"]


def test_a_blocked_run_says_what_its_check_found(copied: Terminal):
    """A run that a check stops names the check, the share, the limit's file; the stored forecast stands."""
    broken = SALES.assign(quantity=["4"] * 10 + ["few"] * 30)
    place = tills.write(broken, copied.world.root / "exports" / "broken.csv")
    copied("tenants", "add", "--sales", place, "--country", "ES", "--tenant", "x")
    answer = copied("run", "--tenant", "x")
    assert answer.status == 1
    assert "MAX_REJECTED_SHARE" in answer.err
    assert "broken.csv" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.long
def test_two_first_runs_at_once(fresh: Terminal, folder: Path):
    """Two commands that make the same new home at the same moment both end well."""
    tills.write(SALES, folder / "other.csv")
    commands = [
        [sys.executable, "-m", "pipeline.cli", "run", "--sales", str(folder / name), "--country", "ES"]
        for name in ("good.csv", "other.csv")
    ]
    running = [subprocess.Popen(one, env=fresh.world.alone(), stderr=subprocess.PIPE, text=True) for one in commands]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
