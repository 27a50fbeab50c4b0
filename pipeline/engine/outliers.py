"""Clear one-day outliers, held back before anything is fitted: one mistyped day must not spoil a model.

Only what is fitted is held back; what is scored, shown and stored stays as it was sold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.engine.panel import Bools, Floats, Outlook, Panel
from pipeline.engine.usual import explained, largest_other, usual

LEAST_USUAL = 1.0
"""Units that such a day must usually sell: what is seldom sold is sold by the order, and an order is no mistake."""
FAR = 10.0
"""Spreads above the usual from which a day may be an outlier."""
ALONE = 2.0
"""Times the largest other day of the weeks around that an outlier sells: what happens twice is demand."""
YEAR = 364
YEAR_SLACK = 4
"""A peak that was there a year before or after, give or take so many days, is a season."""


@dataclass(frozen=True)
class Held:
    """A panel whose outliers are held back, and `days` (n, t), where that was done; `sold` is what was sold."""

    panel: Panel
    days: Bools
    sold: Floats

    @cached_property
    def count(self) -> int:
        """How many product days are held back."""
        return int(self.days.sum())

    def told(self, product: str) -> tuple[str, ...]:
        """Return a product's days that are held back, in words, the last first."""
        row = self.panel.row[product]
        return tuple(
            f"{self.panel.dates[at].date()}: {self.sold[row, at]:g} units count as {self.panel.quantity[row, at]:.4g}"
            for at in np.flatnonzero(self.days[row])[::-1]
        )


def hold_outliers(panel: Panel, outlook: Outlook) -> Held:
    """Return the panel with its clear one-day outliers lowered to what such a day usually sells (Hampel 1974).

    A day is one when such a day usually sells at least one unit and it sells more than ten spreads above that, both
    times how busy the whole shop was, and twice as much as any other day of the eight weeks around, on no holiday,
    promotion or other known event, and with no such peak a year before or after. What is known is what the panel
    holds: nothing after its last day.

    Args:
        panel: all products of the tenant, so that a busy day of the whole shop can be told.
        outlook: must cover the panel's days.
    """
    known = usual(panel)
    busy = np.maximum(known.busy, 1.0)
    far = (known.units >= LEAST_USUAL) & (panel.quantity > busy * (known.units + FAR * known.spread))
    rows = np.flatnonzero(far.any(axis=1))
    found = np.zeros(panel.quantity.shape, bool)
    found[rows] = far[rows] & ~_yearly(panel.quantity[rows])
    found[rows] &= panel.quantity[rows] > ALONE * largest_other(panel.quantity[rows])
    found &= ~explained(panel, outlook)
    units = np.where(found, busy * known.units, panel.quantity)
    return Held(replace(panel, quantity=units), found, panel.quantity)


def _yearly(units: Floats) -> Bools:
    """(n, t): the days near which at least half as much was sold a year before or after."""
    days = pd.DataFrame(units.T)
    near = days.rolling(2 * YEAR_SLACK + 1, center=True, min_periods=1).max()
    again = np.fmax(near.shift(YEAR).to_numpy().T, near.shift(-YEAR).to_numpy().T)
    return np.asarray(ALONE * again >= units)
