"""How each family is fitted, from the settings, and the hash that says when that has changed."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from pipeline import __version__, engine
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.panel import Outlook
from pipeline.settings import Settings

LIBRARIES = ("lightgbm", "numpy", "pandas", "prophet")
ENGINE = Path(engine.__file__).parent


def code_version(source: Path) -> str:
    """Return the version, and a digest of a folder of source: what other code has made is made anew."""
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*.py")):
        digest.update(str(path.relative_to(source)).encode() + path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


CODE_VERSION = code_version(ENGINE)


def recipes(settings: Settings) -> dict[str, Recipe]:
    """Return the recipe of each family."""
    regression = {
        "changepoint_prior_scale": settings.prophet_changepoint_prior_scale,
        "weekly": settings.prophet_weekly_seasonality,
        "yearly": settings.prophet_yearly_seasonality,
    }
    own = {"linear": regression, "prophet": regression}
    return {name: Recipe(own.get(name, {}), settings.seed) for name in FAMILIES}


def config_fingerprint(settings: Settings, outlook: Outlook) -> str:
    """Return the SHA-256 of all that shapes a model beside the sales: settings, and which covariates there are."""
    shape = {
        "covariates": sorted([*outlook.covariates, *outlook.by_product]),
        "recipes": {name: [dict(recipe.parameters), recipe.seed] for name, recipe in recipes(settings).items()},
        "zero_share_error": settings.zero_share_error,
        "min_training_data_days": settings.min_training_data_days,
        "evaluation_origins": settings.evaluation_origins,
        "horizon_days": settings.horizon_days,
    }
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Return the version of each library that a model's numbers depend on."""
    return {name: version(name) for name in LIBRARIES}
