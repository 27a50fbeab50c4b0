"""`pipeline forecast evaluate`: how good the forecasts were that the shop had, by real runs over twelve days."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contracts import Metrics
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, Finished, World

BUN, LOAF = tills.STEADY[:2]
ORIGINS = ("2024-07-18", "2024-07-21", "2024-07-25", "2024-07-30")
DAYS = [dt.date(2024, 7, day) for day in range(19, 31)]
SHUT, SOLD_OUT = dt.date(2024, 7, 23), dt.date(2024, 7, 27)
"""A day of which the whole till tells nothing, and one on which the first product was sold out."""


def sales_until(world: World, last: str) -> pd.DataFrame:
    """The twin's sales through a later day, with `sold_out`."""
    before = pd.read_csv(world.root / "exports" / "twin.csv")
    days = pd.Series([day for day in DAYS if day != SHUT and f"{day}" <= last], dtype=object).astype(str)
    units = {name: [(7 * k + start) % 23 + 20 for k in range(len(days))] for name, start in ((BUN, 3), (LOAF, 11))}
    later = [pd.DataFrame({"date": days, "product_id": name, "quantity": sold}) for name, sold in units.items()]
    together = pd.concat([before[before["date"] <= "2024-07-18"], *later], ignore_index=True)
    return together.assign(sold_out=(together["date"] == f"{SOLD_OUT}") & (together["product_id"] == BUN))


def date_back(world: World) -> None:
    """Let each forecast have been made at five in the morning after its origin, as every night does."""
    for path in world.home.issued(TWIN).glob("*.parquet"):
        moment = pd.Timestamp(path.stem, tz="Europe/Madrid") + pd.Timedelta(days=1, hours=5)
        pd.read_parquet(path).assign(issued_at=moment.tz_convert("UTC")).to_parquet(path, index=False)


@pytest.fixture(scope="module")
def lived(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The twin's till twelve days later, forecast four times on the way; not to be changed."""
    world = finished.world.copied(tmp_path_factory.mktemp("lived") / "world")
    for origin in ORIGINS[1:]:
        place = tills.write(sales_until(world, origin), world.root / "exports" / "later.csv")
        world.add(TWIN, place, country="FR")
        run = world.run(TWIN, "daily_forecast")
        assert run.success, run.errors
    date_back(world)
    return world


@pytest.fixture
def later(lived: World, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A terminal there."""
    return Terminal(lived, capsys)


def evaluated(terminal: Terminal, *options: str) -> dict[str | None, dict[str, Any]]:
    """What the command prints as JSON, by product; None are all."""
    answer = terminal("forecast", "evaluate", TWIN, *options, "--json")
    assert answer.status == 0, answer.err
    return {row["product_id"]: row for row in json.loads(answer.out)}


def by_hand(world: World, product: str, days: list[dt.date], ahead: int = 1) -> dict[str, Any]:
    """The figures of a product, worked out day by day from the till's file and the files of issued forecasts."""
    till = sales_until(world, ORIGINS[-1])
    mine = till[(till["product_id"] == product) & ~till["sold_out"]]
    sold = {dt.date.fromisoformat(day): units for day, units in zip(mine["date"], mine["quantity"], strict=True)}
    week, one = dt.timedelta(days=7), dt.timedelta(days=1)
    errors, naive_errors, scaled, units, signed, inside, shares = [], [], {}, 0.0, 0.0, 0, []
    for day in days:
        origin = max(o for o in map(dt.date.fromisoformat, ORIGINS) if o <= day - ahead * one)
        rows = pd.read_parquet(world.home.issued(TWIN) / f"{origin}.parquet")
        (row,) = rows[(rows["product_id"] == product) & (rows["date"] == day)].to_dict("records")
        if day not in sold:
            continue
        same = day - week
        while same > origin or same not in sold:
            same -= week
        history = [when for when in sold if origin - 371 * one < when <= origin]
        steps = [abs(sold[when] - sold[when - week]) for when in history if when - week in history]
        errors.append(abs(row["y_hat"] - sold[day]))
        naive_errors.append(abs(sold[same] - sold[day]))
        scaled.setdefault(origin, []).append(errors[-1] / statistics.mean(steps))
        units, signed = units + sold[day], signed + row["y_hat"] - sold[day]
        inside += row["lower"] <= sold[day] <= row["upper"]
        shares.append(errors[-1] / sold[day])
    return {
        "n": len(errors),
        "wape": sum(errors) / units,
        "naive_wape": sum(naive_errors) / units,
        "mase": statistics.mean(map(statistics.mean, scaled.values())),
        "bias": signed / units,
        "coverage": inside / len(errors),
        "mape": 100 * statistics.mean(shares),
        "units": units,
    }


@pytest.mark.parametrize("ahead", [1, 3])
def test_the_figures_are_those_worked_out_by_hand(later: Terminal, ahead: int):
    """Of each product, and of all: WAPE, MASE, bias, coverage, MAPE and the naive's WAPE, day by day from the files."""
    options = ["--days", "12"] if ahead == 1 else ["--start", "2024-07-21", "--end", "2024-07-30", "--ahead", "3"]
    found = evaluated(later, *options)
    days = DAYS if ahead == 1 else DAYS[2:]
    expected = {product: by_hand(later.world, product, days, ahead) for product in (BUN, LOAF)}
    assert list(found) == [*sorted(expected, key=lambda product: -expected[product]["wape"]), None]
    for product, known in expected.items():
        units = known.pop("units")
        assert {name: found[product][name] for name in known} == pytest.approx(known)
        assert found[product]["mae"] * known["n"] == pytest.approx(known["wape"] * units)
        known["units"] = units
    total = sum(known["units"] for known in expected.values())
    for name in ("wape", "naive_wape", "bias"):
        pooled = sum(known[name] * known["units"] for known in expected.values()) / total
        assert found[None][name] == pytest.approx(pooled)
    assert set(found[None]) == {"product_id", "left_out", "naive_wape", "grade", *Metrics.model_fields}


def test_days_that_teach_nothing_are_not_scored(later: Terminal):
    """The day without a row scores nobody, the sold-out day not its product; both are counted, and told."""
    found = evaluated(later, "--days", "12")
    assert {product: (row["n"], row["left_out"]) for product, row in found.items()} == {
        BUN: (10, 2),
        LOAF: (11, 1),
        None: (21, 3),
    }
    answer = later("forecast", "evaluate", TWIN, "--days", "12")
    assert "3 forecasts are not scored: the shop was closed" in " ".join(answer.lines)


def test_grades_follow_the_settings(later: Terminal):
    """The grade is that of the MAPE, with the limits that are set."""
    mape = evaluated(later)[BUN]["mape"]
    limits = {"GRADE_EXCELLENT": mape - 2, "GRADE_GOOD": mape - 1, "GRADE_ACCEPTABLE": mape + 1}
    answer = later(
        "forecast", "evaluate", TWIN, "--product", BUN, "--json", **{name: str(at) for name, at in limits.items()}
    )
    assert [row["grade"] for row in json.loads(answer.out)] == ["acceptable", "acceptable"]


def test_days_before_the_first_forecast_are_told(later: Terminal):
    """The last 28 days are meant where nothing is said; those that have no forecast are counted on stderr."""
    answer = later("forecast", "evaluate", TWIN)
    assert answer.status == 0
    assert f"{TWIN}, 2024-07-03 to 2024-07-30" in answer.out
    assert answer.err == "16 of these days have no forecast; the first that has one is 2024-07-19\n"
    assert evaluated(later) == evaluated(later, "--days", "12")
    assert evaluated(later, "--start", "2024-07-19", "--end", "2024-08-30") == evaluated(later)


@pytest.mark.parametrize("columns", ["80", "100"])
def test_the_table_fits_the_terminal(later: Terminal, columns: str):
    """Every figure has its column, and all products stand last; what is left out stands there where there is room."""
    answer = later("forecast", "evaluate", TWIN, COLUMNS=columns)
    assert max(map(len, answer.lines)) <= int(columns)
    (heading,) = [line for line in answer.lines if "WAPE" in line]
    for word in ("product", "days", "WAPE", "naive", "MASE", "bias", "coverage", "grade"):
        assert word in heading.split()
    assert ("left out" in heading) == (columns == "100")
    assert [line.split()[0] for line in answer.lines].count("(all)") == 1


def test_what_is_made_after_the_day_is_no_forecast(lived: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Where forecasts were made late the earlier one counts; where all were there is nothing to hold against."""
    world = lived.copied(tmp_path / "world")
    terminal, folder = Terminal(world, capsys), world.home.issued(TWIN)
    late = folder / f"{ORIGINS[2]}.parquet"
    pd.read_parquet(late).assign(issued_at=pd.Timestamp("2024-08-01", tz="UTC")).to_parquet(late, index=False)
    with_late = evaluated(terminal, "--days", "12")
    late.unlink()
    assert with_late == evaluated(terminal, "--days", "12") != evaluated(Terminal(lived, capsys), "--days", "12")
    for path in folder.glob("*.parquet"):
        pd.read_parquet(path).assign(issued_at=pd.Timestamp("2024-08-01", tz="UTC")).to_parquet(path, index=False)
    answer = terminal("forecast", "evaluate", TWIN)
    assert (answer.status, answer.out) == (1, "")
    assert "was made in time" in answer.err
    assert "the first was made at 2024-08-01 00:00 UTC" in answer.err


def test_a_product_without_a_forecast_is_named(lived: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Among others it is told on stderr; alone it is an error."""
    world = lived.copied(tmp_path / "world")
    for path in world.home.issued(TWIN).glob("*.parquet"):
        frame = pd.read_parquet(path)
        frame[frame["product_id"] != LOAF].to_parquet(path, index=False)
    terminal = Terminal(world, capsys)
    answer = terminal("forecast", "evaluate", TWIN, "--days", "12", "--product", BUN, "--product", LOAF)
    assert (answer.status, answer.err) == (0, f"no forecast of {LOAF!r} in these days\n")
    alone = terminal("forecast", "evaluate", TWIN, "--days", "12", "--product", LOAF)
    assert (alone.status, "is of a product asked for" in alone.err) == (1, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--days", "6", "--ahead", "0"], "ConfigurationError: days = 6: must be at least 7; ahead = 0: must be at"),
        (["--days", "9", "--start", "2024-07-01"], "ConfigurationError: days = 9: either days must be given, or start"),
        (["--start", "2024-07-01"], "ConfigurationError: days = None: either days must be given, or start and end"),
        (
            ["--start", "2024-07-01", "--end", "2024-07-03"],
            "ConfigurationError: end = '2024-07-03': must leave at least",
        ),
        (["--product", "cake"], "ConfigurationError: products = 'cake': tenant 'twin' does not sell it"),
        (
            ["--start", "2024-08-01", "--end", "2024-08-20"],
            "DataError: start = 2024-08-01: the sales of tenant 'twin' reach to 2024-07-30",
        ),
        (
            ["--start", "2024-06-01", "--end", "2024-07-18"],
            "DataError: no forecast of tenant 'twin' is for 2024-06-01 to 2024-07-18: they were made from 2024-07-18",
        ),
        (["--ahead", "40"], "DataError: no forecast of tenant 'twin' for 2024-07-03 to 2024-07-30 was made in time"),
    ],
)
def test_what_cannot_be_answered_is_told(later: Terminal, options: list[str], words: str):
    """One message that says what is wrong with what was asked, or why nothing can be held against the sales."""
    answer = later("forecast", "evaluate", TWIN, *options)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith(words)


def test_without_forecasts_or_tenant_it_says_so(copied: Terminal):
    """An unknown tenant, and one that was never forecast for, are told as what they are."""
    unknown = copied("forecast", "evaluate", "nobody")
    assert (unknown.status, unknown.err.startswith("TenantError: ")) == (1, True)
    for path in copied.world.home.issued(ODD).iterdir():
        path.unlink()
    answer = copied("forecast", "evaluate", ODD)
    assert answer.status == 1
    assert answer.err.startswith("DataError: tenant 'odd-till' has issued no forecast yet")


def test_another_run_from_the_same_origin_changes_no_day_that_is_over(
    lived: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Forecast again without new sales, long after, the days keep what was issued, and the figures stay."""
    world = lived.copied(tmp_path / "world")
    before = evaluated(Terminal(world, capsys))
    kept, now = world.home.issued(TWIN) / f"{ORIGINS[-1]}.parquet", world.home.table(TWIN, "forecasts")
    moments = pd.read_parquet(kept)["issued_at"].unique()
    run = world.run(TWIN, "daily_forecast")
    assert run.success, run.errors
    assert list(pd.read_parquet(kept)["issued_at"].unique()) == list(moments)
    assert (pd.read_parquet(now)["issued_at"] > moments.max()).all()
    assert evaluated(Terminal(world, capsys)) == before


def test_a_first_run_kept_what_it_issued(terminal: Terminal):
    """The run's own forecast lies beside the stored one, and says the same."""
    (path,) = terminal.world.home.issued(ODD).iterdir()
    assert path.name == "2024-07-18.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(terminal.world.home.table(ODD, "forecasts")))
