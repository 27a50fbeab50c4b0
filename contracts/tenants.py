"""A tenant: one business, its place, and where its sales come from."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from contracts.base import Contract, TenantId

_OF_CALENDAR = ("date", "product_id", "holiday", "closed")


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


class SalesFormat(Contract):
    """What every source says of its rows, whatever kind of place they come from."""

    mapping: ColumnMapping = ColumnMapping()
    decimal: Literal[".", ","] | None = Field(None, description="Decimal sign; found by looking when unset.")
    date_format: str | None = Field(None, description="strptime format, such as %d.%m.%Y; ISO 8601 when unset.")
    duplicates: Literal["drop", "keep"] = Field("drop", description="What to do with rows equal in every column.")


class FileSource(SalesFormat):
    """Sales in CSV or Parquet files: a file, a folder, a glob, or any fsspec URL of these."""

    kind: Literal["files"] = "files"
    path: str = Field(min_length=1)
    delimiter: str | None = Field(None, description="CSV delimiter; found by looking when unset.")
    encoding: str | None = Field(None, description="CSV encoding; UTF-8, else Windows-1252, when unset.")
    overlap: Literal["replace", "add"] = Field(
        "replace", description="When two files give the same product's day: the later replaces, or both add up."
    )

    @property
    def place(self) -> str:
        """Where the sales lie, as written; it may hold a login."""
        return self.path


class SqlSource(SalesFormat):
    """Sales in a database: a table, or the tenant's own SELECT, which may ask for the days from `:since` on."""

    kind: Literal["sql"]
    url: str = Field(min_length=1, description="SQLAlchemy URL; ${PIPELINE_SOURCE_...} stands for a variable.")
    query: str = Field(min_length=1, description="A SELECT, or the name of a table.")

    @property
    def place(self) -> str:
        """Where the sales lie, as written; it may hold a login."""
        return self.url


class HttpSource(SalesFormat):
    """Sales from a service that answers `GET url?since=YYYY-MM-DD&page=TOKEN` with pages of JSON rows."""

    kind: Literal["http"]
    url: str = Field(pattern=r"^https?://[^/\s]", description="Address of the sales, without `since` and `page`.")
    token: str | None = Field(
        None,
        pattern=r"^\$\{PIPELINE_SOURCE_[A-Z0-9_]+\}$",
        description="The variable that holds the bearer token: ${PIPELINE_SOURCE_...}; never the token itself.",
    )

    @property
    def place(self) -> str:
        """Where the sales lie, as written; it may hold a login."""
        return self.url


def _files_by_default(value: object) -> object:
    return {"kind": "files", **value} if isinstance(value, dict) else value


AnySource = Annotated[
    FileSource | SqlSource | HttpSource, Field(discriminator="kind"), BeforeValidator(_files_by_default)
]
"""Where a tenant's sales come from; without `kind` they are files."""


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


class SignalKind(StrEnum):
    """What a service tells of days: weather, which it also forecasts, or traffic, which is known afterwards."""

    WEATHER = "weather"
    TRAFFIC = "traffic"

    @property
    def known(self) -> CovariateKind:
        """When its values are known."""
        return CovariateKind.FORECAST if self is SignalKind.WEATHER else CovariateKind.PAST_ONLY


class SignalSource(Contract):
    """A service that answers `GET url?from=YYYY-MM-DD&to=YYYY-MM-DD` with values by day, for all products alike."""

    kind: SignalKind
    url: str = Field(pattern=r"^https?://[^/\s]", description="Address, without `from` and `to`.")
    token: str | None = Field(
        None,
        pattern=r"^\$\{PIPELINE_SOURCE_[A-Z0-9_]+\}$",
        description="The variable that holds the bearer token: ${PIPELINE_SOURCE_...}; never the token itself.",
    )
    parameters: dict[str, str] = Field(default_factory=dict, description="Added to the query, such as the place.")
    columns: dict[str, str] = Field(
        min_length=1, description="By the name of a column in the calendar, the field of the answer that it holds."
    )


class ClosingDays(Contract):
    """When the business is closed for certain."""

    weekdays: tuple[Weekday, ...] = ()
    dates: tuple[dt.date, ...] = ()
    public_holidays: bool = Field(False, description="True: closed on all of its country, region and town.")


class LocalHoliday(Contract):
    """A holiday of the town: on one day, on the same day each year, or so many days from Easter Sunday."""

    name: str = Field(min_length=1, max_length=100)
    date: dt.date | None = Field(None, description="On this day alone.")
    yearly: str | None = Field(
        None, pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", description="Month and day, such as 05-15."
    )
    easter: int | None = Field(
        None, ge=-100, le=100, description="Days from the Easter Sunday of the western churches; 50: Whit Monday."
    )

    @field_validator("yearly")
    @classmethod
    def _a_day(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                dt.date.fromisoformat(f"2024-{value}")
            except ValueError as error:
                raise ValueError(f"{value!r} is no day of any year; give month and day, such as 05-15") from error
        return value

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        given = [name for name in ("date", "yearly", "easter") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{self.name!r} needs one of date, yearly and easter; it has {', '.join(given) or 'none'}")
        return self


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
    town: str | None = Field(None, min_length=1, description="Town whose own holidays are known, such as Madrid.")
    timezone: TimeZone
    source: AnySource
    covariates: CovariateSource | None = None
    signals: tuple[SignalSource, ...] = ()
    closing: ClosingDays = ClosingDays()
    local_holidays: tuple[LocalHoliday, ...] = Field((), description="Of the town, beside the country's and region's.")
    without_holidays: tuple[dt.date, ...] = Field((), description="Days that are no holiday after all, once moved.")
    quiet_hours: QuietHours = QuietHours()

    @model_validator(mode="after")
    def _one_field_a_column(self) -> Self:
        columns = list(self.source.mapping.model_dump().values())
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise ValueError(f"the mapping uses a column for two fields: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _columns_of_signals(self) -> Self:
        names = [name for signal in self.signals for name in signal.columns]
        wrong = sorted({name for name in names if names.count(name) > 1 or name in _OF_CALENDAR})
        if wrong:
            raise ValueError(f"signals use a column twice, or one of the calendar itself: {', '.join(wrong)}")
        return self

    @property
    def covariate_kinds(self) -> dict[str, CovariateKind]:
        """When the values of covariates are known, by column, for those of which anything is said."""
        of_signals = {name: signal.kind.known for signal in self.signals for name in signal.columns}
        return {**of_signals, **(self.covariates.kinds if self.covariates else {})}
