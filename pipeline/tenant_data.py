"""A tenant's stored sales and calendar, ready for the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from contracts import CovariateKind, Product, Tenant, TrainingTerms
from pipeline.engine.demand import Demand, understand
from pipeline.engine.observe import Ledgered, lay_out, observe
from pipeline.engine.outliers import Held, hold_outliers
from pipeline.engine.outlook import to_outlook
from pipeline.engine.panel import Outlook, Panel
from pipeline.errors import DataError
from pipeline.home import Home
from pipeline.sources.calendar import build_calendar
from pipeline.sources.extract import load_report, load_sales
from pipeline.sources.signals import load_degraded
from pipeline.tables import read_table

DAYS_BEYOND = 14
"""Days after the horizon that a calendar reaches: the horizon's last days must know the holidays ahead of them."""


@dataclass(frozen=True)
class TenantData:
    """What the engine needs of one tenant: dense sales, the outlook, and the origin.

    `degraded` says, by signal, what is wrong with its values in the outlook; `terms` are those under which a training
    sees no more than this.
    """

    tenant: Tenant
    sales: Ledgered
    outlook: Outlook
    origin: pd.Timestamp
    degraded: Mapping[str, str] = field(default_factory=dict)
    terms: TrainingTerms | None = None

    def under(self, terms: TrainingTerms | None) -> TenantData:
        """Return what a training under some terms sees: the days from their start to their end."""
        if terms is None:
            return self
        sales = self.sales if terms.start is None else self.sales.since(pd.Timestamp(terms.start))
        origin = self.origin if terms.end is None else min(self.origin, pd.Timestamp(terms.end))
        return replace(self, sales=sales, origin=origin, terms=terms)

    @cached_property
    def panel(self) -> Panel:
        """The panel as of the origin."""
        return observe(self.sales, self.outlook, self.origin)

    @cached_property
    def held(self) -> Held:
        """The panel that families are fitted to: as `panel`, with clear one-day outliers held back."""
        return hold_outliers(self.panel, self.outlook)

    @cached_property
    def demand(self) -> Demand:
        """How each product's demand behaves, as of the origin; one wild day makes no busy product."""
        return understand(self.held.panel)


def products_of(data: TenantData) -> list[Product]:
    """Return what the tenant's sales say of each of its products, as of the origin."""
    panel, demand = data.panel, data.demand
    sold = np.nan_to_num(panel.quantity) > 0
    last = panel.quantity.shape[1] - 1 - sold[:, ::-1].argmax(axis=1)
    first = np.minimum(panel.started, len(panel.dates) - 1)
    return [
        Product(
            tenant_id=data.tenant.id,
            product_id=product,
            name=panel.name[row],
            category=panel.category[row],
            location_id=panel.location[row],
            first_date=panel.dates[first[row]].date(),
            last_date=panel.dates[last[row]].date() if sold[row].any() else None,
            data_days=int(demand.data_days[row]),
            zero_share=float(demand.zero_share[row]),
            mean_quantity=float(demand.level[row]),
            demand_class=demand.classes[row],
            discontinued=bool(demand.discontinued[row]),
        )
        for row, product in enumerate(panel.products)
    ]


def last_complete_day(home: Home, tenant: Tenant, daily: pd.DataFrame) -> pd.Timestamp:
    """Return the origin: the last day with sales, leaving out one that was seen only in part.

    Raises:
        DataError: there is no complete day.
    """
    last, partial = daily["date"].max(), load_report(home, tenant.id).partial_last_day
    if partial is not None and last.date() == partial:
        last = daily.loc[daily["date"] < last, "date"].max()
    if pd.isna(last):
        raise DataError(f"tenant {tenant.id!r} has no complete day of sales yet; the first is {partial}")
    return pd.Timestamp(last)


def load(home: Home, tenant: Tenant, horizon_days: int) -> TenantData:
    """Read what `sales` and `calendar` have stored.

    Raises:
        DataError: the tenant has no sales or no calendar yet, or the calendar does not reach over the horizon.
    """
    daily = load_sales(home, tenant.id)
    path = home.table(tenant.id, "calendar")
    if not path.exists():
        raise DataError(f"tenant {tenant.id!r} has no calendar yet: materialize `calendar` first")
    origin = last_complete_day(home, tenant, daily)
    return _laid_out(home, tenant, daily, read_table(path, "the calendar"), origin, horizon_days)


def load_further(home: Home, tenant: Tenant, days: int) -> TenantData:
    """Read the stored sales, with a calendar made anew that reaches so many days ahead; nothing is written.

    Nobody is asked for weather and traffic: the stored calendar's values stand, later days have none.

    Raises:
        DataError: the tenant has no sales or no calendar yet.
        SourceError: its covariates cannot be read.
    """
    daily = load_sales(home, tenant.id)
    origin = last_complete_day(home, tenant, daily)
    calendar = build_calendar(tenant, daily, origin.date(), days + DAYS_BEYOND)
    names = [name for source in tenant.signals for name in source.columns if name not in calendar]
    if names:
        stored = read_table(home.table(tenant.id, "calendar"), "the calendar")
        known = stored[stored["product_id"].isna()].set_index("date")
        shared = calendar["product_id"].isna()
        calendar = calendar.assign(**{name: calendar["date"].map(known[name]).where(shared) for name in names})
    return _laid_out(home, tenant, daily, calendar, origin, days)


def _laid_out(
    home: Home, tenant: Tenant, daily: pd.DataFrame, calendar: pd.DataFrame, origin: pd.Timestamp, days: int
) -> TenantData:
    sales = lay_out(daily, origin)
    _refuse_short(tenant, calendar["date"], sales.dates[0], origin + pd.Timedelta(days=days))
    outlook = to_outlook(usable_ahead(tenant, calendar), sales.products)
    return TenantData(tenant, sales, outlook, origin, load_degraded(home, tenant))


def _refuse_short(tenant: Tenant, days: pd.Series[pd.Timestamp], first: pd.Timestamp, last: pd.Timestamp) -> None:
    if days.min() > first or days.max() < last:
        raise DataError(
            f"the calendar of tenant {tenant.id!r} reaches from {days.min().date()} to {days.max().date()}, but "
            f"{first.date()} to {last.date()} is needed: materialize `calendar` again"
        )


def usable_ahead(tenant: Tenant, calendar: pd.DataFrame) -> pd.DataFrame:
    """Return the calendar without covariates that are known in the past only: no forecast could be made with them."""
    kinds = tenant.covariate_kinds
    return calendar.drop(columns=[c for c in calendar if kinds.get(str(c)) is CovariateKind.PAST_ONLY])
