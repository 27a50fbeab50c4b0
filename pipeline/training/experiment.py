"""What makes a training an experiment: the parameters that it ran with, and its figures over all products."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.engine.evaluate import OriginForecasts, score
from pipeline.registry.manifests import COMBINATION, NAIVE
from pipeline.registry.records import Figure, JobRecord
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.recipes import (
    CODE_VERSION,
    config_fingerprint,
    covariates_of,
    library_versions,
    recipes,
    search_of,
)

SEASONAL_NAIVE, TERMS = "seasonal_naive", "terms"
FIGURES = ("mae", "rmse", "wape", "mase", "rmsse", "bias", "coverage", "below_upper", "pinball")


def parameters(settings: Settings, data: TenantData) -> dict[str, Any]:
    """Return all that shapes a training's models beside the sales, flat, such as `linear.weekly` or `trials.high`.

    Raises:
        ConfigurationError: WITHOUT_FAMILIES cannot be done.
    """
    made = recipes(settings)
    found: dict[str, Any] = {
        "horizon_days": settings.horizon_days,
        "evaluation_origins": settings.evaluation_origins,
        "min_training_data_days": settings.min_training_data_days,
        "zero_share_error": settings.zero_share_error,
        "seed": settings.seed,
        "families": "+".join(made),
        "covariates": ", ".join(covariates_of(data.outlook)),
        "origin": str(data.origin.date()),
        "code_version": CODE_VERSION,
        "config_fingerprint": config_fingerprint(settings, data.outlook),
    }
    for family, recipe in made.items():
        found |= {f"{family}.{name}": value for name, value in recipe.parameters.items()}
    if data.terms is not None:
        found[TERMS] = data.terms.model_dump_json(exclude_defaults=True)
    if search := search_of(settings):
        found |= {f"trials.{demand_class}": trials for demand_class, trials in search.trials.items()}
        found |= {"tuning.sampler": settings.tuning_sampler, "tuning.pruner": settings.tuning_pruner}
    return found | {f"library.{name}": version for name, version in library_versions().items()}


def terms_of(job: JobRecord) -> dict[str, Any]:
    """Return the terms that a job trained under, as a request has them; nothing of an ordinary one."""
    found: dict[str, Any] = json.loads(job.parameters.get(TERMS, "{}"))
    return found


def figures(scored: Sequence[OriginForecasts]) -> list[Figure]:
    """Return the figures over all products: of the combination, the naive and each family; overall and by origin."""
    if not scored:
        return []
    overall = [Figure(0, None, *figure) for figure in _figures(scored)]
    by_origin = [
        Figure(step, one.origin.date(), *figure) for step, one in enumerate(scored, 1) for figure in _figures([one])
    ]
    return overall + by_origin


def _figures(scored: Sequence[OriginForecasts]) -> Iterator[tuple[str, str, float]]:
    families = set.intersection(*(set(one.families) for one in scored))
    named = {COMBINATION: None, NAIVE: SEASONAL_NAIVE} | {name: name for name in sorted(families - {SEASONAL_NAIVE})}
    for name, family in named.items():
        known = score(scored, family).model_dump(include=set(FIGURES), exclude_none=True)
        yield from ((name, metric, float(value)) for metric, value in known.items() if np.isfinite(value))
