"""Strategies for requests that keep every rule."""

from __future__ import annotations

import datetime as dt

from hypothesis import strategies as st

import contracts
from contracts import Contract

TENANT = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
PRODUCTS = st.lists(NAME, max_size=3, unique=True).map(tuple)
PRIORITY = st.sampled_from(contracts.Priority)
SPAN = st.tuples(st.dates(dt.date(2000, 1, 1), dt.date(2023, 1, 1)), st.integers(7, 1095)).map(
    lambda span: {"start": span[0], "end": span[0] + dt.timedelta(days=span[1])}
)
SHARE = st.none() | st.floats(0.5, 1)
SCALE = st.none() | st.floats(0.01, 10)
OVERRIDES = st.builds(
    contracts.HyperparameterOverrides,
    prophet_changepoint_prior_scale=st.none() | st.floats(0.001, 0.5), prophet_seasonality_prior_scale=SCALE,
    prophet_holidays_prior_scale=SCALE, prophet_seasonality_mode=st.sampled_from([None, "additive", "multiplicative"]),
    lightgbm_n_estimators=st.none() | st.integers(50, 500), lightgbm_learning_rate=st.none() | st.floats(0.01, 0.3),
    lightgbm_max_depth=st.none() | st.integers(3, 15), lightgbm_min_child_samples=st.none() | st.integers(5, 100),
    lightgbm_subsample=SHARE, lightgbm_colsample_bytree=SHARE,
)  # fmt: skip
TRAINING = {"tenant": TENANT, "products": PRODUCTS, "priority": PRIORITY, "scheduled": st.booleans()}
ADVANCED = {
    "evaluation_origins": st.none() | st.integers(1, 52), "diagnostics": st.booleans(), "overrides": OVERRIDES,
}  # fmt: skip


def _spanned(contract: type[Contract], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Contract]:
    """Requests with a span of days, an open one, or none."""
    spans = SPAN | SPAN.map(lambda span: {"end": span["end"]}) | st.just({})
    return st.tuples(spans, st.fixed_dictionaries(fields)).map(lambda parts: contract(**parts[0], **parts[1]))


EVALUATIONS = st.tuples(
    SPAN | st.integers(7, 1098).map(lambda days: {"days": days}), TENANT, PRODUCTS, st.integers(1, 365)
).map(lambda parts: contracts.EvaluationRequest(**parts[0], tenant=parts[1], products=parts[2], ahead=parts[3]))
REQUESTS: dict[type[Contract], st.SearchStrategy[Contract]] = {
    contracts.TrainingRequest: _spanned(contracts.TrainingRequest, **TRAINING),
    contracts.AdvancedTrainingRequest: _spanned(contracts.AdvancedTrainingRequest, **TRAINING, **ADVANCED),
    contracts.BulkTrainingRequest: st.builds(
        contracts.BulkTrainingRequest,
        tenants=st.lists(TENANT, min_size=1, max_size=5, unique=True).map(tuple),
        products=PRODUCTS, parallel=st.booleans(), priority=PRIORITY,
    ),
    contracts.ForecastRequest: st.builds(
        contracts.ForecastRequest, tenant=TENANT, products=PRODUCTS, days=st.integers(1, 365),
        confidence=st.floats(0.5, 0.99),
    ),
    contracts.EvaluationRequest: EVALUATIONS,
    contracts.DataQualityRequest: st.builds(
        contracts.DataQualityRequest, tenant=TENANT, products=PRODUCTS, recommendations=st.booleans()
    ),
    contracts.ModelQuery: st.builds(
        contracts.ModelQuery, tenant=TENANT, product=st.none() | NAME, family=st.none() | NAME,
        model_type=st.none() | st.sampled_from(contracts.ModelType), deployed=st.none() | st.booleans(),
        max_wape=st.none() | st.floats(0, 9), limit=st.integers(1, 1000), offset=st.integers(0, 10**6),
    ),
}  # fmt: skip
"""Valid instances of each request."""
