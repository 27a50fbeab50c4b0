"""A forecast for a product too young for a model: its own few days' level, and the rest from its peers.

How busy a day is, is read off the peers so that none of them decides alone: past days by a mean in which no peer has
more weight than the median one, coming days by the median peer's forecast. The product's few days, brought to a usual
day, are held towards a typical peer's level by credibility (Bühlmann and Straub 1970): as many days as the noise of a
day is worth against what tells peers apart. Its own weekdays are held towards the peers' in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.engine.panel import Bools, Floats, Ints

FEWEST_PEERS, MOST_PEERS = 3, 200
LEVEL_DAYS = 56
"""Days of the peers that tell their usual day and their week."""
HALF_LIFE = 7.0
"""Own observed days after which one counts half: what is new is often tried, and given up again."""
WEEKDAY_DAYS = 1.0
"""Days of its own weekday that the peers' weekday is worth, were it as busy as a usual day."""
CREDIBILITY = (0.01, 1000.0)
"""The fewest and the most days that a typical peer's level is worth."""
QUIET = 0.2
"""How busy a day must be for its sales to tell a level: of next to nothing any level could be read."""
BUSIEST = 5.0
"""How busy a past day may count at one peer."""
SWING = 3.0
"""How many times busier, or quieter, than its weekday a coming day may be."""
SEASON = 7
TINY = 1e-9


@dataclass(frozen=True)
class Borrowed:
    """A young product's (h,) units, the level that they rest on, and the units of one scaled error."""

    y_hat: Floats
    level: float
    scale: float


def choose_peers(like: Bools, able: Bools, levels: Floats) -> Ints:
    """Return the rows of the products to borrow from: those of the group that can lend, spread by volume if many.

    Args:
        like: (n,) the products of the same group.
        able: (n,) those that have a forecast, and sell.
        levels: (n,) units a day.
    """
    rows = np.flatnonzero(like & able)
    by_volume = rows[np.argsort(levels[rows], kind="stable")]
    return np.unique(by_volume[np.linspace(0, len(rows) - 1, min(len(rows), MOST_PEERS)).astype(int)])


def borrow(own: Floats, peers: Floats, ahead: Floats, shut: Bools, scale: Floats) -> Borrowed:
    """Return what a young product is expected to sell.

    No day is more than SWING times a usual one of its weekday, nor the level more than both its own best day and the
    largest peer's level, whatever a peer sold or is forecast to sell.

    Args:
        own: (t,) units of the product, NaN where the day is no observation; all of them may be.
        peers: (p, t) units of the products to borrow from, the same days; each has sold on one of the last LEVEL_DAYS.
        ahead: (p, h) units that these are expected to sell.
        shut: (p, h) days on which a peer's shop is taken to be closed: they say nothing of how busy a day is.
        scale: (p,) units that one scaled error of a peer stands for.
    """
    days, recent = len(own), peers[:, -LEVEL_DAYS:]
    levels = _mean(recent)
    weekday = np.arange(-days, ahead.shape[1]) % SEASON
    past, coming = weekday[:days], weekday[days:]
    of_weekday = np.column_stack([_mean(recent[:, past[-LEVEL_DAYS:] == day]) for day in range(SEASON)])
    week, busy = _busy(of_weekday, levels), _busy(peers, levels)
    seen = np.isfinite(own)
    sold, latest_first = np.nan_to_num(own), seen[::-1].cumsum()[::-1]
    counts = np.where(seen, 0.5 ** ((latest_first - 1) / HALF_LIFE), 0.0)

    tells, typical = counts * (busy >= QUIET), float(np.median(levels))
    credible = _credibility(recent, levels, busy[-LEVEL_DAYS:])
    known = float(tells @ busy) + credible
    most = max(float(sold.max()), float(levels.max()))
    level = min((float(tells @ sold) + credible * typical) / known, most)

    against_weekday = _swing(np.where(busy < QUIET, 1.0, busy), np.where(busy < QUIET, 1.0, week[past]))
    of_own = np.bincount(past, counts * against_weekday, SEASON)
    # The busier a weekday, the more a day of it tells; where peers hardly sell, any own day tells more than they do.
    of_peers = np.where(week >= QUIET, WEEKDAY_DAYS / np.maximum(week, QUIET), TINY)
    usual = (np.bincount(past, counts * sold, SEASON) + of_peers * level * week) / (of_own + of_peers)

    y_hat = usual[coming] * _swing(_median(np.where(shut, np.nan, ahead / levels[:, None]), week[coming]), week[coming])
    dispersion = float(np.median(scale**2 / levels))
    # What is not known of the level adds to the noise of a day.
    return Borrowed(y_hat, level, float(np.sqrt(max(level, y_hat.mean()) * dispersion * (1 + 1 / known))))


def _mean(units: Floats) -> Floats:
    """(p,) mean of the observed days; NaN without any."""
    days = np.isfinite(units).sum(axis=1)
    return np.where(days > 0, np.nan_to_num(units).sum(axis=1) / np.maximum(days, 1), np.nan)


def _busy(units: Floats, levels: Floats) -> Floats:
    """(t,) how busy each day is against a usual one; 1 where no peer can tell.

    A mean over the peers, each of the weight of its level, but none of more than the median one.
    """
    weight = np.isfinite(units) * np.minimum(levels, np.median(levels))[:, None]
    total = weight.sum(axis=0)
    ratios = np.minimum(np.nan_to_num(units) / levels[:, None], BUSIEST)
    return np.where(total > 0, (weight * ratios).sum(axis=0) / np.maximum(total, TINY), 1.0)


def _median(ratios: Floats, without: Floats) -> Floats:
    """(h,) median over the peers that can tell; `without` any the given (h,)."""
    some = np.isfinite(ratios).any(axis=0)
    return np.where(some, np.nanmedian(np.where(some, ratios, 0.0), axis=0), without)


def _swing(busy: Floats, week: Floats) -> Floats:
    """How many times busier than its weekday each day is, within SWING; 1 where peers do not sell on that weekday."""
    return np.where(week > 0, np.clip(busy / np.maximum(week, TINY), 1 / SWING, SWING), 1.0)


def _credibility(peers: Floats, levels: Floats, index: Floats) -> float:
    """Days that a typical peer's level is worth: the variance of a day over that between the peers' levels."""
    squares = (peers - levels[:, None] * index) ** 2 / np.maximum(index, QUIET)
    noise, between = float(np.mean(_mean(squares))), float(np.var(levels, ddof=1)) if len(levels) > 1 else 0.0
    return float(np.clip(noise / between if between > 0 else np.inf, *CREDIBILITY))
