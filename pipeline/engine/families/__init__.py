"""The families of models, by name. A new one is one file and an entry here; it must pass the conformance suite."""

from __future__ import annotations

from pipeline.engine.families.base import FAULTS, Family, Fitted, Recipe, Scope
from pipeline.engine.families.lightgbm import LightGBM
from pipeline.engine.families.linear import Linear
from pipeline.engine.families.prophet import Prophet
from pipeline.engine.families.seasonal_naive import SeasonalNaive
from pipeline.engine.families.tsb import TSB

FAMILIES: dict[str, Family] = {
    family.name: family for family in (SeasonalNaive(), Linear(), Prophet(), LightGBM(), TSB())
}

__all__ = ["FAMILIES", "FAULTS", "Family", "Fitted", "Recipe", "Scope"]
