"""Wrong input: one clear message on stderr, exit status 1, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline_tests.commands.conftest import Answer, Terminal, apart
from pipeline_tests.defs import tills

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
