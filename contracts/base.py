"""What every contract shares: strictness, immutability and UTC time stamps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

SCHEMA_VERSION = "1"
WRITTEN = "a moment is written in ISO 8601 with its timezone, as 2026-03-01T10:00:00Z is"


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"in UTC {moment.isoformat()} lies outside the years 1 to 9999") from error


def _iso(value: object) -> object:
    """Read a text as ISO 8601 alone: pydantic would take a number for seconds since 1970, and it is a slip."""
    if isinstance(value, int | float):
        raise ValueError(WRITTEN)  # noqa: TRY004 - what a validator raises for a value that it refuses
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(WRITTEN)
    return moment


UtcDatetime = Annotated[AwareDatetime, BeforeValidator(_iso), AfterValidator(_to_utc)]
"""A time-zone aware moment, stored as UTC; a naive one is refused, and so is a number."""

TenantId = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$"), Field(description="Id of the business.")
]
"""1 to 63 of a-z, 0-9, `_`, `-`, beginning with a letter or digit: it stands in paths and keys."""

ProductId = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), Field(description="The product, as its till calls it.")
]
"""Any non-empty text: product names come from tills and are kept as they are."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Version = Annotated[str, StringConstraints(pattern=r"^\d{8}_\d{6}$")]
"""`YYYYMMDD_HHMMSS`, UTC, unique for a tenant and product."""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Contract(BaseModel):
    """Base of all contracts: unknown fields are refused and instances cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
