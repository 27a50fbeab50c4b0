"""How each family is fitted, from the settings, and the hash that says when that has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contracts import DemandClass
from pipeline import __version__, engine
from pipeline.engine.families import FAMILIES, FOREIGN, Recipe
from pipeline.engine.panel import Outlook
from pipeline.engine.tuning import Search
from pipeline.engine.tuning.space import TUNED_FAMILIES
from pipeline.settings import Settings

LIBRARIES = ("lightgbm", "numpy", "optuna", "pandas", "prophet")
ENGINE = Path(engine.__file__).parent


def code_version(source: Path, foreign: Mapping[str, str]) -> str:
    """Return the version, and a digest of all code that makes models: what other code has made is made anew.

    Args:
        source: our folder of source.
        foreign: distribution and version of each family from elsewhere; their source is not looked at.
    """
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*.py")):
        digest.update(str(path.relative_to(source)).encode() + path.read_bytes())
    digest.update(json.dumps(foreign, sort_keys=True).encode())
    return f"{__version__}+{digest.hexdigest()[:12]}"


CODE_VERSION = code_version(ENGINE, FOREIGN)


def recipes(settings: Settings) -> dict[str, Recipe]:
    """Return the recipe of each family, without what is tuned."""
    seasons = {"weekly": settings.prophet_weekly_seasonality, "yearly": settings.prophet_yearly_seasonality}
    regression = {**seasons, **by_hand(settings)}
    return {name: Recipe(regression if name in TUNED_FAMILIES else {}, settings.seed) for name in FAMILIES}


def by_hand(settings: Settings) -> dict[str, Any]:
    """Return the searched settings that were given by hand: they are not searched."""
    given = {
        "changepoint_prior_scale": settings.prophet_changepoint_prior_scale,
        "seasonality_prior_scale": settings.prophet_seasonality_prior_scale,
        "holidays_prior_scale": settings.prophet_holidays_prior_scale,
        "seasonality_mode": settings.prophet_seasonality_mode,
    }
    return {name: value for name, value in given.items() if value is not None}


def search_of(settings: Settings) -> Search | None:
    """Return how settings are searched; None: they are not."""
    if not settings.tuning_enabled:
        return None
    trials = {
        DemandClass.HIGH: settings.tuning_trials_high,
        DemandClass.MEDIUM: settings.tuning_trials_medium,
        DemandClass.LOW: settings.tuning_trials_low,
        DemandClass.INTERMITTENT: settings.tuning_trials_intermittent,
    }
    return Search(
        trials,
        settings.tuning_sampler,
        settings.tuning_pruner,
        settings.tuning_seconds,
        seed=settings.seed,
        fixed=by_hand(settings),
    )


def config_fingerprint(settings: Settings, outlook: Outlook) -> str:
    """Return the SHA-256 of all that shapes a model beside the sales: settings, and which covariates there are."""
    shape = {
        "covariates": sorted([*outlook.covariates, *outlook.by_product]),
        "search": asdict(search) if (search := search_of(settings)) else None,
        "recipes": {name: [dict(recipe.parameters), recipe.seed] for name, recipe in recipes(settings).items()},
        "zero_share_error": settings.zero_share_error,
        "min_training_data_days": settings.min_training_data_days,
        "evaluation_origins": settings.evaluation_origins,
        "horizon_days": settings.horizon_days,
    }
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Return the version of each library that a model's numbers depend on."""
    return {name: version(name) for name in LIBRARIES} | FOREIGN
