"""The one protocol of all families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import Parts
from pipeline.errors import PipelineError

FAULTS = (PipelineError, ValueError, ArithmeticError, RuntimeError, np.linalg.LinAlgError)
"""What a family may raise on some product's data; whoever fits many products catches these, and nothing more."""


class Scope(StrEnum):
    """Whom one fit serves: each product its own, or all products of a tenant together."""

    PRODUCT = "product"
    TENANT = "tenant"


@dataclass(frozen=True)
class Recipe:
    """How a family is to be fitted: its parameters by name, and the seed of everything random.

    `by_product` holds what is found for some products alone; it goes before `parameters`.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    by_product: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, product: str) -> dict[str, Any]:
        """Return the parameters of one product."""
        return {**self.parameters, **self.by_product.get(product, {})}


class Fitted(Protocol):
    """A fitted family."""

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) mean demand, units, finite and not negative, for the days after the history.

        Args:
            history: the n products up to the origin; it may be newer than what the fit has seen.
            outlook: must cover the history and the horizon.
            horizon: days ahead.
        """
        ...

    def to_files(self) -> dict[str, bytes]:
        """Return what must be stored, by file name; data only, never code."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A fitted family that can tell what its forecast is made of; not every family can."""

    def explain(self, history: Panel, outlook: Outlook, horizon: int) -> Parts:
        """Return the parts of what `predict` returns for the same arguments, each (n, horizon) units."""
        ...


class Family(Protocol):
    """A kind of model.

    `stand_in` names the family whose out-of-sample errors are taken for this one's where refitting it at
    every origin would cost too much; `voice` groups families that say the same: a voice counts once in a
    combination; `intermittent` says that the family can take products that hardly ever sell; `gatekeeper` that
    it is there to be beaten: it is evaluated and shown, and speaks only where no other family can.
    """

    @property
    def name(self) -> str:
        """Name in manifests, tables and columns."""
        ...

    @property
    def scope(self) -> Scope:
        """Whom one fit serves."""
        ...

    @property
    def voice(self) -> str:
        """Name of the voice that the family speaks with in a combination."""
        ...

    @property
    def stand_in(self) -> str | None:
        """The family that is evaluated in its place, if any."""
        ...

    @property
    def intermittent(self) -> bool:
        """Whether products with too many zeros for the other families are this one's, too."""
        ...

    @property
    def gatekeeper(self) -> bool:
        """Whether it is there to be beaten, not to be combined."""
        ...

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> Fitted:
        """Fit to the observed days of the history.

        Raises:
            FamilyError: the history cannot carry this family; says why.
        """
        ...

    def from_files(self, files: Mapping[str, bytes]) -> Fitted:
        """Turn stored files back into a fitted family that predicts the same.

        Raises:
            FamilyError: a file is missing or not what it should be.
        """
        ...
