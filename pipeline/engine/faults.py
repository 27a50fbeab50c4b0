"""What is borne when a family is fitted, forecasts or explains itself on some product's data."""

from __future__ import annotations

from pipeline.engine.families import FAULTS, FOREIGN


def borne(family: str) -> tuple[type[Exception], ...]:
    """Return the exceptions that cost a product this family, and nothing more.

    Of our own families those that data can cause: a mistake in their code must come to light. Of one from elsewhere
    any: what others have written must not stop a tenant.
    """
    return (Exception,) if family in FOREIGN else FAULTS
