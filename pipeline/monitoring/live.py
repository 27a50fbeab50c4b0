"""What drift and accuracy are read from: a tenant's issued forecasts, its models, and what the backtest promised."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.engine.panel import Floats
from pipeline.errors import DataError
from pipeline.forecasting.issued import issued_about
from pipeline.forecasting.ladder import QUANTILE_COLUMNS
from pipeline.installation import Installation
from pipeline.registry.records import ModelRecord, Wanted
from pipeline.tables import read_table
from pipeline.tenant_data import TenantData

KEPT = ["product_id", "date", "origin", "horizon", "y_hat", *QUANTILE_COLUMNS, "model_version", "issued_at"]
BACKTEST = ["product_id", "origin", "date", "horizon", "actual", "y_hat"]


@dataclass(frozen=True)
class Live:
    """What is known of a tenant at its origin.

    `issued` (forecasts about the last ACCURACY_DAYS, rows as `issued_about` returns them, columns KEPT), `backtest`
    (the stored evaluation, columns BACKTEST), `latest` and `champions` by product, `promised` WAPE of the champions by
    product, `origins` of the models that issued, by product and version. `faults` says what could not be read, and is
    done without.
    """

    data: TenantData
    issued: pd.DataFrame
    backtest: pd.DataFrame
    latest: Mapping[str, ModelRecord]
    champions: Mapping[str, ModelRecord]
    promised: Mapping[str, float]
    origins: Mapping[tuple[str, str], dt.date]
    faults: tuple[str, ...] = ()

    @cached_property
    def products(self) -> pd.Index[str]:
        """The products, in the order of the panel."""
        return pd.Index(self.data.panel.products)

    @cached_property
    def seen_until(self) -> pd.Series[pd.Timestamp]:
        """By product, the last day that its newest model has seen: what lies up to it is no evidence. NaT: no model."""
        known = {product: pd.Timestamp(model.origin) for product, model in self.latest.items()}
        return pd.Series(known, dtype="datetime64[ns]").reindex(self.products)

    @cached_property
    def by_champion(self) -> pd.DataFrame:
        """The issued rows that the product's champion said about days that its newest model has not seen."""
        versions = {product: model.version for product, model in self.champions.items()}
        own = self.issued["model_version"] == self.issued["product_id"].map(versions)
        return self.issued[own & (self.issued["date"] > self.issued["product_id"].map(self.seen_until))]

    @cached_property
    def before(self) -> pd.DataFrame:
        """The rows of the backtest about days that the newest model has seen."""
        known = self.backtest["product_id"].map(self.seen_until)
        return self.backtest[(self.backtest["date"] <= known) & self.backtest["actual"].notna()]

    def sums(self, rows: pd.DataFrame, *columns: str) -> tuple[Floats, ...]:
        """Return, each (n,) by product, the number of rows and the sums of some columns."""
        grouped = rows.groupby("product_id")
        count = grouped.size().reindex(self.products).astype(float).fillna(0.0).to_numpy()
        totals = grouped[list(columns)].sum().reindex(self.products).astype(float).fillna(0.0)
        return count, *(totals[name].to_numpy(float) for name in columns)

    def blocks(self, rows: pd.DataFrame) -> list[pd.DataFrame]:
        """Return the rows of a backtest origin by origin, the latest first."""
        return [part for _, part in sorted(rows.groupby("origin"), key=lambda item: str(item[0]), reverse=True)]


def load_live(opened: Installation, data: TenantData) -> Live:
    """Read what is stored of a tenant's forecasts and models; what cannot be read is done without, and told."""
    tenant_id, faults = data.tenant.id, []
    last = data.origin.date()
    first = last - dt.timedelta(days=opened.settings.accuracy_days - 1)
    try:
        issued = issued_about(opened.home.issued(tenant_id), first, last)
    except DataError as error:
        faults.append(str(error))
        issued = issued_about(opened.home.issued(tenant_id) / "none", first, last)
    backtest = pd.DataFrame({name: pd.Series(dtype=object) for name in BACKTEST})
    if (path := opened.home.table(tenant_id, "evaluation")).exists():
        try:
            backtest = _typed(read_table(path, "the evaluation"), backtest)
        except DataError as error:
            faults.append(str(error))
    champions = opened.registry.listing(tenant_id, Wanted(deployed=True), limit=opened.settings.max_products_per_tenant)
    promised = {one.model.product_id: one.wape for one in champions if one.wape is not None}
    return Live(
        data,
        issued[KEPT],
        backtest.astype({"date": "datetime64[ns]", "origin": "datetime64[ns]", "actual": float, "y_hat": float}),
        opened.registry.latest(tenant_id),
        {one.model.product_id: one.model for one in champions},
        promised,
        opened.registry.origins(tenant_id, set(issued["model_version"].dropna())),
        tuple(faults),
    )


def _typed(found: pd.DataFrame, empty: pd.DataFrame) -> pd.DataFrame:
    """The columns that are needed; a table without rows has none."""
    return found[BACKTEST] if len(found) else empty


def percent(share: float) -> str:
    """Return a share as it is told to people.

    >>> percent(0.404), percent(-0.25)
    ('40 % more', '25 % less')
    """
    return f"{abs(share):.0%}".replace("%", " %") + (" more" if share >= 0 else " less")


def chance(p: float) -> str:
    """Return a p-value as it is told to people.

    >>> chance(0.0312), chance(2e-9)
    ('p 0.031', 'p below 0.0001')
    """
    return "p below 0.0001" if not np.isfinite(p) or p < 1e-4 else f"p {p:.2g}"
