"""The training plan: which products are due, and why. The first cause that holds is the one that is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contracts import Cause, PlanRow, TrainingTerms
from pipeline.engine.demand import RECENT_DAYS, insufficient
from pipeline.engine.panel import Status
from pipeline.registry.records import ModelRecord
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.fingerprint import fingerprints, fingerprints_as_of
from pipeline.training.recipes import CODE_VERSION, config_fingerprint
from pipeline.training.terms import data_under, settings_under

NONE_BROKEN: Mapping[str, str] = {}
NOTHING_FOUND: Mapping[str, tuple[Cause, str]] = {}


@dataclass(frozen=True)
class Occasion:
    """Why a plan is made: `requested` products (None: no request) and whether the weekly schedule asks.

    `terms` are those under which what is due will be trained; they make nothing due.
    """

    requested: frozenset[str] | None = None
    scheduled: bool = False
    terms: TrainingTerms | None = None

    @classmethod
    def of(cls, plan: Sequence[PlanRow]) -> Occasion:
        """Return the occasion on which a plan was made, as far as its rows tell."""
        requested = frozenset(row.product_id for row in plan if row.cause is Cause.REQUEST)
        return cls(requested or None, any(row.cause is Cause.SCHEDULE for row in plan))


@dataclass(frozen=True)
class _Known:
    """What is known of a product when its place in the plan is decided."""

    fingerprint: str
    as_of_model: str | None
    config: str
    origin: pd.Timestamp
    new_days: int
    broken: str | None
    found: tuple[Cause, str] | None


def make_plan(
    data: TenantData,
    latest: Mapping[str, ModelRecord],
    settings: Settings,
    occasion: Occasion,
    unusable: Mapping[str, str] = NONE_BROKEN,
    found: Mapping[str, tuple[Cause, str]] = NOTHING_FOUND,
) -> list[PlanRow]:
    """Return a row for every product of the tenant, the most important first.

    What is due is told from all sales up to the origin; of a product's newest model, from what a training under that
    model's terms would see today. What a row says of the data is what the training under the occasion's terms will see.

    Args:
        data: the tenant's sales as of the origin.
        latest: the newest registered model by product.
        settings: minimum days, ages, and shares.
        occasion: who asks.
        unusable: products whose model is broken, and what is wrong with it.
        found: products whose newest model was found to hold no longer: the cause, and the reason in words.

    Raises:
        InsufficientDataError: the occasion's terms leave too few days to train on.
    """
    seen = data_under(occasion.terms, data, settings)
    now, as_of = fingerprints(seen.panel), _as_of_models(data, latest.values(), settings)
    rows = []
    for index, product in enumerate(data.panel.products):
        model = latest.get(product)
        as_of_model, config = as_of.get(product, (None, ""))
        new_days = 0 if model is None else _new_days(data, index, pd.Timestamp(model.origin))
        broken, cause = unusable.get(product), found.get(product)
        known = _Known(now[product], as_of_model, config, data.origin, new_days, broken, cause)
        rows.append(_row(seen, index, model, known, settings, occasion))
    return sorted(rows, key=lambda row: (-row.importance, row.product_id))


def _as_of_models(
    data: TenantData, models: Iterable[ModelRecord], settings: Settings
) -> dict[str, tuple[str | None, str]]:
    """Return, by product, the fingerprints of sales and settings that its model would have if it were made today."""
    by_terms: dict[TrainingTerms | None, list[ModelRecord]] = {}
    for model in models:
        by_terms.setdefault(model.terms, []).append(model)
    found: dict[str, tuple[str | None, str]] = {}
    for terms, alike in by_terms.items():
        config = config_fingerprint(settings_under(terms, settings), data.outlook)
        then = fingerprints_as_of(data.under(terms), (pd.Timestamp(model.origin) for model in alike))
        found |= {
            model.product_id: (then.get(pd.Timestamp(model.origin), {}).get(model.product_id), config)
            for model in alike
        }
    return found


def causes(plan: Sequence[PlanRow]) -> str:
    """Return the causes of what is due, the most frequent first, in words.

    >>> causes([])
    'nothing due'
    """
    counted = Counter(str(row.cause) for row in plan if row.due)
    return ", ".join(f"{cause} {count}" for cause, count in counted.most_common()) or "nothing due"


def _row(
    data: TenantData,
    index: int,
    model: ModelRecord | None,
    known: _Known,
    settings: Settings,
    occasion: Occasion,
) -> PlanRow:
    product, demand = data.panel.products[index], data.demand
    days = int(demand.data_days[index])
    cause, reason = _cause(product, model, known, settings, occasion)
    if days < settings.min_training_data_days:
        cause, reason = None, insufficient(days, settings.min_training_data_days)
    elif bool(demand.discontinued[index]) and cause is not Cause.REQUEST:
        cause, reason = None, f"discontinued: no sale in the last {min(days, RECENT_DAYS)} observed days"
    if cause is not None and occasion.terms is not None:
        reason = f"{reason}; under terms: {occasion.terms}"
    age = 365 if model is None else (known.origin - pd.Timestamp(model.origin)).days
    return PlanRow(
        tenant_id=data.tenant.id,
        product_id=product,
        due=cause is not None,
        cause=cause,
        reason=reason,
        importance=float(demand.level[index]) * min(max(age, 0), 365) / 365,
        data_days=days,
        data_fingerprint=known.fingerprint,
        restricted=bool(demand.zero_share[index] > settings.zero_share_error),
    )


def _cause(  # noqa: PLR0911 - a list of causes, the first that holds
    product: str, model: ModelRecord | None, known: _Known, settings: Settings, occasion: Occasion
) -> tuple[Cause | None, str]:
    if occasion.requested is not None:
        if product in occasion.requested:
            return Cause.REQUEST, "asked for"
        return None, "not among the products asked for"
    if model is None:
        return Cause.NEVER_TRAINED, "no model yet"
    if known.broken is not None:
        return Cause.BROKEN_MODEL, f"no model that can be used: {known.broken}"
    if known.as_of_model != model.data_fingerprint:
        return Cause.CORRECTED_HISTORY, f"sales up to {model.origin} are not what version {model.version} saw"
    if known.found is not None:
        return known.found
    if model.code_version != CODE_VERSION:
        return Cause.NEW_CODE, f"trained by {model.code_version}, this is {CODE_VERSION}"
    if model.config_fingerprint != known.config:
        return Cause.NEW_CONFIGURATION, f"settings have changed since version {model.version}"
    age = (known.origin - pd.Timestamp(model.origin)).days
    if occasion.scheduled and age > 0:
        return Cause.SCHEDULE, f"weekly retraining; {age} days since version {model.version}"
    if age >= settings.retrain_after_days:
        return Cause.AGE, f"{age} days old, {settings.retrain_after_days} allowed"
    if known.new_days >= settings.retrain_after_new_days:
        return Cause.NEW_DATA, f"{known.new_days} new observed days, {settings.retrain_after_new_days} are enough"
    return None, "unchanged since the last training" if age == 0 else f"version {model.version} is {age} days old"


def _new_days(data: TenantData, index: int, origin: pd.Timestamp) -> int:
    start = int(data.panel.dates.searchsorted(origin, side="right"))
    status = data.panel.status[index, start:]
    return int(np.isin(status, (Status.SOLD, Status.ZERO)).sum())
