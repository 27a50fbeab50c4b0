"""Tenants as TOML files, and what is assumed where there is none."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts import (
    ClosingDays,
    ColumnMapping,
    CovariateKind,
    CovariateSource,
    FileSource,
    QuietHours,
    SignalKind,
    SignalSource,
    Tenant,
)
from contracts.base import TenantId
from pipeline.errors import TenantError, UnknownCountryError
from pipeline.home import Home
from pipeline.tenants import (
    country_names,
    default_timezone,
    infer_tenant_id,
    list_tenants,
    load_tenant,
    save_tenant,
    slugged,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An installation's home, empty."""
    return Home(tmp_path / "home")


def tenant(name: str = "shop", path: str = "/data/sales.csv") -> Tenant:
    """Return a small tenant."""
    return Tenant(id=name, name="Café «Sol» 🥐", country="ES", timezone="Europe/Madrid", source=FileSource(path=path))


FULL = Tenant(
    id="full",
    name="Everything",
    country="DE",
    region="BY",
    timezone="Europe/Berlin",
    source=FileSource(
        path="s3://bucket/*.csv",
        mapping=ColumnMapping(date="Datum", quantity='Menge "netto"'),
        delimiter="\t",
        encoding="cp1252",
        decimal=",",
        date_format="%d.%m.%Y",
        duplicates="keep",
        overlap="add",
    ),
    covariates=CovariateSource(path="/data/w.parquet", kinds={"rain": CovariateKind.FORECAST}),
    signals=(
        SignalSource(
            kind=SignalKind.WEATHER,
            url="https://sky.example/days",
            token="${PIPELINE_SOURCE_SKY}",
            parameters={"place": "Köln"},
            columns={"warmth": "t", "rain": "mm"},
        ),
        SignalSource(kind=SignalKind.TRAFFIC, url="https://road.example/days", columns={"passers": "n"}),
    ),
    closing=ClosingDays(weekdays=("sun", "mon"), dates=(dt.date(2024, 12, 24),), public_holidays=True),
    quiet_hours=QuietHours(start=dt.time(22, 30), end=dt.time(4)),
)


ASKED = (
    {"kind": "sql", "url": "postgresql://bob:${PIPELINE_SOURCE_X}@host/x", "query": "SELECT 1", "decimal": ","},
    {"kind": "http", "url": "https://till.example/sales", "token": "${PIPELINE_SOURCE_X}"},
)
LIVE = [Tenant.model_validate({**tenant().model_dump(), "source": source}) for source in ASKED]


@pytest.mark.parametrize("given", [tenant(), FULL, *LIVE], ids=["small", "full", "sql", "http"])
def test_a_tenant_comes_back_as_it_was_saved(home: Home, given: Tenant) -> None:
    """Every field survives the TOML file, which lies under the tenant's id."""
    assert save_tenant(home, given) == home.tenants / f"{given.id}.toml"
    assert load_tenant(home, given.id) == given
    assert list_tenants(home) == ([given], {})


def test_tenants_are_listed_in_order(home: Home) -> None:
    """The list is in order of id, and empty where there is no folder yet."""
    assert list_tenants(home) == ([], {})
    for name in ("b", "c", "a"):
        save_tenant(home, tenant(name))
    assert [found.id for found in list_tenants(home).usable] == ["a", "b", "c"]


def test_relative_paths_become_absolute(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local paths mean the same wherever the pipeline runs later; URLs and globs are left as they are."""
    monkeypatch.chdir(tmp_path)
    relative = tenant(path="sales/*.csv").model_copy(update={"covariates": CovariateSource(path="./w.csv")})
    save_tenant(home, relative)
    found = load_tenant(home, "shop")
    assert found.source.path == f"{tmp_path}/sales/*.csv"
    assert found.covariates is not None
    assert found.covariates.path == f"{tmp_path}/w.csv"
    save_tenant(home, tenant(path="memory://sales/*.csv"), replace=True)
    assert load_tenant(home, "shop").source.path == "memory://sales/*.csv"
    save_tenant(home, tenant(path="zip://a.csv::b.zip"), replace=True)
    assert load_tenant(home, "shop").source.path == "zip://a.csv::b.zip"
    save_tenant(home, tenant(path="~/sales.csv"), replace=True)
    assert load_tenant(home, "shop").source.path == os.path.expanduser("~/sales.csv")  # noqa: PTH111


def test_a_relative_database_becomes_absolute(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite file is the same one wherever the pipeline runs later; other databases are left as they are."""
    monkeypatch.chdir(tmp_path)
    for url, kept in (("sqlite:///a.db", f"sqlite:///{tmp_path}/a.db"), ("sqlite:////a.db", "sqlite:////a.db")):
        source = {"kind": "sql", "url": url, "query": "sales"}
        save_tenant(home, Tenant.model_validate({**tenant().model_dump(), "source": source}), replace=True)
        assert load_tenant(home, "shop").source.place == kept


def test_a_source_of_an_earlier_release_is_files(home: Home) -> None:
    """A tenant's file without the kind of its source goes on as it was, and a fault in it is named as it is written."""
    start = 'id = "shop"\nname = "Shop"\ncountry = "ES"\ntimezone = "UTC"\n[source]\npath = "/data/sales.csv"\n'
    home.tenants.mkdir(parents=True)
    (home.tenants / "shop.toml").write_text(start, encoding="utf-8")
    assert load_tenant(home, "shop").source == FileSource(path="/data/sales.csv")
    (home.tenants / "shop.toml").write_text(f'{start}duplicates = "some"\n', encoding="utf-8")
    with pytest.raises(TenantError, match=r"source\.duplicates = 'some'"):
        load_tenant(home, "shop")


def test_a_token_in_clear_is_refused_and_not_shown(home: Home) -> None:
    """Who writes the token itself into the tenant's file is told so, without it."""
    text = 'id = "shop"\nname = "Shop"\ncountry = "ES"\ntimezone = "UTC"\n[source]\nkind = "http"\nurl = "http://h/s"\n'
    home.tenants.mkdir(parents=True)
    (home.tenants / "shop.toml").write_text(f'{text}token = "s3cret"\n', encoding="utf-8")
    with pytest.raises(TenantError, match=r"source\.token = \*\*\*") as caught:
        load_tenant(home, "shop")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ['password = "s3cret"', 'api_key = "s3cret"', 'parameters = "s3cret"', 'headers = {X-Key = "s3cret"}']
)
def test_a_secret_in_a_wrong_place_is_not_shown(home: Home, line: str) -> None:
    """Who writes a secret under a name that is none, or where it does not belong, is told of the name alone."""
    text = 'id = "shop"\nname = "Shop"\ncountry = "ES"\ntimezone = "UTC"\n[source]\nkind = "http"\nurl = "http://h/s"\n'
    home.tenants.mkdir(parents=True)
    (home.tenants / "shop.toml").write_text(f"{text}{line}\n", encoding="utf-8")
    with pytest.raises(TenantError, match=line.partition(" ")[0]) as caught:
        load_tenant(home, "shop")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", [f"x = {'[' * 2000}", f"x = {'9' * 5000}"], ids=["deep", "long"])
def test_a_file_that_nobody_can_parse_stops_no_other_tenant(home: Home, text: str) -> None:
    """Depths and numbers that the parser gives up on are a broken file like any other."""
    home.tenants.mkdir(parents=True)
    (home.tenants / "odd.toml").write_text(text, encoding="utf-8")
    found = list_tenants(home)
    assert (found.usable, set(found.broken)) == ([], {"odd"})
    assert "is not TOML" in str(found.broken["odd"])


def test_a_tenant_is_not_overwritten_unasked(home: Home) -> None:
    """Another tenant of the same id needs `replace`; the same one again does not."""
    save_tenant(home, tenant())
    save_tenant(home, tenant())
    with pytest.raises(TenantError, match="'shop' exists already"):
        save_tenant(home, tenant(path="/other.csv"))
    assert load_tenant(home, "shop").source.path == "/data/sales.csv"
    save_tenant(home, tenant(path="/other.csv"), replace=True)
    assert load_tenant(home, "shop").source.path == "/other.csv"


def test_an_unknown_tenant(home: Home) -> None:
    """An unknown id is an error that lists the known ones."""
    with pytest.raises(TenantError, match="no tenant 'x'; known: none yet"):
        load_tenant(home, "x")
    save_tenant(home, tenant())
    with pytest.raises(TenantError, match="known: shop"):
        load_tenant(home, "x")


@pytest.mark.parametrize("name", ["../shop", "", "Shop", "a/b", "x" * 64, "-a", "a\n"])
def test_ids_cannot_leave_the_folder(home: Home, name: str) -> None:
    """An id that is no TenantId is refused before any path is made of it."""
    with pytest.raises(TenantError, match="must be 1 to 63"):
        load_tenant(home, name)


GOOD = 'id = "shop"\nname = "Shop"\ncountry = "ES"\ntimezone = "Europe/Madrid"\n[source]\npath = "/x.csv"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id = ", "is not TOML"),
        (GOOD.replace('"ES"', '"spain"'), r"country = 'spain': .*pattern"),
        (GOOD.replace("Europe/Madrid", "Mars"), r"timezone = 'Mars': .*Europe/Madrid"),
        (GOOD.replace('name = "Shop"\n', ""), "name = .*required"),
        (GOOD + 'delimeter = ";"\n', r"source\.delimeter = \*\*\*: .*not permitted"),
        (GOOD + '[source.mapping]\ndate = "x"\nquantity = "x"\n', "uses a column for two fields: x"),
        (GOOD.replace("shop", "other"), "holds the id 'other'; it must be the file's name, 'shop'"),
    ],
)
def test_a_broken_file_names_field_value_and_rule(home: Home, text: str, said: str) -> None:
    """A broken file is an error with its path, the field, the value and the rule; it hides no other tenant."""
    save_tenant(home, tenant("sound"))
    (home.tenants / "shop.toml").write_text(text, encoding="utf-8")
    with pytest.raises(TenantError, match=rf"(?s)shop\.toml.*{said}") as caught:
        load_tenant(home, "shop")
    usable, broken = list_tenants(home)
    assert [found.id for found in usable] == ["sound"]
    assert {name: str(error) for name, error in broken.items()} == {"shop": str(caught.value)}


def test_a_file_that_is_no_text(home: Home) -> None:
    """A file that is not UTF-8 is a TenantError, too."""
    home.tenants.mkdir(parents=True)
    (home.tenants / "shop.toml").write_bytes(b'id = "\xff"')
    with pytest.raises(TenantError, match="is not TOML"):
        load_tenant(home, "shop")


def test_a_file_that_cannot_be_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the system does not let us read is a TenantError with its path."""
    save_tenant(home, tenant())

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(TenantError, match=r"shop\.toml cannot be read: Permission denied"):
        load_tenant(home, "shop")


@pytest.mark.parametrize(
    ("path", "named", "expected"),
    [
        ("/x/Böckerei Süd.csv", (), "bockerei-sud"),
        ("/x/My Shop/sales.csv", (), "my-shop"),
        ("/x/My Shop/sales.csv.gz", (), "my-shop"),
        ("/x/shop/*.csv", (), "shop"),
        ("/x/shop/", (), "shop"),
        ("/sales/sales.parquet", (), "sales"),
        ("s3://bucket/till/sales.parquet", (), "till"),
        ("memory://corner.csv", (), "corner"),
        ("sftp://bob:s3cret@shop.example/sales.csv", (), "shop-example"),
        ("sftp://bob:s3/cr@et@shop.example/sales.csv", (), "shop-example"),
        ("https://shop.example/till.csv?X-Amz-Signature=s3cret&b=/c", (), "till"),
        ("zip://sales.csv::https://bob:s3cret@shop.example/north.zip", (), "north-zip"),
        ("s3://bucket/till/202?.csv", (), "till"),
        ("/x/sales.csv", ("Corner Shop", "corner shop", ""), "corner-shop"),
    ],
)
def test_an_id_is_inferred(path: str, named: tuple[str, ...], expected: str) -> None:
    """The one tenant that a file names, else the file's name, else its folder's."""
    assert infer_tenant_id(path, named) == expected


@pytest.mark.parametrize("named", [(), ("a", "b")])
def test_messages_about_paths_hold_no_secret(named: tuple[str, ...]) -> None:
    """A path that no id can be made of, or that holds several tenants, is named without login and signature."""
    with pytest.raises(TenantError) as caught:
        infer_tenant_id("sftp://bob:s3cret@*/*?sig=s3cret", named)
    assert "s3cret" not in str(caught.value)
    assert "sftp://*/*" in str(caught.value)


def test_several_tenants_need_a_choice() -> None:
    """A file of several tenants lists them."""
    with pytest.raises(TenantError, match="several tenants, a, b: choose one with --tenant"):
        infer_tenant_id("/x/sales.csv", ("a", "b"))


@given(text=st.text(max_size=100))
def test_any_name_gives_an_id(text: str) -> None:
    """Any name that is not blank gives a valid id, and an id gives itself or nothing worse."""
    found = slugged(text)
    if text.strip():
        TypeAdapter(TenantId).validate_python(found)
    assert slugged(found) == found


@pytest.mark.parametrize(
    ("country", "zone"),
    [
        ("ES", "Europe/Madrid"),
        ("US", "America/New_York"),
        ("AU", "Australia/Sydney"),
        ("UK", "Europe/London"),
        ("BR", "America/Sao_Paulo"),
        ("RU", "Europe/Moscow"),
        ("FR", "Europe/Paris"),
        ("DE", "Europe/Berlin"),
    ],
)
def test_the_zone_of_a_country(country: str, zone: str) -> None:
    """A country's zone is its capital's."""
    assert default_timezone(country) == zone


def test_every_country_has_a_zone() -> None:
    """Every country's zone is one that Python knows; a code that is no country's is an error."""
    without = {"BV", "HM"}  # Two uninhabited islands have none.
    assert all(ZoneInfo(default_timezone(code)) for code in set(country_names()) - without)
    with pytest.raises(UnknownCountryError, match="'QQ'"):
        default_timezone("QQ")
