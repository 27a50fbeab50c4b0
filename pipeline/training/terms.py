"""Trainings under terms: what such a training sees of the sales and of the settings, and when it cannot be."""

from __future__ import annotations

import pandas as pd

from contracts import TrainingTerms
from pipeline.errors import InsufficientDataError
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData


def settings_under(terms: TrainingTerms | None, settings: Settings) -> Settings:
    """Return the settings with those that the terms replace; the contract has the same ranges as they."""
    return settings if terms is None else settings.model_copy(update=terms.settings)


def data_under(terms: TrainingTerms | None, data: TenantData, settings: Settings) -> TenantData:
    """Return the sales that a training under some terms sees.

    Args:
        terms: None for an ordinary training, which sees all.
        data: the tenant's sales and outlook.
        settings: the days that a product needs.

    Raises:
        InsufficientDataError: the terms leave no day, or fewer days than any product needs.
    """
    if terms is None:
        return data
    first, last = data.sales.dates[0], data.origin
    if terms.start is not None and pd.Timestamp(terms.start) > last:
        raise InsufficientDataError(f"start = {terms.start}: the sales end on {last.date()}; give an earlier day")
    if terms.end is not None and pd.Timestamp(terms.end) < first:
        raise InsufficientDataError(f"end = {terms.end}: the sales begin on {first.date()}; give a later day")
    seen = data.under(terms)
    days = (seen.origin - seen.sales.dates[0]).days + 1
    if days < settings.min_training_data_days:
        raise InsufficientDataError(
            f"{terms}: leaves {days} days, {seen.sales.dates[0].date()} to {seen.origin.date()}; "
            f"MIN_TRAINING_DATA_DAYS = {settings.min_training_data_days} are needed"
        )
    return seen
