"""The families of models, by name: ours, then those of other distributions. All pass the conformance suite."""

from __future__ import annotations

from pipeline.engine.families.base import FAULTS, Family, Fitted, Recipe, Scope
from pipeline.engine.families.ets import ETS
from pipeline.engine.families.lightgbm import DIRECT, LightGBM
from pipeline.engine.families.linear import Linear
from pipeline.engine.families.plugins import find
from pipeline.engine.families.prophet import Prophet
from pipeline.engine.families.seasonal_average import SeasonalAverage
from pipeline.engine.families.seasonal_naive import SeasonalNaive
from pipeline.engine.families.theta import Theta
from pipeline.engine.families.tsb import TSB

FAMILIES: dict[str, Family]
FOREIGN: dict[str, str]
"""Distribution and version of each family that is not ours."""

_TREES = (LightGBM(), LightGBM("lightgbm_direct", "direct trees", DIRECT))
_OURS = (SeasonalNaive(), SeasonalAverage(), Linear(), Prophet(), *_TREES, ETS(), Theta(), TSB())


def __getattr__(name: str) -> object:
    """Find the families when they are first asked for, not while the module of one of them is still being imported."""
    if name not in ("FAMILIES", "FOREIGN"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ours: dict[str, Family] = {family.name: family for family in _OURS}
    found, sources = find(ours)
    globals().update(FAMILIES=ours | found, FOREIGN=sources)
    return globals()[name]


__all__ = ["FAMILIES", "FAULTS", "FOREIGN", "Family", "Fitted", "Recipe", "Scope"]
