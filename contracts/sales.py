"""Sales as they come in and as the pipeline keeps them, and the account of every input row."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from contracts.base import Contract, Count, ProductId, TenantId, UtcDatetime


class DailySales(Contract):
    """One product's net sales on one local day: a row of the `sales` asset."""

    tenant_id: TenantId
    product_id: ProductId
    date: dt.date = Field(description="Local day in the tenant's time zone.")
    quantity: float = Field(ge=0, description="Units sold, returns netted.")
    unit_price: float | None = Field(None, ge=0, description="Mean price of the day, tenant's currency.")
    location_id: str | None = Field(None, description="The shop.")
    category: str | None = Field(None, description="The product's group.")
    product_name: str | None = Field(None, description="What people call the product.")
    sold_out: bool | None = Field(None, description="True: demand exceeded stock, the day is masked.")
    available: bool | None = Field(None, description="False: the product was not on sale, the day is masked.")
    returned: float = Field(0, ge=0, description="Units returned, already taken off `quantity`.")
    input_rows: Count = Field(1, description="Input rows that became this one.")
    source_file: str = Field("", description="Name of the file that gave the row.")


class DayStatus(StrEnum):
    """What is known about a product on a day; only `sold` and `zero` are observations."""

    SOLD = "sold"
    ZERO = "zero"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    MASKED = "masked"
    BEFORE = "before"


class Rejection(StrEnum):
    """Why an input row was not used."""

    BAD_DATE = "bad_date"
    BAD_QUANTITY = "bad_quantity"
    ABSURD_QUANTITY = "absurd_quantity"
    MISSING_PRODUCT = "missing_product"
    FUTURE_DATE = "future_date"
    OTHER_TENANT = "other_tenant"
    MALFORMED = "malformed"
    SET_ASIDE = "set_aside"


class RejectedRow(Contract):
    """An example of a rejected row: where it stands and what was wrong."""

    file: str
    row: int = Field(ge=1, description="1-based row of data in the file, the header not counted.")
    reason: Rejection
    value: str = Field(description="The offending value, shortened to 80 characters.")


class FaultKind(StrEnum):
    """What can be wrong with rows, or a day, of a product that is known."""

    DUPLICATE = "duplicate"
    NET_NEGATIVE_DAY = "net_negative_day"
    BAD_DATE = "bad_date"
    BAD_QUANTITY = "bad_quantity"
    ABSURD_QUANTITY = "absurd_quantity"
    FUTURE_DATE = "future_date"


class ProductFault(Contract):
    """One product's rows (days, where returns exceed sales) with one fault."""

    kind: FaultKind
    product_id: ProductId | None = Field(description="Null: rows that name no product.")
    rows: int = Field(ge=1)
    examples: tuple[str, ...] = Field((), max_length=5, description="Where the first stand: file and row, or day.")


class SetAside(Contract):
    """A file of which nothing was taken, since too large a share of its rows is unusable."""

    file: str
    rows: int = Field(ge=1)
    unusable: int = Field(ge=1, description="Rows without a usable date, product or quantity.")


class ExtractionReport(Contract):
    """What became of every input row of one extraction.

    `rows_read = rows_used + rows_merged + rows_rejected`: a row is *used* when it opened a product's
    day, *merged* when it was added to one, dropped as an exact duplicate, or superseded by a later file.
    """

    tenant_id: TenantId
    extracted_at: UtcDatetime
    files_seen: Count
    files_read: Count
    rows_read: Count
    rows_used: Count
    rows_merged: Count
    rows_rejected: Count
    merged_into_day: Count = Field(0, description="Rows added to a day that another row had opened.")
    duplicates_dropped: Count = 0
    superseded: Count = 0
    return_rows: Count = Field(0, description="Negative rows, netted; they are among used and merged.")
    returned_units: float = Field(0, ge=0)
    net_negative_days: Count = Field(0, description="Product days whose returns exceeded sales; set to 0.")
    rejected_by_reason: dict[Rejection, Count] = Field(default_factory=dict)
    examples: tuple[RejectedRow, ...] = Field((), description="At most 50 rejected rows.")
    set_aside: tuple[SetAside, ...] = Field(
        (), description="Files of which nothing was taken; their sound rows are rejected as `set_aside`."
    )
    product_faults: tuple[ProductFault, ...] = Field(
        (), max_length=500, description="The counts above by product, the largest of each kind."
    )
    products_at_fault: dict[FaultKind, Count] = Field(
        default_factory=dict, description="Products with each fault, also those left out above."
    )
    repairs: dict[str, Count] = Field(
        default_factory=dict, description="Mended values by kind, such as `mojibake` names."
    )
    products: Count = 0
    first_date: dt.date | None = None
    last_date: dt.date | None = None
    partial_last_day: dt.date | None = Field(None, description="A last day seen only in part: no origin.")
    replaced_source: str | None = Field(
        None, description="Where the sales came from before, if this extraction began anew from another place."
    )

    @model_validator(mode="after")
    def _counts_add_up(self) -> Self:
        total = self.rows_used + self.rows_merged + self.rows_rejected
        if total != self.rows_read:
            raise ValueError(f"rows_read is {self.rows_read}, but used + merged + rejected is {total}")
        parts = self.merged_into_day + self.duplicates_dropped + self.superseded
        if parts != self.rows_merged:
            raise ValueError(f"rows_merged is {self.rows_merged}, but its parts add up to {parts}")
        if sum(self.rejected_by_reason.values()) != self.rows_rejected:
            raise ValueError("rejected_by_reason does not add up to rows_rejected")
        return self

    @model_validator(mode="after")
    def _products_stay_within_the_counts(self) -> Self:
        for kind in FaultKind:
            rows, total = sum(fault.rows for fault in self.product_faults if fault.kind is kind), self.rows_with(kind)
            if rows > total:
                raise ValueError(f"product_faults name {rows} rows of kind {kind}, but there are {total}")
        return self

    def rows_with(self, kind: FaultKind) -> int:
        """Return how many rows (days, where returns exceed sales) of all products have a fault."""
        if kind is FaultKind.DUPLICATE:
            return self.duplicates_dropped
        if kind is FaultKind.NET_NEGATIVE_DAY:
            return self.net_negative_days
        return self.rejected_by_reason.get(Rejection(kind.value), 0)
