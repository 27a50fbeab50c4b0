"""The signs that a day bears: what makes it unlike its product's other days, in numbers without a unit.

All products share them, so that the days of one tenant can be judged together: each rests on the chance of a day's
sales under a negative binomial count with the product's usual mean and spread, never on raw units. Sizes are
compressed (logarithms): a forest cuts between the smallest and the largest value, and one absurd day would else
leave no cut to the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.engine.panel import Bools, Floats, Ints, Outlook, Panel
from pipeline.engine.usual import explained, largest_other, usual

NAMES = ("surprise", "spell", "neighbour", "above_all", "below_all")
LEAST_UNITS = 3.0
"""Usual units a day below which nothing can be told of one day: at that rate no day is unlikely."""
BUSY = (0.2, 5.0)
"""How far the whole shop's day explains a product's."""
LEAST_VARIANCE = 1.1
"""Of a day's units, times their mean: sales are never steadier than a count."""
SMALLEST_LOG_CHANCE = -300.0
CLEAR_SURPRISE = 5.0
"""One day in a hundred thousand is so unlikely by chance."""
CLEAR_RATIO = 1.5
"""Times that a day sells more, or less, than usual before it is worth a look, however unlikely it is."""


@dataclass(frozen=True)
class Signs:
    """What is known of the judged days of a panel.

    `judged` (n, t): the observed days of which anything usual is known, of products that sell enough for that, and
    that nothing known beforehand explains. Over the d judged days, row by row: `values` (d, len(NAMES)); `sold` (d,)
    units, and `usual` (d,) units that such a day sells; `surprise` (d,) how unlikely the day is: minus the decimal
    logarithm of the chance of sales as far off or farther.
    """

    judged: Bools
    values: Floats
    sold: Floats
    usual: Floats
    surprise: Floats

    @cached_property
    def at(self) -> tuple[Ints, Ints]:
        """(d,) rows and (d,) columns of the judged days."""
        rows, columns = np.nonzero(self.judged)
        return rows, columns

    @property
    def clear(self) -> Bools:
        """(d,): days so unlikely, and so far from the usual, that an owner should look at them if they are odd."""
        far = (self.sold >= CLEAR_RATIO * self.usual) | (CLEAR_RATIO * self.sold <= self.usual)
        return np.asarray(far & (self.surprise >= CLEAR_SURPRISE))


def read_signs(panel: Panel, outlook: Outlook) -> Signs:
    """Return the signs of a panel's days; what comes after its last day is not known to it.

    Args:
        panel: all products of the tenant, so that a busy day of the whole shop is not one product's.
        outlook: must cover the panel's days.
    """
    known, units = usual(panel), panel.quantity
    busy = np.clip(known.busy, *BUSY)
    expected = known.units * busy
    told = panel.observed & (known.units >= LEAST_UNITS)
    off = np.zeros(units.shape)
    off[told] = signed_surprise(units[told], expected[told], known.spread[told] * np.maximum(busy[told], 1.0))
    judged = told & ~explained(panel, outlook)
    signs = (
        _compressed(off),
        _compressed(_spell(units, off)),
        _compressed(_neighbour(np.where(told, off, np.nan))),
        _log_ratio(units, largest_other(units)),
        _log_ratio(units, -largest_other(-units)),
    )
    values = np.column_stack([sign[judged] for sign in signs])
    return Signs(judged, np.nan_to_num(values), units[judged], expected[judged], np.abs(off[judged]))


def signed_surprise(units: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return minus the decimal logarithm of the chance of so many units or more, negative: or fewer.

    Args:
        units: what was sold, any shape.
        mean: of the negative binomial count that it is held against, above 0.
        spread: its standard deviation; at least a little more than a Poisson count's.
    """
    from scipy.stats import nbinom

    variance = np.maximum(spread**2, LEAST_VARIANCE * mean)
    chance, size = mean / variance, mean**2 / (variance - mean)
    with np.errstate(divide="ignore"):
        more = np.log10(nbinom.sf(np.ceil(units) - 1, size, chance))
        fewer = np.log10(nbinom.cdf(np.floor(units), size, chance))
    high = units >= mean
    return np.asarray(np.where(high, -1.0, 1.0) * np.maximum(np.where(high, more, fewer), SMALLEST_LOG_CHANCE))


def _compressed(surprise: Floats) -> Floats:
    return np.asarray(np.sign(surprise) * np.log1p(np.abs(surprise)))


def _log_ratio(units: Floats, reference: Floats) -> Floats:
    return np.asarray(np.log((units + 1) / (reference + 1)))


def _spell(units: Floats, off: Floats) -> Floats:
    """(n, t): the surprise of the whole run of zeros that a day lies in; of the day itself where it sold anything.

    Days without an observation neither lengthen a run nor end it.
    """
    silent = units == 0
    # A run has one number: that of the sales before it.
    run = np.cumsum(units > 0, axis=1)
    sums = np.zeros((len(units), int(run.max(initial=0)) + 1))
    rows = np.broadcast_to(np.arange(len(units))[:, None], units.shape)
    np.add.at(sums, (rows[silent], run[silent]), off[silent])
    return np.where(silent, sums[rows, run], off)


def _neighbour(off: Floats) -> Floats:
    """(n, t): how far the judged day before or after lies off, counted in the day's own direction; the lesser.

    Strongly negative for two days whose sales were swapped, near 0 for a day that stands alone.
    """
    table = pd.DataFrame(off.T)
    before, after = table.ffill().shift(1).to_numpy().T, table.bfill().shift(-1).to_numpy().T
    return np.asarray(np.nan_to_num(np.fmin(np.sign(off) * before, np.sign(off) * after)))
