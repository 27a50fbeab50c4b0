"""The settings of the regression that are searched for, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.engine.families.design import DEFAULTS
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import optuna

TUNED_FAMILIES = ("linear", "prophet")
"""They share one design, so that what is found on the closed form holds for the other."""
GRID_POINTS = 3


@dataclass(frozen=True)
class Between:
    """A positive number, searched on a logarithmic scale."""

    low: float
    high: float

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Return the trial's value."""
        return trial.suggest_float(name, self.low, self.high, log=True)

    def grid(self) -> list[float]:
        """Return the ends and what lies evenly between them, by ratio."""
        step = (self.high / self.low) ** (1 / (GRID_POINTS - 1))
        return [self.low, *(self.low * step**k for k in range(1, GRID_POINTS - 1)), self.high]

    def allows(self, value: Any) -> bool:
        """Whether a value lies between the limits."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        """Say the limits."""
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class OneOf:
    """One of some words."""

    words: tuple[str, ...]

    def suggest(self, trial: optuna.Trial, name: str) -> str:
        """Return the trial's word."""
        return str(trial.suggest_categorical(name, self.words))

    def grid(self) -> list[str]:
        """Return all words."""
        return list(self.words)

    def allows(self, value: Any) -> bool:
        """Whether a value is one of the words."""
        return value in self.words

    def __str__(self) -> str:
        """Say the words."""
        return " or ".join(self.words)


SPACE: Mapping[str, Between | OneOf] = {
    "changepoint_prior_scale": Between(0.001, 0.5),
    "seasonality_prior_scale": Between(0.01, 10.0),
    "holidays_prior_scale": Between(0.01, 10.0),
    "seasonality_mode": OneOf(("additive", "multiplicative")),
}


def searched(fixed: Mapping[str, Any]) -> dict[str, Between | OneOf]:
    """Return what is left to search when some settings are given by hand.

    Raises:
        ConfigurationError: a setting that is searched was given a value outside its limits.
    """
    for name, value in fixed.items():
        if name in SPACE and not SPACE[name].allows(value):
            raise ConfigurationError(f"{name}={value!r} cannot be used: it must be {SPACE[name]}")
    return {name: space for name, space in SPACE.items() if name not in fixed}


def usual(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the untuned values of these settings: the first trial, which all others are measured against."""
    return {name: DEFAULTS[name] for name in names}
