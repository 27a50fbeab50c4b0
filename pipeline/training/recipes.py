"""How each family is fitted, from the settings, and the hash that says when that has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contracts import DemandClass
from pipeline import __version__, engine
from pipeline.engine.families import FAMILIES, FOREIGN, Recipe
from pipeline.engine.panel import Outlook
from pipeline.engine.tuning import Search
from pipeline.engine.tuning.space import TUNED_FAMILIES
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings

LIBRARIES = ("lightgbm", "numpy", "optuna", "pandas", "prophet")
ENGINE = Path(engine.__file__).parent
TREES = ("lightgbm", "lightgbm_direct")


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


def families_of(settings: Settings) -> tuple[str, ...]:
    """Return the families that take part: all but those of WITHOUT_FAMILIES.

    Raises:
        ConfigurationError: one of these does not exist, or must not be missing, or none is left.
    """
    without = {name.strip() for name in settings.without_families.split(",") if name.strip()}
    for name in sorted(without):
        if name not in FAMILIES or FAMILIES[name].gatekeeper:
            can = ", ".join(sorted(known for known, family in FAMILIES.items() if not family.gatekeeper))
            raise ConfigurationError(f"WITHOUT_FAMILIES={settings.without_families!r}: {name!r} is none of {can}")
    found = tuple(name for name in FAMILIES if name not in without)
    for name in found:
        stand_in = FAMILIES[name].stand_in
        if stand_in in without:
            raise ConfigurationError(
                f"WITHOUT_FAMILIES={settings.without_families!r}: {name!r} needs {stand_in!r}, whose errors stand for "
                f"its own; leave out both or none"
            )
    if all(FAMILIES[name].gatekeeper or FAMILIES[name].intermittent for name in found):
        raise ConfigurationError(
            f"WITHOUT_FAMILIES={settings.without_families!r} leaves no family for products that sell on most days; "
            f"leave in one that is no gatekeeper and not for rare sales alone, such as linear"
        )
    return found


def evaluated_families(settings: Settings) -> tuple[str, ...]:
    """Return the families that are fitted at past origins: all but those that another stands for."""
    return tuple(name for name in families_of(settings) if FAMILIES[name].stand_in is None)


def recipes(settings: Settings) -> dict[str, Recipe]:
    """Return the recipe of each family that takes part, without what is tuned.

    Raises:
        ConfigurationError: WITHOUT_FAMILIES cannot be done.
    """
    seasons = {"weekly": settings.prophet_weekly_seasonality, "yearly": settings.prophet_yearly_seasonality}
    trees = _given(
        n_estimators=settings.lightgbm_n_estimators,
        learning_rate=settings.lightgbm_learning_rate,
        max_depth=settings.lightgbm_max_depth,
        min_child_samples=settings.lightgbm_min_child_samples,
        subsample=settings.lightgbm_subsample,
        colsample_bytree=settings.lightgbm_colsample_bytree,
    )
    regression = {**seasons, **by_hand(settings)}
    parameters = dict.fromkeys(TUNED_FAMILIES, regression) | dict.fromkeys(TREES, trees)
    return {name: Recipe(parameters.get(name, {}), settings.seed) for name in families_of(settings)}


def by_hand(settings: Settings) -> dict[str, Any]:
    """Return the searched settings that were given by hand: they are not searched."""
    return _given(
        changepoint_prior_scale=settings.prophet_changepoint_prior_scale,
        seasonality_prior_scale=settings.prophet_seasonality_prior_scale,
        holidays_prior_scale=settings.prophet_holidays_prior_scale,
        seasonality_mode=settings.prophet_seasonality_mode,
    )


def _given(**parameters: Any) -> dict[str, Any]:
    """Those of a family's parameters that are set."""
    return {name: value for name, value in parameters.items() if value is not None}


def search_of(settings: Settings) -> Search | None:
    """Return how settings are searched; None: they are not, or none of the families has any."""
    if not settings.tuning_enabled or not set(TUNED_FAMILIES) & set(families_of(settings)):
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


def covariates_of(outlook: Outlook) -> tuple[str, ...]:
    """Return the names of the covariates that there are."""
    return tuple(sorted([*outlook.covariates, *outlook.by_product]))


def config_fingerprint(settings: Settings, outlook: Outlook) -> str:
    """Return the SHA-256 of all that shapes a model beside the sales: settings, and which covariates there are."""
    shape = {
        "covariates": covariates_of(outlook),
        "search": asdict(search) if (search := search_of(settings)) else None,
        "recipes": {name: [dict(recipe.parameters), recipe.seed] for name, recipe in recipes(settings).items()},
        "zero_share_error": settings.zero_share_error,
        "min_training_data_days": settings.min_training_data_days,
        "evaluation_origins": settings.evaluation_origins,
        "horizon_days": settings.horizon_days,
    }
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1)
def library_versions() -> Mapping[str, str]:
    """Return the version of each library that a model's numbers depend on."""
    return {name: version(name) for name in LIBRARIES} | FOREIGN
