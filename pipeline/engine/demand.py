"""How a product's demand behaves: its class, its days of data, whether it is still sold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts import DemandClass
from pipeline.engine.panel import Bools, Floats, Ints, Panel

RECENT_DAYS = 90
HIGH_UNITS, MEDIUM_UNITS = 50.0, 10.0
INTERMITTENT_ZERO_SHARE = 0.5
LISTED_DAYS = 14
"""Observed days up to which a product that has never sold is new, not given up."""
FEW_UNITS = 5.0
"""Units a day below which an interval on whole units holds too much by necessity: its upper end is judged instead."""


@dataclass(frozen=True)
class Demand:
    """Facts about the n products of a panel, each (n,)."""

    data_days: Ints
    """Observed days since the first row."""
    zero_share: Floats
    """Observed days without sales, of data_days; 1 without data."""
    level: Floats
    """Units a day over the last 90 observed days."""
    discontinued: Bools
    """No sale in the last 90 observed days, nor in all of them where there are at least 15."""
    classes: tuple[DemandClass, ...]

    def trainable(self, min_days: int) -> Bools:
        """Return (n,): the products with enough days that are still sold; the others are neither fitted nor scored.

        The zeros of a product that was given up would teach that what falls must vanish, and pass for errors of 0.
        """
        return np.asarray((self.data_days >= min_days) & ~self.discontinued)


def understand(panel: Panel) -> Demand:
    """Return what each product's history up to the panel's last day says of its demand."""
    observed = panel.observed
    days = observed.sum(axis=1)
    zeros = (observed & (panel.quantity == 0)).sum(axis=1)
    zero_share = np.where(days > 0, zeros / np.maximum(days, 1), 1.0)
    recent = observed & (observed[:, ::-1].cumsum(axis=1)[:, ::-1] <= RECENT_DAYS)
    sold = np.where(recent, np.nan_to_num(panel.quantity), 0.0)
    level = sold.sum(axis=1) / np.maximum(recent.sum(axis=1), 1)
    recent_zero = np.where(recent, panel.quantity == 0, False).sum(axis=1) / np.maximum(recent.sum(axis=1), 1)
    return Demand(
        days.astype(np.int64),
        zero_share,
        level,
        (level == 0) & (days > LISTED_DAYS),
        tuple(class_of(float(v), float(z)) for v, z in zip(level, recent_zero, strict=True)),
    )


def sells(expected: Floats, *, few: bool) -> Bools:
    """Return which are expected to sell fewer than FEW_UNITS a day, or else no fewer; what is not known is neither."""
    return np.asarray(expected < FEW_UNITS if few else expected >= FEW_UNITS, bool)


def insufficient(days: int, minimum: int) -> str:
    """Return the sentence that other systems look for when a product has too few days of data."""
    return f"Product requires minimum {minimum} days of sales data. Currently: {days} days."


def class_of(level: float, zero_share: float) -> DemandClass:
    """Return the class of a product with a level, units a day, and a share of days without sales."""
    if zero_share >= INTERMITTENT_ZERO_SHARE:
        return DemandClass.INTERMITTENT
    if level >= HIGH_UNITS:
        return DemandClass.HIGH
    return DemandClass.MEDIUM if level >= MEDIUM_UNITS else DemandClass.LOW
