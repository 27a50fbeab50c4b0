"""Which ways of forecasting a tenant's models are made of, and what each would be worth alone."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from contracts import ModelManifest
from pipeline.engine.families import FAMILIES
from pipeline.engine.metrics import measure
from pipeline.report.content import Method


def methods(evaluation: pd.DataFrame, manifests: Mapping[str, ModelManifest]) -> tuple[Method, ...]:
    """Return every family that was tried or is used, the largest part first.

    Args:
        evaluation: a row for each product, origin and day, with a column for each family.
        manifests: the models in use by product.
    """
    weights: dict[str, list[float]] = {}
    for manifest in manifests.values():
        for member in manifest.members:
            weights.setdefault(member.family, []).append(member.weight)
    known = [name for name in FAMILIES if name in evaluation or name in weights]
    found = [_method(name, evaluation, weights.get(name, []), len(manifests)) for name in known]
    return tuple(sorted(found, key=lambda one: -one.part))


def _method(name: str, evaluation: pd.DataFrame, weights: list[float], models: int) -> Method:
    measured_as = None if name in evaluation else FAMILIES[name].stand_in
    column = measured_as or name
    alone, together = None, None
    if column in evaluation:
        days = evaluation[evaluation[column].notna() & evaluation["y_hat"].notna()]
        alone, together = (
            measure(days["actual"].to_numpy(float), days[of].to_numpy(float)) for of in (column, "y_hat")
        )
    return Method(
        name,
        part=sum(weights) / models if models else 0.0,
        products=sum(weight > 0 for weight in weights),
        wape=alone.wape if alone else None,
        together=together.wape if together else None,
        measured_as=measured_as if alone else None,
    )
