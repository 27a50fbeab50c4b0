"""Freshness by product, with three clocks of its own: the data, the model and the forecast."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pandas as pd

from contracts import Freshness, Tenant
from pipeline.errors import DataError, SourceNotFoundError, UnreadableFileError
from pipeline.forecasting.issued import read_forecasts
from pipeline.home import Home
from pipeline.installation import Installation
from pipeline.monitoring.late import late_shops, shop_of
from pipeline.registry.records import ModelRecord
from pipeline.registry.registry import Registry
from pipeline.settings import Settings
from pipeline.tables import read_table
from pipeline.tenant_data import last_complete_day
from pipeline.tenants import list_tenants

COLUMNS = ("tenant_id", "product_id", "clock", "lag", "unit", "threshold", "status", "reason")
CLOCKS = ("data", "model", "forecast")
NEEDED = ["product_id", "date", "quantity", "location_id"]


@dataclass(frozen=True)
class ProductFreshness:
    """The table of all tenants, and by tenant why it could not be looked at; `waiting` has nothing to look at yet."""

    table: pd.DataFrame
    faults: dict[str, str]
    waiting: dict[str, str]


def freshness_of_products(opened: Installation, now: dt.datetime) -> ProductFreshness:
    """Return a row for each tenant, product and clock; a tenant that cannot be looked at is named, and stops no other.

    Of `table`: `lag` in `unit`, NaN where there is nothing to count; `status` STALE where it is above `threshold`, or
    where what must be there is not; `reason` in words.
    """
    tenants, broken = list_tenants(opened.home)
    faults, waiting = {tenant_id: str(error) for tenant_id, error in broken.items()}, {}
    frames = [pd.DataFrame(columns=list(COLUMNS)).astype({"lag": float, "threshold": float})]
    for tenant in tenants:
        try:
            frames.append(of_tenant(opened, tenant, now))
        except SourceNotFoundError as error:
            waiting[tenant.id] = str(error)
        except Exception as error:  # a tenant's fault, whatever it is, must not hide the others' alarms
            faults[tenant.id] = f"{type(error).__name__}: {error}"
    return ProductFreshness(pd.concat(frames[1:] or frames, ignore_index=True), faults, waiting)


def of_tenant(opened: Installation, tenant: Tenant, now: dt.datetime) -> pd.DataFrame:
    """Return the rows of one tenant, product by product, clock by clock.

    Raises:
        SourceNotFoundError: nothing has been extracted yet.
        DataError, SourceError, RegistryError: its sales, forecasts or models cannot be read.
    """
    daily = _read_sales(opened.home, tenant.id)
    origin = last_complete_day(opened.home, tenant, daily)
    begun = daily.groupby("product_id", observed=True)["date"].min()
    begun.index = begun.index.astype(object)
    daily = daily[daily["date"] <= origin]
    products = _products(opened.home, tenant.id).reindex(begun.index)
    given_up = products["discontinued"].eq(True)
    clocks = {
        "data": _data_clock(tenant, daily, begun.index, opened.settings, now),
        "model": _model_clock(_models(opened.registry, tenant.id), products, origin, opened.settings),
        "forecast": _forecast_clock(opened.home, tenant.id, begun, opened.settings, now),
    }
    frames = [_quiet(frame, given_up).assign(clock=clock, product_id=frame.index) for clock, frame in clocks.items()]
    told = pd.concat(frames, ignore_index=True).assign(tenant_id=tenant.id)
    told = told.sort_values("product_id", kind="stable", ignore_index=True)
    return told[list(COLUMNS)]


def _quiet(clock: pd.DataFrame, given_up: pd.Series) -> pd.DataFrame:
    """What nobody sells any longer is late in nothing."""
    return clock.assign(
        lag=clock["lag"].mask(given_up),
        status=clock["status"].mask(given_up, Freshness.FRESH.value),
        reason=clock["reason"].mask(given_up, "no longer sold"),
    )


def _data_clock(
    tenant: Tenant, daily: pd.DataFrame, products: pd.Index, settings: Settings, now: dt.datetime
) -> pd.DataFrame:
    today = pd.Timestamp(now.astimezone(ZoneInfo(tenant.timezone)).date())
    late, allowed = late_shops(tenant, daily, today - pd.Timedelta(days=1)), settings.freshness_data_open_days
    stale = {shop: one.open_days > allowed and one.telling for shop, one in late.items()}
    shop = shop_of(daily).reindex(products)
    return _clock(
        products,
        shop.map({name: float(one.open_days) for name, one in late.items()}),
        "open days",
        allowed,
        shop.map(stale).eq(True),
        shop.map({name: str(one) for name, one in late.items()}).fillna("its first day is not over yet"),
    )


def _models(registry: Registry, tenant_id: str) -> dict[str, ModelRecord]:
    """Each product's champion; where none is in use since last week's sales are as good, the model that was refused."""
    return {**registry.latest(tenant_id), **registry.champions(tenant_id)}


def _model_clock(
    models: dict[str, ModelRecord], products: pd.DataFrame, origin: pd.Timestamp, settings: Settings
) -> pd.DataFrame:
    """Of a product without a model: the days of sales beyond those that a training needs."""
    ages = {p: float((origin - pd.Timestamp(one.origin)).days) for p, one in models.items()}
    waited = products["data_days"].astype(float) - settings.min_training_data_days
    names = products.index.to_series()
    owned = names.isin(list(models))
    lag = names.map(ages).where(owned, waited.where(waited >= 0))
    said = {
        p: f"version {one.version}{'' if one.deployed else ', not in use'}, trained on sales up to {one.origin}"
        for p, one in models.items()
    }
    missing = lag.notna().map({True: "no model, though there are enough days", False: "too few days for a model"})
    allowed = settings.retrain_after_days + settings.freshness_model_grace_days
    return _clock(products.index, lag.clip(lower=0), "days", allowed, lag > allowed, names.map(said).fillna(missing))


def _forecast_clock(home: Home, tenant_id: str, begun: pd.Series, settings: Settings, now: dt.datetime) -> pd.DataFrame:
    path = home.table(tenant_id, "forecasts")
    if not path.exists():
        nothing = pd.Series(float("nan"), begun.index)
        return _clock(begun.index, nothing, "hours", settings.freshness_forecast_hours, nothing.isna(), "no forecast")
    rows = read_forecasts(path, "the forecasts")[["product_id", "issued_at", "origin", "stale", "reason"]]
    last = rows.assign(issued_at=pd.to_datetime(rows["issued_at"], utc=True)).groupby("product_id").agg(
        issued_at=("issued_at", "max"), stale=("stale", "any"), reason=("reason", "first")
    )  # fmt: skip
    last = last.reindex(begun.index)
    hours = (pd.Timestamp(now) - last["issued_at"]).dt.total_seconds() / 3600
    marked, missing = last["stale"].eq(True), last["issued_at"].isna()
    young = missing & (begun > pd.Timestamp(rows["origin"].max())) if len(rows) else missing & False
    reason = "issued " + last["issued_at"].dt.strftime("%Y-%m-%d %H:%M UTC") + ("; " + last["reason"]).where(marked, "")
    reason = reason.where(~missing, "no forecast").where(~young, "its first sales are younger than the forecast")
    allowed = settings.freshness_forecast_hours
    return _clock(
        begun.index, hours.clip(lower=0), "hours", allowed, (hours > allowed) | marked | missing & ~young, reason
    )


def _clock(
    products: pd.Index, lag: pd.Series, unit: str, threshold: float, stale: pd.Series, reason: pd.Series | str
) -> pd.DataFrame:
    status = stale.map({True: Freshness.STALE.value, False: Freshness.FRESH.value})
    columns = {"lag": lag, "unit": unit, "threshold": float(threshold), "status": status, "reason": reason}
    return pd.DataFrame(columns, index=pd.Index(products, dtype=object))


def _read_sales(home: Home, tenant_id: str) -> pd.DataFrame:
    """The columns that clocks look at; a row without a location has that of no name, as in the engine.

    Texts are categories: millions of rows are quick to group by them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = home.table(tenant_id, "sales")
    if not path.is_file():
        raise SourceNotFoundError(f"no sales of tenant {tenant_id!r} have been extracted yet: there is no {path}")
    try:
        table = pq.read_table(path, columns=NEEDED, read_dictionary=["product_id", "location_id"])
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UnreadableFileError(f"the stored table {path} is damaged: {error}") from error
    if missing := sorted(set(NEEDED) - set(table.column_names)):
        raise UnreadableFileError(f"the stored table {path} is damaged: it lacks {', '.join(missing)}")
    frame: pd.DataFrame = table.to_pandas()
    places = frame["location_id"].cat
    known = frame["location_id"] if "" in places.categories else places.add_categories("")
    return frame.assign(location_id=known.fillna(""))


def _products(home: Home, tenant_id: str) -> pd.DataFrame:
    """What the last `features` said of each product; nothing, before there were any."""
    path = home.table(tenant_id, "products")
    if not path.exists():
        return pd.DataFrame({"data_days": [], "discontinued": []}, index=pd.Index([], dtype=object))
    frame = read_table(path, "the products")
    if missing := {"product_id", "data_days", "discontinued"} - set(frame):
        raise DataError(f"the products: {path} lacks {', '.join(sorted(missing))}")
    return frame.set_index("product_id")[["data_days", "discontinued"]]
