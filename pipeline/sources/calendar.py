"""The calendar of a tenant: what is known or foreseen by date, from the first sale through the horizon."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from contracts import Tenant
from pipeline.sources.covariates import read_covariates
from pipeline.sources.holidays import local_holidays, public_holidays
from pipeline.sources.towns import holidays_of_town
from pipeline.sources.values import none_for_missing

__all__ = ["NAMES_SEPARATOR", "build_calendar", "public_holidays", "read_covariates"]

NAMES_SEPARATOR = "; "
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def build_calendar(tenant: Tenant, daily: pd.DataFrame, origin: dt.date, horizon_days: int) -> pd.DataFrame:
    """Return one row a date from the first sale to `horizon_days` after the origin, and one a product's date.

    Columns: date, product_id (None: the row is shared by all products), holiday (names joined by `; `, those of
    country and region first, None if there is none), closed (for certain, by the tenant's closing days), then one
    float column a covariate, NaN where no value is known. Products have rows where covariates are given by product.

    Raises:
        UnknownCountryError: no holidays are known for the tenant's country, region or town.
        SourceError, DataError: the covariates cannot be read.
    """
    first = daily["date"].min().date()
    dates = pd.date_range(first, origin + dt.timedelta(days=horizon_days), freq="D")
    shared = _shared_rows(tenant, dates)
    if tenant.covariates is None:
        return shared
    covariates = read_covariates(tenant.covariates, list(daily["product_id"].unique()))
    covariates = covariates[covariates["date"].isin(dates)]
    return _with_covariates(shared, covariates)


def _shared_rows(tenant: Tenant, dates: pd.DatetimeIndex) -> pd.DataFrame:
    span = dates[0].date(), dates[-1].date()
    of_town = (*holidays_of_town(tenant.country, tenant.region, tenant.town), *tenant.local_holidays)
    holidays = public_holidays(tenant.country, tenant.region, *span), local_holidays(of_town, *span)
    named = pd.concat([found for found in holidays if len(found)] or holidays[:1]).drop_duplicates()
    named = named[~named["date"].isin(pd.to_datetime(list(tenant.without_holidays)))]
    names = named.groupby("date")["holiday"].agg(NAMES_SEPARATOR.join)
    label = none_for_missing(names.reindex(dates)).reset_index(drop=True)
    closing = tenant.closing
    closed = dates.weekday.isin([_WEEKDAYS.index(day) for day in closing.weekdays])
    closed |= dates.isin(pd.to_datetime(list(closing.dates)))
    if closing.public_holidays:
        closed |= label.notna().to_numpy()
    none = pd.Series([None] * len(dates), dtype=object)
    return pd.DataFrame({"date": dates, "product_id": none, "holiday": label, "closed": np.asarray(closed, dtype=bool)})


def _with_covariates(shared: pd.DataFrame, covariates: pd.DataFrame) -> pd.DataFrame:
    is_shared = covariates["product_id"].isna()
    rows = shared.merge(covariates[is_shared].drop(columns="product_id"), on="date", how="left")
    by_product = covariates[~is_shared]
    if by_product.empty:
        return rows
    place = (by_product["date"] - shared["date"].iloc[0]).dt.days.to_numpy()
    by_product = by_product.assign(
        holiday=shared["holiday"].to_numpy()[place], closed=shared["closed"].to_numpy()[place]
    )
    return pd.concat([rows, by_product[rows.columns]], ignore_index=True)
