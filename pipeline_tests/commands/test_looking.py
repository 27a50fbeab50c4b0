"""`pipeline models`, `forecast show` and `tenants`: tables for people, JSON for machines."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from contracts import Explanation, FileSource, ModelManifest, Tenant
from pipeline.tenants import save_tenant
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN

BUTTER = tills.STEADY[0]
LOOKS = [
    ["models", "list", "--tenant", ODD],
    ["models", "list", "--tenant", ODD, "--deployed"],
    ["models", "list", "--tenant", ODD, "--product", BUTTER],
    ["models", "list", "--tenant", ODD, "--family", "lightgbm", "--type", "forecast", "--max-wape", "0.9"],
    ["models", "show", BUTTER, "--tenant", ODD],
    ["models", "history", BUTTER, "--tenant", ODD],
    ["models", "verify", "--tenant", ODD],
    ["forecast", "show", "--tenant", ODD],
    ["forecast", "show", "--tenant", ODD, "--product", BUTTER],
    ["forecast", "show", "--tenant", ODD, "--date", "2024-07-20"],
    ["forecast", "explain", ODD, BUTTER],
    ["forecast", "explain", ODD, tills.STEADY[4]],
    ["forecast", "explain", ODD, tills.STEADY[5], "--date", "2024-07-20"],
    ["forecast", "explain", ODD, tills.RARE],
    ["forecast", "explain", ODD, tills.SHORT],
    ["tenants", "list"],
]
TEXTS = [" ".join(words[:2]) + "".join(f" {word}" for word in words[4:6]) for words in LOOKS]


@pytest.mark.parametrize("command", LOOKS, ids=TEXTS)
def test_tables_fit_the_terminal(terminal: Terminal, command: list[str]):
    """No line is longer than 80, whatever the products are called, and nothing rings or moves the cursor."""
    answer = terminal(*command)
    assert answer.status == 0, answer.err
    assert max(map(len, answer.lines)) <= 80
    assert all(c.isprintable() or c == "\n" for c in answer.out)


@pytest.mark.parametrize("command", LOOKS, ids=TEXTS)
def test_json_is_alone_on_stdout(terminal: Terminal, command: list[str]):
    """With --json stdout holds JSON and nothing else, and stderr is silent."""
    answer = terminal(*command, "--json")
    assert answer.status == 0
    json.loads(answer.out)
    assert answer.err == ""


def test_the_forecast_of_all_products_is_for_the_next_day(terminal: Terminal):
    """Without a day the first one is shown, one row a product, the largest first."""
    rows = json.loads(terminal("forecast", "show", "--tenant", ODD, "--json").out)
    assert {row["date"] for row in rows} == {"2024-07-19"}
    assert {row["product_id"] for row in rows} == {*tills.TRAINED, tills.SHORT}
    assert [row["y_hat"] for row in rows] == sorted((row["y_hat"] for row in rows), reverse=True)
    said = terminal("forecast", "show", "--tenant", ODD)
    assert "Friday 19 July 2024, from sales up to 2024-07-18" in said.out
    rungs = ("champion", "borrowed", "seasonal_naive")
    assert len([line for line in said.lines if any(rung in line for rung in rungs)]) >= 8


def test_the_next_day_is_none_that_is_over(copied: Terminal):
    """Where the sales end earlier than yesterday, what is shown is for today, where the tenant is."""
    place = copied.world.home.table(ODD, "forecasts")
    stored = pd.read_parquet(place)
    today = dt.datetime.now(ZoneInfo("Europe/Madrid")).date()
    first = pd.Timestamp(stored["date"].astype(str).min())
    ahead = (pd.to_datetime(stored["date"].astype(str)) - first).dt.days
    stored.assign(date=[today + dt.timedelta(days=int(days) - 2) for days in ahead]).to_parquet(place)
    rows = json.loads(copied("forecast", "show", "--tenant", ODD, "--json").out)
    assert {row["date"][:10] for row in rows} == {str(today)}
    assert "over" not in copied("forecast", "show", "--tenant", ODD).out
    past = ["forecast", "show", "--tenant", ODD, "--date", str(today - dt.timedelta(days=2))]
    assert "that day is over" in " ".join(copied(*past).out.split())


def test_the_forecast_of_one_product_has_every_day(terminal: Terminal):
    """With a product, every day of the horizon is shown; with a day too, that one."""
    stored = pd.read_parquet(terminal.world.home.table(ODD, "forecasts"))
    stored = stored[stored["product_id"] == BUTTER]
    rows = json.loads(terminal("forecast", "show", "--tenant", ODD, "--product", BUTTER, "--json").out)
    assert [row["date"] for row in rows] == [str(day) for day in stored["date"]]
    assert [row["y_hat"] for row in rows] == pytest.approx(list(stored["y_hat"]))
    command = ["forecast", "show", "--tenant", ODD, "--product", BUTTER, "--date", "2024-07-25"]
    (row,) = json.loads(terminal(*command, "--json").out)
    assert row["date"] == "2024-07-25"
    shown = next(line for line in terminal(*command).lines if "2024-07-25" in line)
    assert [f"{row[name]:.1f}" for name in ("y_hat", "lower", "upper")] == shown.split()[1:4]


@pytest.mark.parametrize(("date", "decimals"), [("2024-07-20", 1), ("2024-07-25", 2)])
def test_an_explanation_adds_up_to_the_stored_forecast(terminal: Terminal, date: str, decimals: int):
    """The parts are together the forecast that the run has stored for the day, and what is printed says so."""
    stored = pd.read_parquet(terminal.world.home.table(ODD, "forecasts"))
    (row,) = stored[(stored["product_id"] == BUTTER) & (stored["date"].astype(str) == date)].to_dict("records")
    command = ["forecast", "explain", ODD, BUTTER, "--date", date]
    told = Explanation.model_validate_json(terminal(*command, "--json").out)
    assert sum(part.units for part in told.parts) == pytest.approx(row["y_hat"], rel=1e-6)
    assert (told.lower, told.upper) == pytest.approx((row["lower"], row["upper"]))
    assert (told.stored, str(told.date), told.model_version) == (row["y_hat"], date, row["model_version"])
    said = terminal(*command)
    assert f"{row['y_hat']:.{decimals}f} expected" in said.out
    assert "stored forecast" not in said.out
    words = [line.split() for line in said.lines]
    assert ["together", f"{row['y_hat']:.{decimals}f}"] in [line[:2] for line in words]
    assert {member.family for member in told.members} <= {line[0] for line in words}


def test_saturday_is_named_as_the_reason(terminal: Terminal):
    """These tills sell more on weekends: the weekday is the largest part beside the level, and adds to it."""
    command = ["forecast", "explain", ODD, BUTTER, "--date", "2024-07-20", "--json"]
    level, weekday, *_ = Explanation.model_validate_json(terminal(*command).out).parts
    assert (level.words, weekday.words) == ("level", "Saturday")
    assert weekday.units > 2


def test_an_overtaken_forecast_is_told_of(copied: Terminal):
    """Where the stored forecast is not what the newest sales give, the explanation says so with its number."""
    place = copied.world.home.table(ODD, "forecasts")
    stored = pd.read_parquet(place)
    stored.assign(y_hat=stored["y_hat"] + 1000).to_parquet(place)
    assert "The stored forecast says 1,0" in copied("forecast", "explain", ODD, BUTTER).out


def test_a_day_beyond_the_horizon_has_no_forecast(terminal: Terminal):
    """A day that was not forecast is an error that names the days which are."""
    answer = terminal("forecast", "show", "--tenant", ODD, "--date", "2030-01-01")
    days = pd.read_parquet(terminal.world.home.table(ODD, "forecasts"))["date"].astype(str)
    said = f"ConfigurationError: nothing is forecast for 2030-01-01; the days are {days.min()} to {days.max()}\n"
    assert (answer.status, answer.out, answer.err) == (1, "", said)


def test_models_are_listed_with_their_errors(terminal: Terminal):
    """Every model has its version, its error and the naive's, and the one in use is marked."""
    rows = json.loads(terminal("models", "list", "--tenant", ODD, "--json").out)
    assert {row["product"] for row in rows} == set(tills.TRAINED)
    assert all(row["in use"] == "yes" for row in rows if row["product"] in tills.STEADY[1:2])
    butter = next(row for row in rows if row["product"] == BUTTER)
    assert 0 < butter["WAPE"] < butter["naive"] < 1
    assert butter["origin"] == "2024-07-18"
    said = terminal("models", "list", "--tenant", ODD)
    assert butter["version"] in said.out
    assert f"{butter['WAPE']:.3f}" in said.out
    assert f"{butter['naive']:.3f}" in said.out
    assert "yes" in said.out


def test_models_can_be_paged(terminal: Terminal):
    """Pages of the list neither overlap nor leave anything out."""
    pages = [
        json.loads(terminal("models", "list", "--tenant", ODD, "--limit", "3", "--offset", str(at), "--json").out)
        for at in (0, 3, 6, 9)
    ]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert {row["product"] for page in pages for row in page} == set(tills.TRAINED)


def test_a_model_is_shown_whole(terminal: Terminal):
    """The JSON is the manifest itself; the tables name every member, file and checksum."""
    answer = terminal("models", "show", BUTTER, "--tenant", ODD, "--json")
    manifest = ModelManifest.model_validate_json(answer.out)
    assert (manifest.tenant_id, manifest.product_id) == (ODD, BUTTER)
    said = "".join(terminal("models", "show", BUTTER, "--tenant", ODD).out.split())
    for member in manifest.members:
        assert member.family in said
        for ref in member.files:
            assert f"{member.family}/{ref.name}" in said
            assert ref.sha256[:40] in said
    assert manifest.version in said
    assert manifest.data_fingerprint[:40] in said
    assert "covariatesnone" in said
    assert "Itsrecipeagainst" not in said


def test_a_model_that_changed_its_recipe_shows_what_it_was_held_against(copied: Terminal):
    """After a change of settings the new model's page has the champion's version and the losses of both recipes."""
    before = ModelManifest.model_validate_json(copied("models", "show", BUTTER, "--tenant", ODD, "--json").out)
    quick = {"WITHOUT_FAMILIES": "lightgbm,lightgbm_direct,ets,theta", "TUNING_ENABLED": "false"}
    copied("run", "--tenant", ODD, **quick)
    history = json.loads(copied("models", "history", BUTTER, "--tenant", ODD, "--json").out)
    version = ("--version", history[0]["version"])
    after = ModelManifest.model_validate_json(copied("models", "show", BUTTER, *version, "--tenant", ODD, "--json").out)
    assert after.against is not None
    assert after.against.version == before.version
    said = "".join(copied("models", "show", BUTTER, *version, "--tenant", ODD).out.split())
    assert "Itsrecipeagainstthechampion's" in said
    assert f"days{after.against.days}" in said


def test_verify_says_that_all_is_whole(terminal: Terminal):
    """Untouched models are counted and found whole, with status 0."""
    answer = terminal("models", "verify", "--tenant", ODD)
    assert (answer.status, answer.out) == (0, f"7 models of {ODD} are whole\n")


def test_verify_finds_one_flipped_bit(copied: Terminal):
    """One bit flipped in one stored object: status 1, and the product and the file are named; no other product."""
    manifest = ModelManifest.model_validate_json(copied("models", "show", BUTTER, "--tenant", ODD, "--json").out)
    (ref,) = [ref for member in manifest.members if member.family == "prophet" for ref in member.files]
    (stored,) = (copied.world.home.models / ref.sha256[:2]).glob(f"{ref.sha256[2:]}*")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    answer = copied("models", "verify", "--tenant", ODD)
    assert answer.status == 1
    assert BUTTER in answer.out
    assert ref.name in "".join(answer.out.split())
    (row,) = json.loads(copied("models", "verify", "--tenant", ODD, "--json").out)
    assert (row["product"], row["version"]) == (BUTTER, manifest.version)
    assert ref.name in row["fault"]
    assert copied("models", "verify", "--tenant", ODD, "--product", tills.STEADY[1]).status == 0
    assert copied("models", "verify", "--tenant", TWIN).status == 0


def test_verify_moves_what_is_broken_out_of_the_way(copied: Terminal):
    """With --quarantine the broken file lies in quarantine, the audit knows, and the answer says what to type next."""
    manifest = ModelManifest.model_validate_json(copied("models", "show", BUTTER, "--tenant", ODD, "--json").out)
    (ref,) = [ref for member in manifest.members if member.family == "prophet" for ref in member.files]
    (stored,) = (copied.world.home.models / ref.sha256[:2]).glob(f"{ref.sha256[2:]}*")
    stored.write_bytes(b"rubbish")
    answer = copied("models", "verify", "--tenant", ODD, "--quarantine")
    assert answer.status == 1
    assert f"`pipeline run --tenant {ODD}` trains them again" in answer.out
    assert f'`pipeline models rollback "{BUTTER}" --tenant {ODD}`' in answer.out
    assert not stored.exists()
    (aside,) = (copied.world.home.models / "quarantine").iterdir()
    assert aside.read_bytes() == b"rubbish"
    assert aside.name in answer.out
    (row,) = json.loads(copied("models", "verify", "--tenant", ODD, "--json").out)
    assert "is missing" in row["fault"]


def test_verify_finds_a_missing_object(copied: Terminal):
    """A stored object that is gone is named with the model that needs it."""
    manifest = ModelManifest.model_validate_json(copied("models", "show", BUTTER, "--tenant", TWIN, "--json").out)
    ref = next(ref for member in manifest.members if member.family == "linear" for ref in member.files)
    next((copied.world.home.models / ref.sha256[:2]).glob(f"{ref.sha256[2:]}*")).unlink()
    rows = json.loads(copied("models", "verify", "--tenant", TWIN, "--json").out)
    assert BUTTER in {row["product"] for row in rows}
    assert all(f"{ref.name} ({ref.sha256}) is missing" in row["fault"] for row in rows)


def test_tenants_are_added_and_listed(fresh: Terminal, tmp_path: Path):
    """An added tenant is listed with its place and source, its time zone found from its country."""
    assert fresh("tenants", "list").out.startswith("no tenant yet")
    place = tills.write(tills.steady("Bun", days=40), tmp_path / "exports" / "sales.csv")
    added = fresh("tenants", "add", "--sales", place, "--country", "es", "--region", "MD", "--name", "Sol")
    assert added.status == 0, added.err
    assert "pipeline run --tenant exports" in " ".join(added.out.split())
    assert json.loads(fresh("tenants", "list", "--json").out) == [
        {
            "tenant": "exports",
            "name": "Sol",
            "country": "ES-MD",
            "time zone": "Europe/Madrid",
            "sales": str(place),
        }
    ]


def test_a_tenant_is_added_with_its_town(fresh: Terminal, tmp_path: Path):
    """A known town stands in the tenant's file; another is an error that names those known, and adds nothing."""
    place = tills.write(tills.steady("Bun", days=40), tmp_path / "bakery.csv")
    command = ["tenants", "add", "--sales", place, "--country", "ES", "--region", "CT", "--town"]
    refused = fresh(*command, "Madrid")
    assert refused.status == 1
    assert "known for ES, region CT: Barcelona, Lleida, Tarragona" in " ".join(refused.err.split())
    assert json.loads(fresh("tenants", "list", "--json").out) == []
    assert fresh(*command, "Barcelona").status == 0
    assert 'town = "Barcelona"' in (fresh.world.home.tenants / "bakery.toml").read_text(encoding="utf-8")


def test_an_added_tenant_is_a_partition_at_once(fresh: Terminal, tmp_path: Path):
    """The Dagster UI offers a tenant as soon as it is added; no daemon is needed for that."""
    place = tills.write(tills.steady("Bun", days=40), tmp_path / "bakery.csv")
    assert fresh("tenants", "add", "--sales", place, "--country", "ES").status == 0
    with fresh.world.instance() as instance:
        assert instance.get_dynamic_partitions("tenants") == ["bakery"]


def test_listed_places_hold_no_secret(fresh: Terminal):
    """Passwords and signatures of a tenant's source are not printed, neither as a table nor as JSON."""
    for name, place in (("a", "sftp://bob:s3cret@host/in/*.csv"), ("b", "https://host/b.csv?X-Amz-Signature=s3cret")):
        source = FileSource(path=place)
        save_tenant(fresh.world.home, Tenant(id=name, name=name, country="ES", timezone="Europe/Madrid", source=source))
    rows = json.loads(fresh("tenants", "list", "--json").out)
    assert [row["sales"] for row in rows] == ["sftp://host/in/*.csv", "https://host/b.csv?X-Amz-Signature=***"]
    said = fresh("tenants", "list")
    assert "s3cret" not in said.out + said.err


def test_a_broken_tenant_is_named_beside_the_others(copied: Terminal):
    """One broken tenant file hides no tenant: the others are listed, it is named with why, and the status is 1."""
    (copied.world.home.tenants / "torn.toml").write_text("id = [", encoding="utf-8")
    answer = copied("tenants", "list", "--json")
    assert answer.status == 1
    assert [row["tenant"] for row in json.loads(answer.out)] == [ODD, TWIN]
    assert answer.err.startswith("torn: TenantError: tenant file ")
    assert "torn.toml is not TOML" in answer.err


def test_the_registry_is_up_to_date(copied: Terminal):
    """Upgrading what is new already changes nothing and says so."""
    assert copied("registry", "upgrade").out == "the registry's schema is up to date\n"
