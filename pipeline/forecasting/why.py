"""Why this number: one product's forecast taken apart, from the rung of the ladder that it stands on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from contracts import Explanation, ForecastPart, MemberForecast, PartKind, Rung
from pipeline.engine.closing import closed_ahead
from pipeline.engine.demand import RECENT_DAYS
from pipeline.engine.explain import explain
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.panel import Outlook
from pipeline.engine.parts import BASE, Part, Parts, combined, total
from pipeline.errors import ConfigurationError, DataError
from pipeline.forecasting.borrowed import parts_of
from pipeline.forecasting.ladder import Ladder
from pipeline.forecasting.members import explain_members
from pipeline.forecasting.words import words
from pipeline.tables import records

NAIVE = Rung.SEASONAL_NAIVE.value
"""The family of the rung that needs no model."""


def explain_product(ladder: Ladder, product: str) -> list[Explanation]:
    """Return why each coming day's forecast of a product is what it is.

    Raises:
        ConfigurationError: the tenant does not sell the product.
        DataError: the product has no forecast, being discontinued or never observed.
        EngineError: its model cannot be explained.
    """
    rows = _forecast(ladder, product)
    weights, told = _told(ladder, product, rows[0])
    data, horizon = ladder.data, ladder.settings.horizon_days
    alone = data.panel.take([data.panel.row[product]])
    closed = closed_ahead(alone, data.outlook, horizon)
    parts = combined(((weights[family], own) for family, own in told.items()), closed)
    said = {family: total(own)[0] for family, own in told.items()}
    fields = ("tenant_id", "product_id", "date", "origin", "y_hat", "lower", "upper", "rung", "reason", "model_version")
    return [
        Explanation(
            **{name: row[name] for name in fields},
            parts=told_parts({part: units[0, at] for part, units in parts.items()}, data.outlook, product, row["date"]),
            members=tuple(
                MemberForecast(family=family, weight=weights[family], y_hat=ahead[at]) for family, ahead in said.items()
            ),
        )
        for at, row in enumerate(rows)
    ]


def told_parts(units: Mapping[Part, float], outlook: Outlook, product: str, date: dt.date) -> tuple[ForecastPart, ...]:
    """Return the parts of one day in words, with the covariates' values: the level first, then by size.

    Parts that add nothing on the day are left out.
    """
    found = []
    there = [part for part, added in units.items() if added or part.kind in BASE]
    for part in sorted(there, key=lambda part: (part.kind not in BASE, -abs(units[part]))):
        value = _value(part, outlook, product, date)
        found.append(
            ForecastPart(kind=part.kind, name=part.name, units=units[part], value=value, words=words(part, date, value))
        )
    return tuple(found)


def _forecast(ladder: Ladder, product: str) -> list[dict[str, Any]]:
    """The product's forecast from fresh sales, a row a day."""
    data = ladder.data
    tenant_id = data.tenant.id
    if product not in data.panel.row:
        raise ConfigurationError(
            f"tenant {tenant_id!r} does not sell {product!r}; `pipeline forecast show --tenant {tenant_id}` lists "
            f"its products"
        )
    row = data.panel.row[product]
    if data.demand.discontinued[row]:
        days = min(int(data.demand.data_days[row]), RECENT_DAYS)
        raise DataError(
            f"{product!r} of tenant {tenant_id!r} has no forecast: nothing was sold on the last {days} days that are "
            f"known of it"
        )
    rows = records(ladder.climb(products=[product]))
    if not rows:
        raise DataError(f"{product!r} of tenant {tenant_id!r} has no forecast: no day of its sales is known")
    return rows


def _told(ladder: Ladder, product: str, row: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, Parts]]:
    """The weight, and the parts, of each family that speaks for the product."""
    data, horizon, version = ladder.data, ladder.settings.horizon_days, row["model_version"]
    if row["rung"] == Rung.BORROWED:
        return {Rung.BORROWED.value: 1.0}, {Rung.BORROWED.value: parts_of(ladder.lent[product])}
    if version is None:
        alone, outlook = data.held.panel.take([data.panel.row[product]]), data.outlook.take([product])
        naive = FAMILIES[NAIVE].fit(alone, outlook, Recipe())
        return {NAIVE: 1.0}, {NAIVE: explain(NAIVE, naive, alone, outlook, horizon)}
    manifest = ladder.registry.manifest(data.tenant.id, product, version)
    weights = {member.family: member.weight for member in manifest.members}
    return weights, explain_members(manifest, data, ladder.store, ladder.settings)


def _value(part: Part, outlook: Outlook, product: str, date: dt.date) -> float | None:
    """The covariate that a part comes from, as given for the day; None for other parts, and where it is missing."""
    own, shared = outlook.by_product.get(part.name), outlook.covariates.get(part.name)
    values = shared if own is None else own[outlook.products.index(product)]
    if part.kind is not PartKind.COVARIATE or values is None:
        return None
    value = float(values[outlook.dates.get_loc(pd.Timestamp(date))])
    return value if np.isfinite(value) else None
