"""A tenant: one business, its place, and where its sales come from."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from contracts.base import Contract, TenantId


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"time zone {name!r} is not known; use an IANA name such as Europe/Madrid") from error
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class ColumnMapping(Contract):
    """Which column of the tenant's files holds which field; the defaults are the fields' own names."""

    date: str = "date"
    product_id: str = "product_id"
    quantity: str = "quantity"
    unit_price: str = "unit_price"
    location_id: str = "location_id"
    category: str = "category"
    product_name: str = "product_name"
    sold_out: str = "sold_out"
    available: str = "available"
    tenant_id: str = "tenant_id"


class FileSource(Contract):
    """Sales in CSV or Parquet files: a file, a folder, a glob, or any fsspec URL of these."""

    kind: Literal["files"] = "files"
    path: str = Field(min_length=1)
    mapping: ColumnMapping = ColumnMapping()
    delimiter: str | None = Field(None, description="CSV delimiter; found by looking when unset.")
    encoding: str | None = Field(None, description="CSV encoding; UTF-8, else Windows-1252, when unset.")
    decimal: Literal[".", ","] | None = Field(None, description="Decimal sign; found by looking when unset.")
    date_format: str | None = Field(None, description="strptime format, such as %d.%m.%Y; ISO 8601 when unset.")
    duplicates: Literal["drop", "keep"] = Field("drop", description="What to do with rows equal in every column.")
    overlap: Literal["replace", "add"] = Field(
        "replace", description="When two files give the same product's day: the later replaces, or both add up."
    )


class CovariateKind(StrEnum):
    """When a covariate's value is known."""

    KNOWN = "known"
    FORECAST = "forecast"
    PAST_ONLY = "past_only"


class CovariateSource(Contract):
    """A file of values by date, or by product and date, that help to explain sales."""

    path: str = Field(min_length=1)
    date: str = "date"
    product_id: str = "product_id"
    kinds: dict[str, CovariateKind] = Field(
        default_factory=dict, description="By column; a column that is not named is `known`."
    )


class ClosingDays(Contract):
    """When the business is closed for certain."""

    weekdays: tuple[Weekday, ...] = ()
    dates: tuple[dt.date, ...] = ()
    public_holidays: bool = Field(False, description="True: closed on every public holiday of its region.")


class QuietHours(Contract):
    """Local hours in which heavy work may run; may span midnight."""

    start: dt.time = dt.time(1, 0)
    end: dt.time = dt.time(5, 0)


class Tenant(Contract):
    """One business: its name, its place, its sales, and its closing days. Stored as a TOML file."""

    id: TenantId
    name: str = Field(min_length=1, max_length=200)
    country: str = Field(pattern=r"^[A-Z]{2}$", description="ISO 3166 code of two capitals, such as ES.")
    region: str | None = Field(None, description="Subdivision code of the country, such as MD.")
    timezone: TimeZone
    source: FileSource
    covariates: CovariateSource | None = None
    closing: ClosingDays = ClosingDays()
    quiet_hours: QuietHours = QuietHours()

    @model_validator(mode="after")
    def _one_field_a_column(self) -> Self:
        columns = list(self.source.mapping.model_dump().values())
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise ValueError(f"the mapping uses a column for two fields: {', '.join(twice)}")
        return self
