"""Sales that do not arrive, models that grow old, forecasts that are not made show by product; masked days do not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts import ClosingDays, FileSource, Tenant
from pipeline.home import write_atomically
from pipeline.installation import Installation
from pipeline.monitoring.product_freshness import CLOCKS, COLUMNS, freshness_of_products
from pipeline.settings import Settings
from pipeline.sources.extract import extract_sales
from pipeline.tables import write_table
from pipeline.tenants import save_tenant
from pipeline_tests.registry import builders

MONDAY = pd.Timestamp("2026-01-05")
"""First of the sales: a Monday."""
LAST = pd.Timestamp("2026-03-01")
"""Last of the sales: a Sunday eight weeks later."""


def morning(days: int) -> dt.datetime:
    """Six in the morning in Madrid, so many days after the last sales."""
    return (LAST + pd.Timedelta(days=days, hours=5)).to_pydatetime().replace(tzinfo=dt.UTC)


def sales(product: str = "bread", units: float = 20, last: pd.Timestamp = LAST, **more: object) -> pd.DataFrame:
    """A product that sells every day up to its last."""
    days = pd.date_range(MONDAY, last)
    return pd.DataFrame({"date": days, "product_id": product, "quantity": units, **more})


class Shop:
    """An installation whose tenants' sales are really extracted."""

    def __init__(self, root: Path, **settings: object) -> None:
        self.root = root
        self.opened = Installation(Settings(pipeline_home=root / "home", **settings))

    def sell(self, *frames: pd.DataFrame, tenant_id: str = "shop", now: int = 1, **tenant: object) -> None:
        """Write a tenant's sales and extract them, as of some days after the last."""
        path = self.root / f"{tenant_id}.csv"
        pd.concat(frames).to_csv(path, index=False)
        made = Tenant(
            id=tenant_id, name=tenant_id, country="ES", timezone="Europe/Madrid", source=FileSource(path=str(path)),
            **tenant,
        )  # fmt: skip
        save_tenant(self.opened.home, made, replace=True)
        extract_sales(made, self.opened.home, self.opened.settings, morning(now))

    def forecast(self, hours: float, now: dt.datetime, products: tuple[str, ...] = ("bread",), **more: object) -> None:
        """Write forecasts that were issued so many hours ago."""
        row = {
            "tenant_id": "shop", "date": LAST, "origin": LAST - pd.Timedelta(days=1), "horizon": 1, "y_hat": 1.0,
            "lower": 0.0, "upper": 2.0, "q10": 0.1, "q25": 0.2, "q50": 1.0, "q75": 1.5, "q90": 1.8,
            "model_version": None, "rung": "seasonal_naive", "reason": "no model", "stale": False,
            "issued_at": pd.Timestamp(now) - pd.Timedelta(hours=hours), **more,
        }  # fmt: skip
        frame = pd.DataFrame([{**row, "product_id": product} for product in products])
        write_table(self.opened.home.table("shop", "forecasts"), frame)

    def products(self, **data_days: int) -> None:
        """Write what features would say of products; one with -1 day is given up."""
        rows = [{"product_id": p, "data_days": abs(days), "discontinued": days < 0} for p, days in data_days.items()]
        write_table(self.opened.home.table("shop", "products"), pd.DataFrame(rows))

    def clock(self, name: str, now: dt.datetime) -> pd.DataFrame:
        """One clock of every product, by tenant and product."""
        found = freshness_of_products(self.opened, now)
        assert not found.faults
        table = found.table[found.table["clock"] == name]
        return table.set_index(table["tenant_id"] + "/" + table["product_id"])

    def data(self, days: int, product: str = "shop/bread") -> tuple[float, str]:
        """Lag and status of a product's data some days after the last sales."""
        row = self.clock("data", morning(days)).loc[product]
        return row["lag"], row["status"]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An installation without tenants."""
    return Shop(tmp_path)


@pytest.mark.parametrize(
    ("days", "found"), [(1, (0, "FRESH")), (2, (1, "FRESH")), (3, (2, "FRESH")), (4, (3, "STALE")), (90, (89, "STALE"))]
)
def test_sales_that_stop_arriving_show(shop: Shop, days: int, found: tuple[float, str]) -> None:
    """Each day that is over and has no row counts; after FRESHNESS_DATA_OPEN_DAYS the data are stale, and stay so."""
    shop.sell(sales())
    assert shop.data(days) == found


def test_a_shop_that_is_closed_is_not_late(shop: Shop) -> None:
    """Days of rest by habit, days that the tenant's file closes, and holidays it keeps do not count."""
    shop.sell(sales().query("date.dt.dayofweek < 5"))
    assert shop.data(2) == (1, "FRESH")  # Saturday and Sunday are its days of rest, Monday is late.
    vacation = tuple((LAST + pd.Timedelta(days=day)).date() for day in range(1, 15))
    shop.sell(sales(), closing=ClosingDays(dates=vacation))
    assert shop.data(15) == (0, "FRESH")
    assert shop.data(18) == (3, "STALE")
    shop.sell(sales(), closing=ClosingDays(weekdays=("mon", "tue", "wed", "thu", "fri")))
    assert shop.data(5) == (0, "FRESH")
    easter = (dt.date(2026, 4, 3) - LAST.date()).days  # Good Friday, a holiday of all of Spain.
    shop.sell(sales(), closing=ClosingDays(public_holidays=True))
    assert shop.data(easter + 1)[0] == shop.data(easter)[0]


def test_a_silence_of_weeks_is_no_habit(shop: Shop) -> None:
    """However long a shop that sold every day is silent, no day passes for one of rest."""
    shop.sell(sales())
    assert shop.data(70)[0] == 69


def test_unknown_days_in_the_past_raise_nothing(shop: Shop) -> None:
    """A week without rows that is followed by sales is unknown, and not late."""
    gap = sales()
    shop.sell(gap[(gap["date"] < LAST - pd.Timedelta(days=9)) | (gap["date"] > LAST - pd.Timedelta(days=2))])
    assert shop.data(1) == (0, "FRESH")


def test_sold_out_days_raise_nothing(shop: Shop) -> None:
    """A row that says sold out has arrived like any other."""
    bread = sales(sold_out=False)
    bread.loc[bread["date"] > LAST - pd.Timedelta(days=14), ["quantity", "sold_out"]] = [0, True]
    shop.sell(bread)
    assert shop.data(1) == (0, "FRESH")


def test_a_product_that_does_not_sell_while_others_do_is_not_late(shop: Shop) -> None:
    """A day without a row of it is a day at zero."""
    shop.sell(sales(), sales("tart", last=LAST - pd.Timedelta(days=20)))
    assert shop.data(1, "shop/tart") == (0, "FRESH")
    assert shop.data(5, "shop/tart") == (4, "STALE")


def test_a_location_that_stops_shows_alone(shop: Shop) -> None:
    """Products of the location are late, those of others and those that both sell are not."""
    stopped = LAST - pd.Timedelta(days=10)
    shop.sell(
        sales("bread", location_id="north"), sales("tart", location_id="south", last=stopped),
        sales("rye", location_id="north"), sales("rye", location_id="south", last=stopped),
    )  # fmt: skip
    found = shop.clock("data", morning(1))
    assert found["lag"].to_dict() == {"shop/bread": 0, "shop/rye": 0, "shop/tart": 10}
    assert found["status"].to_dict() == {"shop/bread": "FRESH", "shop/rye": "FRESH", "shop/tart": "STALE"}
    assert found.loc["shop/tart", "reason"] == "sales up to 2026-02-19, then 10 open days without a row"


def test_a_location_that_was_given_up_raises_no_alarm_for_ever(tmp_path: Path) -> None:
    """A location that has been silent for more than 90 days, while others sell, is taken as given up."""
    shop, long = Shop(tmp_path), pd.date_range("2025-09-01", LAST)
    open_ = pd.DataFrame({"date": long, "product_id": "bread", "quantity": 20, "location_id": "north"})
    gone = open_[:60].assign(product_id="tart", location_id="south")
    shop.sell(open_, gone)
    row = shop.clock("data", morning(1)).loc["shop/tart"]
    assert (row["status"], row["reason"].endswith("given up")) == ("FRESH", True)


def test_a_shop_that_sells_little_may_be_silent(shop: Shop) -> None:
    """A loaf on some days: a silent week is chance, two months are none."""
    few = sales(units=1)
    few = few[::3]
    shop.sell(few)
    after = (few["date"].max() - LAST).days
    assert shop.data(after + 8)[1] == "FRESH"
    assert shop.data(after + 60)[1] == "STALE"


def test_a_day_that_is_not_over_is_not_late(shop: Shop) -> None:
    """Yesterday is the tenant's own: what is tomorrow in Tokyo is still today in Honolulu."""
    for number, zone in enumerate(("Pacific/Honolulu", "Asia/Tokyo")):
        shop.sell(sales(), tenant_id=f"shop-{number}")
        path = shop.opened.home.tenants / f"shop-{number}.toml"
        path.write_text(path.read_text().replace("Europe/Madrid", zone))
    found = shop.clock("data", (LAST + pd.Timedelta(days=1, hours=20)).to_pydatetime().replace(tzinfo=dt.UTC))
    assert found["lag"].to_dict() == {"shop-0/bread": 0, "shop-1/bread": 1}


def test_what_is_given_up_raises_nothing(shop: Shop) -> None:
    """A product that is no longer sold is fresh by each clock, whatever is missing."""
    shop.sell(sales(), sales("tart", last=MONDAY + pd.Timedelta(days=20)))
    shop.products(bread=56, tart=-56)
    found = freshness_of_products(shop.opened, morning(30)).table.set_index(["product_id", "clock"])
    assert set(found.loc["tart", "status"]) == {"FRESH"}
    assert set(found.loc["tart", "reason"]) == {"no longer sold"}
    assert found.loc[("bread", "data"), "status"] == found.loc[("bread", "forecast"), "status"] == "STALE"


def test_models_grow_old_by_days_of_data(shop: Shop) -> None:
    """Age counts from the model's origin to the last day of sales, and is allowed RETRAIN_AFTER_DAYS and the grace."""
    names = ("at_35", "at_36", "young", "old", "few", "refused")
    shop.sell(*(sales(name) for name in names))
    shop.products(at_35=56, at_36=56, young=40, old=66, few=12, refused=66)
    registry = shop.opened.registry
    job = builders.start(registry, "shop")
    for name, age in (("at_35", 35), ("at_36", 36)):
        origin = (LAST - pd.Timedelta(days=age)).date()
        made = registry.register(builders.manifest(job, "shop", name, origin=origin))
        registry.promote("shop", name, made.version, reason="first", actor="tests", figures={})
    registry.register(builders.manifest(job, "shop", "refused", origin=LAST.date() - dt.timedelta(days=3)))
    found = shop.clock("model", morning(400))
    registry.close()
    ages = {"shop/at_35": 35, "shop/at_36": 36, "shop/old": 36, "shop/young": 10, "shop/refused": 3}
    assert found["lag"].dropna().to_dict() == ages
    assert "not in use" in found.loc["shop/refused", "reason"]
    assert set(found.index[found["status"] == "STALE"]) == {"shop/at_36", "shop/old"}
    assert found.loc["shop/old", "reason"] == "no model, though there are enough days"
    assert set(found["threshold"]) == {35}


def test_forecasts_grow_old_by_hours(shop: Shop) -> None:
    """The forecast's age is that of its rows; above FRESHNESS_FORECAST_HOURS it is stale."""
    shop.sell(sales())
    for hours, status in ((35.9, "FRESH"), (36.1, "STALE")):
        shop.forecast(hours, morning(1))
        row = shop.clock("forecast", morning(1)).loc["shop/bread"]
        assert (round(row["lag"], 3), row["status"], row["unit"]) == (hours, status, "hours")


def test_a_forecast_that_is_marked_stale_is(shop: Shop) -> None:
    """The last good forecast that stands since new sales are blocked is stale at once, and says why."""
    shop.sell(sales())
    shop.forecast(1, morning(1), stale=True, reason="new sales are blocked: torn file")
    row = shop.clock("forecast", morning(1)).loc["shop/bread"]
    assert row["status"] == "STALE"
    assert row["reason"].endswith("new sales are blocked: torn file")


def test_products_without_a_forecast_are_stale_unless_they_only_begin(shop: Shop) -> None:
    """One that sold before the forecast was made should be in it; one that began after cannot be."""
    new = sales("new").query("date == @LAST")
    shop.sell(sales(), sales("left_out"), new)
    shop.forecast(1, morning(1))
    assert shop.clock("forecast", morning(1))["status"].to_dict() == {
        "shop/bread": "FRESH", "shop/left_out": "STALE", "shop/new": "FRESH",
    }  # fmt: skip


def test_one_broken_tenant_stops_no_other(shop: Shop) -> None:
    """A tenant's broken file, torn table, torn forecasts or odd products are its own fault; it is named."""
    for name in ("good", "toml", "torn", "ahead", "odd"):
        shop.sell(sales(), tenant_id=name)
    home = shop.opened.home
    (home.tenants / "toml.toml").write_text("id = ")
    write_atomically(home.table("torn", "sales"), b"PAR1")
    write_atomically(home.table("ahead", "forecasts"), b"")
    write_table(home.table("odd", "products"), pd.DataFrame({"product": ["bread"]}))
    save_tenant(home, Tenant(id="none", name="n", country="ES", timezone="Europe/Madrid", source=FileSource(path="x")))
    found = freshness_of_products(shop.opened, morning(1))
    assert set(found.table["tenant_id"]) == {"good"}
    assert set(found.faults) == {"toml", "torn", "ahead", "odd"}
    assert set(found.waiting) == {"none"}
    assert "products.parquet lacks data_days, discontinued" in found.faults["odd"]


def test_without_tenants_there_is_an_empty_table(shop: Shop) -> None:
    """It has its columns, so that whoever reads it need not ask."""
    found = freshness_of_products(shop.opened, morning(1)).table
    assert found.empty
    assert tuple(found.columns) == COLUMNS
    assert found["lag"].dtype == np.float64


def test_each_product_has_a_row_a_clock(shop: Shop) -> None:
    """Names stay as tills print them, rows stand in their order, and settings say what is allowed."""
    shop.sell(sales("Käse/../🧀"), sales("1"))
    found = freshness_of_products(shop.opened, morning(1)).table
    assert list(zip(found["product_id"], found["clock"], strict=True)) == [
        (product, clock) for product in ("1", "Käse/../🧀") for clock in CLOCKS
    ]
    allowed = found.groupby("clock")["threshold"].unique().map(list).to_dict()
    assert allowed == {"data": [2], "model": [35], "forecast": [36]}
