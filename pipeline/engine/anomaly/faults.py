"""Faults put into a tenant's own sales on purpose, to see which settings find them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from pipeline.engine.panel import Bools, Floats, Panel

SHARE = 0.003
"""Of the days that could bear a fault, for each kind."""
LEAST = 10
"""Faults of a kind that are put in at least, where there are days enough."""
DEAD_DAYS = 3
"""Days up to which a till is dead; from one."""
SWAP_RATIO = 2.0
"""Times that one of two swapped days sells more than the other; swapping equal days is no fault."""


class Fault(IntEnum):
    """What is wrong with a day."""

    NONE = 0
    TENFOLD = 1
    MISSED_DIGIT = 2
    SWAPPED = 3
    DEAD_TILL = 4
    DOUBLE = 5


@dataclass(frozen=True)
class Faulty:
    """A panel with faults, and `kind` (n, t): the fault of each day, a `Fault`."""

    panel: Panel
    kind: np.ndarray


def put_faults(panel: Panel, among: Bools, rng: np.random.Generator) -> Faulty:
    """Return the panel with faults of every kind, none of them on or beside another.

    A tenfold entry (10 times the units), a missed last digit, the sales of two days in a row swapped, a till that
    is dead for one to three days (zeros), a day that was taken in twice (double).

    Args:
        panel: the sales.
        among: (n, t) days that may bear a fault.
        rng: of the days chosen.
    """
    units, kind = panel.quantity.copy(), np.zeros(panel.quantity.shape, np.int8)
    free = among & (panel.quantity > 0)
    count = max(LEAST, round(SHARE * int(free.sum())))
    for fault in (Fault.TENFOLD, Fault.MISSED_DIGIT, Fault.SWAPPED, Fault.DEAD_TILL, Fault.DOUBLE):
        places = np.argwhere(free & _bearing(fault, panel.quantity, free))
        for row, column in rng.permutation(places)[:count]:
            days = _days(fault, rng)
            if not free[row, column : column + days].all():
                continue
            cells = (row, slice(column, column + days))
            units[cells], kind[cells] = _spoilt(fault, panel.quantity[cells]), fault
            # Beside a fault nothing is put: what a neighbour looks like is a sign.
            free[row, max(column - DEAD_DAYS, 0) : column + days + DEAD_DAYS] = False
    return Faulty(replace(panel, quantity=units), kind)


def _days(fault: Fault, rng: np.random.Generator) -> int:
    if fault is Fault.SWAPPED:
        return 2
    return int(rng.integers(1, DEAD_DAYS + 1)) if fault is Fault.DEAD_TILL else 1


def _bearing(fault: Fault, units: Floats, free: Bools) -> Bools:
    """(n, t): the days on which a fault would change anything that could be seen."""
    if fault is Fault.MISSED_DIGIT:
        return units >= 10
    if fault is not Fault.SWAPPED:
        return np.ones(units.shape, bool)
    following = np.roll(units, -1, axis=1)
    differ = np.fmax(units, following) >= SWAP_RATIO * np.fmin(units, following)
    able = free & np.roll(free, -1, axis=1) & differ
    able[:, -1] = False
    return able


def _spoilt(fault: Fault, units: Floats) -> Floats:
    if fault is Fault.SWAPPED:
        return units[::-1]
    factor = {Fault.TENFOLD: 10.0, Fault.MISSED_DIGIT: 0.1, Fault.DEAD_TILL: 0.0, Fault.DOUBLE: 2.0}[fault]
    return np.floor(units * factor)
