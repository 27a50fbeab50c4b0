"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator

from contracts import TrainingTerms

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""A growing number; SQLite counts up only what it calls an integer."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, aware and in UTC on both sides; SQLite keeps no time zone of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive moment; hand over UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; give an aware moment")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ProductText(TypeDecorator[str]):
    """A product id, kept exactly: PostgreSQL's text cannot hold a NUL, so that is percent-encoded."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Encode `%` and NUL."""
        return None if value is None else value.replace("%", "%25").replace("\0", "%00")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Undo the encoding."""
        return None if value is None else unquote(value, errors="strict")


class ReadableText(TypeDecorator[str]):
    """Free text for people: what a database cannot hold becomes a replacement character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace NULs and halves of surrogate pairs."""
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


class TermsJson(TypeDecorator[TrainingTerms]):
    """The terms of a training, as JSON; NULL for an ordinary one."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: TrainingTerms | None, dialect: Dialect) -> dict[str, Any] | None:
        """Hand over what is given."""
        return None if value is None else value.model_dump(mode="json", exclude_defaults=True)

    def process_result_value(self, value: Any, dialect: Dialect) -> TrainingTerms | None:
        """Return the terms."""
        return None if value is None else TrainingTerms.model_validate(value)
