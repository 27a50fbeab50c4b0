"""Has a product moved further from what was expected of it than it usually does?

What a stretch of days brought is held against what was expected of it, as a share. How far such shares usually lie
off is not derived from a model of the noise: it is seen in stretches of the same product's own past that were held
against their expectation in the same way (subsampling: Politis and Romano 1994). So weeks that go up and down together,
slow seasons and days that depend on the day before count with all the force that they have. The variances of many
products are moderated by what all of them show (Smyth 2004), and the p-value is that of Student's t.

What the products of a business share (weather, a street market) is told apart, so that it neither hides nor feigns
what one product does, and is judged as one thing against its own past.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.engine.panel import Bools, Floats

PRIOR = 20.0
"""Degrees of freedom that the variance of all products counts for beside a product's own, where it is of so many."""
LEAST_PRIOR = 5.0
"""The same where no product has a past, and the usual variance stands in."""
OVERLAP = 0.75
"""Degrees of freedom of a past stretch: neighbouring ones have days of their reference in common."""
LEAST_PAST = 4
"""Past stretches below which a product's own variance says nothing."""
OUTLYING = 3.0
"""Robust standard deviations at which a past share is cut: one wild week widens nothing for a year."""
NORMAL = 1.4826
USUAL_VARIANCE = 0.03
"""Of a share beyond chance, where no product has a past."""
SHARED_BY = 10
"""Products that must be busy to tell what all of them share."""
LEAST_TESTS = 300
"""Tests that false discoveries are reckoned over at least: where few products are looked at every day, one p-value in a
hundred would else be called a shift each week."""
BUSY_UNITS = 30.0
LEAST_SHARED_SPREAD = 0.02
MOST_LOST = -0.9
"""The least that all products are taken to have lost together: beyond it nothing can be told of one."""
CHANCE = 0.003
"""p-value above which nothing is called a shift, however few products there are, nor what all of them share."""


@dataclass(frozen=True)
class Stretch:
    """What some days brought to n products, each array (n,).

    `brought` and `expected` in one unit; `noise` the variance of their ratio that chance alone gives; `usable` whether
    there were days enough.
    """

    brought: Floats
    expected: Floats
    noise: Floats
    usable: Bools

    @property
    def change(self) -> Floats:
        """(n,) share by which more was brought than expected; NaN where nothing can be told."""
        told = self.usable & (self.expected > 0)
        return np.where(told, self.brought / np.where(told, self.expected, 1.0) - 1, np.nan)

    @property
    def shared(self) -> float:
        """The median change of busy products; 0 where too few are."""
        busy = self.change[self.expected >= BUSY_UNITS]
        busy = busy[np.isfinite(busy)]
        return float(np.median(busy)) if len(busy) >= SHARED_BY else 0.0


@dataclass(frozen=True)
class Moved:
    """How far n products moved, each array (n,).

    `change` as shares, NaN where not judged; `shared`, what all products did; `p`, the chance that a product which has
    not moved lies so far off beside the others, NaN where not judged; `shared_p` the same of what all share.
    """

    change: Floats
    shared: Floats
    p: Floats
    shared_p: Floats

    @classmethod
    def nothing(cls, products: int) -> Moved:
        """Return that nothing is known of so many products."""
        unknown = np.full(products, np.nan)
        return cls(unknown, np.zeros(products), unknown, np.ones(products))

    def where(self, rows: Bools, other: Moved) -> Moved:
        """Return this of some products, (n,), and the other of all others."""
        mine, others = vars(self), vars(other)
        return Moved(**{name: np.where(rows, mine[name], others[name]) for name in mine})

    def with_all(self, least: float) -> Bools:
        """Return (n,): products that moved with all the others, each by `least` or more, where all of them did."""
        all_did = (self.shared_p <= CHANCE) & (np.abs(self.shared) >= least)
        return np.asarray(all_did & (np.sign(self.shared) * np.nan_to_num(self.change) >= least))

    def alone(self, least: float) -> Bools:
        """Return (n,): products that moved by `least` or more, and by as much beside the others, the same way."""
        far = (np.abs(self.own) >= least) & (np.abs(self.change) >= least)
        return np.asarray(far & (np.sign(self.own) == np.sign(self.change)))

    @property
    def own(self) -> Floats:
        """(n,) how far each product moved beside what all did."""
        return (1 + self.change) / (1 + self.shared) - 1


def moved(now: Stretch, past: Sequence[Stretch]) -> Moved:
    """Judge a stretch by past ones; see the head of the module.

    Args:
        now: what is judged; all products of one business, so that what they share is known.
        past: earlier stretches of the same products, as long as this one, not overlapping it.
    """
    from scipy.stats import t

    change, shared = now.change, max(now.shared, MOST_LOST)
    before = [one.shared for one in past]
    variance, freedom = _own_variance(past, before)
    # Where all products sell less, chance makes larger shares of what each of them sells.
    prior = _prior(variance)
    spread = np.sqrt(_moderated(variance, freedom, prior, now) / min(1 + shared, 1.0))
    found = Moved(change, np.full(len(change), shared), change, np.full(len(change), _shared_chance(shared, before)))
    p = 2 * t.sf(np.abs(found.own) / spread, prior + freedom)
    return replace(found, p=np.where(np.isfinite(change), p, np.nan))


def false_discoveries(p: Floats, share: float) -> Bools:
    """Return which p-values are found, by Benjamini and Hochberg (1995): at most `share` of the found are by chance.

    Fewer than LEAST_TESTS are judged as so many would be of which the others say nothing; none above CHANCE is found.

    Args:
        p: any shape; NaN where nothing was judged.
        share: expected share of false ones among the found.
    """
    from scipy.stats import false_discovery_control

    judged, found = np.isfinite(p), np.zeros(p.shape, bool)
    if judged.any():
        others = np.ones(max(LEAST_TESTS - int(judged.sum()), 0))
        adjusted = false_discovery_control(np.concatenate([p[judged], others]), method="bh")
        found[judged] = (adjusted[: int(judged.sum())] <= share) & (p[judged] <= CHANCE)
    return found


def drifting(kinds: Sequence[Moved], least: float, share: float) -> list[Bools]:
    """Return, for each kind of evidence about the same products, (n,): those that moved.

    Args:
        kinds: each of n products; all are found together.
        least: share by which a product must have moved.
        share: see `false_discoveries`; it does not count what all products did.
    """
    found = false_discoveries(np.array([one.p for one in kinds]), share)
    return [(one.alone(least) & rows) | one.with_all(least) for one, rows in zip(kinds, found, strict=True)]


def _own_variance(past: Sequence[Stretch], shared: Sequence[float]) -> tuple[Floats | None, Floats | float]:
    """(n,) variance of past shares beyond chance, NaN where too few are known, and its degrees of freedom."""
    if not past:
        return None, 0.0
    off = np.array(
        [(1 + one.change) / (1 + max(all_did, MOST_LOST)) - 1 for one, all_did in zip(past, shared, strict=True)]
    )
    noise = np.where(np.isfinite(off), [one.noise for one in past], np.nan)
    count = np.isfinite(off).sum(axis=0)
    enough = count >= LEAST_PAST
    known = np.where(enough, off, np.nan)
    known[:, ~enough] = 0.0  # no warning of empty slices; they are taken out again below
    limit = OUTLYING * NORMAL * np.nanmedian(np.abs(known), axis=0)
    squares = np.nanmean(np.minimum(known**2, limit**2), axis=0)
    chance = np.nanmean(np.where(enough, noise, 0.0), axis=0)
    return np.where(enough, squares - chance, np.nan), np.where(enough, OVERLAP * count, 0.0)


def _prior(own: Floats | None) -> float:
    """Degrees of freedom of the variance of all products; of a few products it is worth less."""
    known = 0 if own is None else int(np.isfinite(own).sum())
    return min(PRIOR, float(known)) if known else LEAST_PRIOR


def _moderated(own: Floats | None, freedom: Floats | float, prior: float, now: Stretch) -> Floats:
    """(n,) variance of the judged shares: each product's own, drawn to that of all."""
    if own is None or not np.isfinite(own).any():
        return np.asarray(now.noise + USUAL_VARIANCE)
    busy = own[np.isfinite(own) & (now.expected >= BUSY_UNITS)]
    usual = np.median(busy) if len(busy) >= SHARED_BY else np.nanmedian(own)
    own = np.where(np.isfinite(own), np.maximum(own, 0.0), 0.0)
    return np.asarray(now.noise + (prior * max(float(usual), 0.0) + freedom * own) / (prior + freedom))


def _shared_chance(shared: float, past: Sequence[float]) -> float:
    from scipy.stats import t

    before = np.array(past)
    if shared == 0.0 or len(before) < LEAST_PAST:
        return 1.0
    limit = OUTLYING * NORMAL * float(np.median(np.abs(before)))
    spread = max(float(np.sqrt(np.mean(np.minimum(before**2, limit**2)))), LEAST_SHARED_SPREAD)
    return float(2 * t.sf(abs(shared) / spread, OVERLAP * len(before)))
