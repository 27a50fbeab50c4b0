"""A forecast that somebody asks for: up to a year ahead, with a range of any confidence; it is counted, not stored."""

from __future__ import annotations

import pandas as pd

from contracts import ForecastRequest, RequestedForecastRow
from pipeline.engine.intervals import at_confidence
from pipeline.errors import ConfigurationError, DataError
from pipeline.forecasting.ladder import QUANTILE_COLUMNS, Ladder
from pipeline.installation import Installation
from pipeline.tenant_data import TenantData, load_further


def forecast_asked(opened: Installation, request: ForecastRequest) -> pd.DataFrame:
    """Return a row per product and day as the contract RequestedForecastRow, from the models in use.

    Days beyond those that a model was evaluated for are flagged, and their range is wider.

    Raises:
        ConfigurationError: the tenant does not sell a product that is asked for.
        DataError: the tenant has no sales yet, or nothing that is asked for still sells.
        SourceError: the covariates, which are read anew for a longer calendar, cannot be read.
    """
    data = _data(opened, request)
    if unknown := sorted(set(request.products) - set(data.panel.products)):
        raise ConfigurationError(f"products = {unknown[0]!r}: tenant {request.tenant!r} does not sell it")
    evaluated = opened.settings.horizon_days
    settings = opened.settings.model_copy(update={"horizon_days": request.days})
    ladder = Ladder(data, opened.registry, opened.store, settings, opened.workers, evaluated_days=evaluated)
    frame = ladder.climb(products=request.products or None)
    if frame.empty:
        raise DataError(f"tenant {request.tenant!r} has no forecast: nothing that is asked for still sells")
    lower, upper = at_confidence(frame[list(QUANTILE_COLUMNS)].to_numpy(float).T, request.confidence)
    opened.registry.count_predictions(int(frame["product_id"].nunique()))
    within = _evaluated(opened, frame, evaluated)
    found = frame.assign(
        lower=lower, upper=upper, confidence=request.confidence, beyond_horizon=frame["horizon"] > within
    )
    return found[list(RequestedForecastRow.model_fields)]


def _data(opened: Installation, request: ForecastRequest) -> TenantData:
    if request.days <= opened.settings.horizon_days:
        return opened.data(request.tenant)
    return load_further(opened.home, opened.tenant(request.tenant), request.days)


def _evaluated(opened: Installation, frame: pd.DataFrame, otherwise: int) -> pd.Series[int]:
    """Days ahead that each row's model was evaluated for; those of the settings where there is no model."""
    models = frame[["tenant_id", "product_id", "model_version"]].drop_duplicates().dropna()
    days = {
        (product, version): opened.registry.manifest(tenant, product, version).horizon
        for tenant, product, version in models.itertuples(index=False)
    }
    keys = zip(frame["product_id"], frame["model_version"], strict=True)
    return pd.Series([days.get(key, otherwise) for key in keys], index=frame.index)
