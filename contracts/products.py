"""A product and how its demand behaves."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Count, ProductId, Share, TenantId


class DemandClass(StrEnum):
    """Kinds of demand; they decide which families may try and how intervals are pooled."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INTERMITTENT = "intermittent"


class Product(Contract):
    """One thing that a tenant sells, as its sales describe it up to an origin."""

    tenant_id: TenantId
    product_id: ProductId
    name: str | None = Field(None, description="What people call it.")
    category: str | None = Field(None, description="Its group.")
    location_id: str | None = Field(None, description="Its shop; None where several sell it.")
    first_date: dt.date = Field(description="Day of its first row.")
    last_date: dt.date | None = Field(None, description="Last day with sales; None where there was none.")
    data_days: Count = Field(description="Observed days since the first row; closed and unknown days not counted.")
    zero_share: Share = Field(description="Observed days without sales, of data_days.")
    mean_quantity: float = Field(ge=0, description="Units a day over the last 90 observed days.")
    demand_class: DemandClass = Field(description="High, medium or low volume, or intermittent: most days nothing.")
    discontinued: bool = Field(
        False, description="No sales in the last 90 observed days, or in all of them where there are 15 to 89."
    )
