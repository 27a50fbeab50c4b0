"""`pipeline forecast make`: as far and as sure as one asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contracts import RequestedForecastRow
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD

BUTTER = tills.STEADY[0]


def made(terminal: Terminal, *options: str) -> pd.DataFrame:
    """The rows that the command prints as JSON, each as its contract has it."""
    answer = terminal("forecast", "make", "--tenant", ODD, *options, "--json")
    assert answer.status == 0, answer.err
    rows: list[dict[str, Any]] = json.loads(answer.out)
    return pd.DataFrame([RequestedForecastRow.model_validate(row).model_dump() for row in rows])


def stored(terminal: Terminal) -> pd.DataFrame:
    """The stored forecasts."""
    return pd.read_parquet(terminal.world.home.table(ODD, "forecasts"))


@pytest.mark.parametrize(("confidence", "lower", "upper"), [("0.9", "lower", "upper"), ("0.5", "q25", "q75")])
def test_within_the_horizon_it_says_what_is_stored(terminal: Terminal, confidence: str, lower: str, upper: str):
    """For as many days as are stored mean, model and measured quantiles are the same, and nothing is flagged."""
    found, known = made(terminal, "--confidence", confidence), stored(terminal)
    assert list(found["product_id"]) == list(known["product_id"])
    for name, of_known in {"y_hat": "y_hat", "lower": lower, "upper": upper}.items():
        assert found[name].to_numpy() == pytest.approx(known[of_known].to_numpy(), abs=1e-6)
    assert list(found["model_version"].fillna("")) == list(known["model_version"].fillna(""))
    assert not found["beyond_horizon"].any()


def test_a_year_ahead(terminal: Terminal):
    """Each product has 365 days; those after the fourteenth are flagged, wider, and nothing stored has changed."""
    before = {path: path.read_bytes() for path in terminal.world.home.tenant(ODD).rglob("*") if path.is_file()}
    found, known = made(terminal, "--days", "365"), stored(terminal)
    assert set(found["product_id"]) == set(known["product_id"])
    assert (found.groupby("product_id")["horizon"].agg(["min", "max", "size"]) == (1, 365, 365)).all(axis=None)
    assert (found["beyond_horizon"] == (found["horizon"] > 14)).all()
    near = found[found["horizon"] <= 14]
    for name in ("y_hat", "lower", "upper"):
        assert near[name].to_numpy() == pytest.approx(known[name].to_numpy(), abs=1e-6)
    butter = found[found["product_id"] == BUTTER].set_index("horizon")
    width = (butter["upper"] - butter["lower"]).groupby((butter.index - 1) // 28).mean()[:13]
    assert width.is_monotonic_increasing
    assert width.iloc[12] > 3 * width.iloc[0]
    assert {path: path.read_bytes() for path in before} == before


def test_the_first_days_do_not_depend_on_how_far_one_asks(terminal: Terminal):
    """What is asked for 20 days begins as what is asked for 14, range and all."""
    near, far = (made(terminal, "--product", BUTTER, "--days", days) for days in ("14", "20"))
    for name in ("y_hat", "lower", "upper"):
        assert far[name].to_numpy()[:14] == pytest.approx(near[name].to_numpy(), abs=1e-6)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_it_is_written_to_a_file(terminal: Terminal, tmp_path: Path, suffix: str):
    """The file has every row, whatever its form."""
    place = tmp_path / f"plan{suffix}"
    answer = terminal("forecast", "make", "--tenant", ODD, "--product", BUTTER, "--days", "20", "--out", place)
    assert (answer.status, answer.out) == (0, f"20 rows written to {place}\n")
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".json": pd.read_json}[suffix]
    frame = read(place)
    assert list(frame) == list(RequestedForecastRow.model_fields)
    assert list(frame["beyond_horizon"]) == [False] * 14 + [True] * 6


def test_the_table_marks_what_lies_beyond(terminal: Terminal):
    """A star stands at days beyond the horizon, and the table fits the terminal."""
    answer = terminal("forecast", "make", "--tenant", ODD, "--product", BUTTER, "--days", "16")
    assert answer.status == 0, answer.err
    assert "2024-08-01 " in answer.out
    assert "2024-08-02*" in answer.out
    assert max(map(len, answer.lines)) <= 80


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--days", "400", "--confidence", "0.2"],
            "days = 400: must be at most 365; confidence = 0.2: must be at least",
        ),
        (["--product", "cake"], "products = 'cake': tenant 'odd-till' does not sell it"),
        (["--out", "plan.xls"], "--out 'plan.xls' must end in .csv, .parquet or .json"),
    ],
)
def test_what_cannot_be_made_is_refused(terminal: Terminal, options: list[str], words: str):
    """One message with field, value and rule; exit status 1."""
    answer = terminal("forecast", "make", "--tenant", ODD, *options)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith(f"ConfigurationError: {words}")


def test_what_is_not_sold_any_more_is_named(terminal: Terminal):
    """Among others it is told on stderr; alone it is an error."""
    answer = terminal("forecast", "make", "--tenant", ODD, "--product", tills.GONE, "--product", BUTTER)
    assert answer.status == 0
    assert answer.err == f"no forecast of {tills.GONE!r}: not sold any more\n"
    alone = terminal("forecast", "make", "--tenant", ODD, "--product", tills.GONE)
    assert (alone.status, alone.err.startswith("DataError: tenant 'odd-till' has no forecast")) == (1, True)
