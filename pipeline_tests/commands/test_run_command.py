"""`pipeline run` on a user's own file."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.defs.ingestion import assets
from pipeline.home import Home
from pipeline_tests.commands.conftest import Answer, Terminal, apart
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import World

GOODS = ("Käsestange", "Brezel; süß", "Mohnkuchen, Stück")


def german(path: Path) -> pd.DataFrame:
    """Write a German till's export: semicolons, decimal commas, Windows-1252, headings of its own."""
    rows = pd.concat([tills.steady(name, 9, days=90) for name in GOODS], ignore_index=True)
    rows["quantity"] = rows["quantity"] + np.where(np.arange(len(rows)) % 7 == 0, 0.5, 0)
    shown = rows.rename(columns={"date": "Datum", "product_id": "Artikel", "quantity": "Menge"})
    path.write_bytes(shown.to_csv(index=False, sep=";", decimal=",").encode("cp1252"))
    return rows


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, World, pd.DataFrame]:
    """The answer of a real process to a stranger's first command, where it was typed, and the sales."""
    folder = tmp_path_factory.mktemp("stranger")
    world = World(folder / "world")
    rows = german(folder / "kasse.csv")
    columns = "date=Datum,product_id=Artikel,quantity=Menge"
    command = ["run", "--sales", "kasse.csv", "--country", "DE", "--map", columns]
    return apart(world, *command, cwd=folder, LOG_LEVEL="INFO"), world, rows


def test_a_users_own_file_needs_no_other_configuration(ran: tuple[Answer, World, pd.DataFrame]):
    """Semicolons, decimal commas, umlauts and own headings come through; every unit is there."""
    answer, world, rows = ran
    assert answer.status == 0, answer.err
    sales = pd.read_parquet(world.home.table("kasse", "sales"))
    sold, wanted = (frame.groupby("product_id")["quantity"].sum().to_dict() for frame in (sales, rows))
    assert sold == wanted
    assert set(pd.read_parquet(world.home.table("kasse", "forecasts"))["product_id"]) == set(GOODS)


def test_the_run_ends_with_what_came_of_it(ran: tuple[Answer, World, pd.DataFrame]):
    """The last lines are a table with the counts and errors, where things lie, and what to type next."""
    answer, world, _ = ran
    row = next(line.split() for line in answer.lines if line.split()[0] == "kasse")
    assert row[1:5] == ["3", "0", "0", "0"]
    assert 0 < float(row[5]) < 1
    for place in (world.home.table("kasse", "forecasts"), world.home.models, world.home.report("kasse")):
        assert place.exists()
        assert str(place) in answer.out
    said = answer.out[answer.out.index("Next:") :]
    assert "forecast show --tenant kasse" in said
    assert max(len(line) for line in answer.lines if str(world.root) not in line) <= 80


def test_the_run_is_quiet(ran: tuple[Answer, World, pd.DataFrame]):
    """On stderr stands the progress alone: no warning, no log of a library, no traceback."""
    answer, _, _ = ran
    noise = [line for line in answer.err.splitlines() if line.strip() and "━" not in line]
    assert noise == []


def test_the_tenant_is_kept_for_the_next_time(
    ran: tuple[Answer, World, pd.DataFrame], capsys: pytest.CaptureFixture[str]
):
    """The second run needs the tenant's name alone, trains nothing, and as JSON prints nothing else."""
    _, world, _ = ran
    answer = Terminal(world, capsys)("run", "--tenant", "kasse", "--json")
    assert answer.status == 0, answer.err
    (row,) = json.loads(answer.out)
    assert {name: row[name] for name in ("tenant", "trained", "skipped", "insufficient", "failed")} == {
        "tenant": "kasse",
        "trained": 0,
        "skipped": 3,
        "insufficient": 0,
        "failed": 0,
    }
    assert 0 < row["WAPE"] < 1
    assert answer.err == ""


def test_a_failed_run_has_its_status_in_json_too(fresh: Terminal, tmp_path: Path):
    """Machines learn of a failed run by status 1, and the JSON has the tenant without figures."""
    place = tills.write(tills.steady("Bun", days=40).rename(columns={"date": "day"}), tmp_path / "bakery.csv")
    answer = fresh("run", "--sales", place, "--country", "ES", "--json")
    assert answer.status == 1
    (row,) = json.loads(answer.out)
    assert row["tenant"] == "bakery"
    assert row["trained"] is None
    assert answer.err.startswith("bakery: sales: MissingColumnsError: ")
    assert Home(fresh.world.home.root).tenants.joinpath("bakery.toml").exists()


def test_ctrl_c_ends_the_whole_command(fresh: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The tenant at work is cancelled, which is said, and none of the others is begun."""
    for name in ("first", "second"):
        fresh.world.add(name, tills.write(tills.steady("Bun", days=40), tmp_path / f"{name}.csv"))
    monkeypatch.setattr(assets, "extract_sales", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    answer = fresh("run")
    assert answer.status == 1
    assert "first: cancelled: it was asked to stop" in answer.err
    assert "second" not in answer.out + answer.err
