"""Honest intervals: conformal quantiles of scaled out-of-sample errors.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018): the errors that a recipe made
at past origins, brought to one scale, are pooled by demand class and stretch of the horizon; their quantiles
are laid around a new forecast. The scale of a product's day is its usual error, larger on its busier days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist

import numpy as np

from contracts import DemandClass, IntervalBand
from pipeline.engine.panel import Floats

LEVELS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
LOWER, UPPER = LEVELS[0], LEVELS[-1]
BANDS = ((1, 7), (8, 14), (15, 365))
MIN_ERRORS = 60
"""Errors below which a class borrows the quantiles of all classes: a 5 % tail needs a few in it."""
FALLBACK = dict(zip(LEVELS, (-1.5, -1.2, -0.6, 0.0, 0.6, 1.3, 1.9), strict=True))
"""Where nothing at all was ever scored: near those of seasonal differences, on the wide side."""
BUSY_LIMITS = (0.5, 2.0)
WIDENING_A_WEEK = 0.0025
"""Share by which errors grew, in units of the day's scale, with each week since a model's fit (docs/adr/0015)."""


def product_scale(seasonal_difference: Floats, level: Floats) -> Floats:
    """Return (n,) units: the usual size of an error, from the history alone.

    Args:
        seasonal_difference: (n,) mean absolute difference of lag 7; NaN where there is none.
        level: (n,) units a day; its root stands in, as for a Poisson count.
    """
    root = np.sqrt(np.maximum(level, 0.25))
    return np.where(np.isfinite(seasonal_difference), np.maximum(seasonal_difference, 0.25 * root), root)


def spread(scale: Floats, y_hat: Floats, days: int | None = None) -> Floats:
    """Return (n, h) units of one scaled error: the product's scale, larger on busier days than the first `days` are."""
    usual = np.maximum(y_hat[:, :days].mean(axis=1, keepdims=True), 1e-9)
    return np.asarray(scale[:, None] * np.sqrt(np.clip(y_hat / usual, *BUSY_LIMITS)))


def widening(age: int) -> float:
    """Return the factor on the width of a standing model's range: 1 on the day of its fit, and never less later.

    Its range was calibrated on errors of models that had just been fitted.

    Args:
        age: days of sales since the model's origin; a model from after the origin counts as fresh.
    """
    return 1 + WIDENING_A_WEEK * max(age, 0) / 7


def beyond(days: int, evaluated: int) -> Floats:
    """Return (days,) factors on the width of the range: 1 as far as it was evaluated, then the root of days over that.

    As the error of a sum of independent steps grows. It is a rule, not a measurement: nothing was scored there.

    Args:
        days: days ahead.
        evaluated: days ahead on which errors were scored.
    """
    return np.sqrt(np.maximum(np.arange(1, days + 1) / evaluated, 1.0))


def at_confidence(laid: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return the ends, (...,) units each, of the range that holds a share of days.

    Between the levels that are laid, ends are interpolated along the normal distribution's quantiles; outside them the
    outermost distance from the median is stretched as the normal's is, since no quantile there was measured.

    Args:
        laid: (levels, ...) units.
        confidence: the share, 0 to 1 exclusive.
    """
    half = (1 - confidence) / 2
    return _at(laid, half), _at(laid, 1 - half)


def _at(laid: Floats, level: float) -> Floats:
    normal = NormalDist()
    wanted, steps = normal.inv_cdf(level), [normal.inv_cdf(one) for one in LEVELS]
    median = laid[LEVELS.index(0.5)]
    for outer, units in ((steps[0], laid[0]), (steps[-1], laid[-1])):
        if wanted / outer >= 1:
            return np.asarray(np.maximum(median + (units - median) * wanted / outer, 0.0))
    right = int(np.searchsorted(steps, wanted, side="left"))
    share = (wanted - steps[right - 1]) / (steps[right] - steps[right - 1])
    return np.asarray((1 - share) * laid[right - 1] + share * laid[right])


def calibrate(
    errors: Iterable[tuple[Sequence[DemandClass], Floats]],
) -> dict[DemandClass | None, tuple[IntervalBand, ...]]:
    """Return the bands of each demand class, and of all classes together under None.

    Args:
        errors: for each origin, the classes (n,) and the scaled errors (n, h), NaN where not scored.
    """
    pooled = [(np.array([str(c) for c in classes], object), block) for classes, block in errors]
    everyone = _bands([block for _, block in pooled], None)
    by_class: dict[DemandClass | None, tuple[IntervalBand, ...]] = {None: everyone}
    for demand_class in DemandClass:
        blocks = [block[labels == demand_class.value] for labels, block in pooled]
        by_class[demand_class] = _bands(blocks, everyone)
    return by_class


def quantiles(
    y_hat: Floats,
    scale: Floats,
    classes: Sequence[DemandClass],
    bands: Mapping[DemandClass | None, tuple[IntervalBand, ...]],
    evaluated: int | None = None,
) -> Floats:
    """Return (levels, n, h) units: not negative, and never falling from one level to the next.

    Where only the first `evaluated` days ahead were scored, the range widens `beyond` them.
    """
    days = y_hat.shape[1]
    unit, wider = spread(scale, y_hat, evaluated), beyond(days, evaluated or days)
    laid = np.empty((len(LEVELS), *y_hat.shape))
    for row, demand_class in enumerate(classes):
        laid[:, row] = lay(y_hat[row], unit[row], bands.get(demand_class, bands[None]), wider)
    return laid


def lay(y_hat: Floats, unit: Floats, bands: Sequence[IntervalBand], wider: float | Floats = 1.0) -> Floats:
    """Return (levels, h) units around one product's forecast (h,); `wider`, or (h,), times as far from the median."""
    day = np.arange(1, len(y_hat) + 1)
    shifts = np.empty((len(LEVELS), len(y_hat)))
    for band in bands:
        inside = (day >= band.first_day) & (day <= band.last_day)
        shifts[:, inside] = np.array([band.quantiles[str(level)] for level in LEVELS])[:, None]
    median = shifts[LEVELS.index(0.5)]
    return np.maximum.accumulate(np.maximum(y_hat + (median + wider * (shifts - median)) * unit, 0.0), axis=0)


def by_chance(laid: Floats, y_hat: Floats) -> Floats:
    """Return (levels, h) units: `laid`, but nowhere narrower than a Poisson count of the mean (h,) would be."""
    from scipy.stats import poisson

    levels = np.array(LEVELS)[:, None]
    chance = poisson.ppf(levels, y_hat)
    upwards = np.where(levels > 0.5, np.maximum(laid, chance), laid)
    return np.where(levels < 0.5, np.minimum(laid, chance), upwards)


def _bands(blocks: Sequence[Floats], borrowed: tuple[IntervalBand, ...] | None) -> tuple[IntervalBand, ...]:
    bands: list[IntervalBand] = []
    for number, (first, last) in enumerate(BANDS):
        parts = [block[:, first - 1 : last] for block in blocks]
        errors = np.concatenate([part[np.isfinite(part)] for part in parts]) if parts else np.empty(0)
        if len(errors) >= MIN_ERRORS or (borrowed is None and len(errors) > 0):
            found = {str(level): _conformal(errors, level) for level in LEVELS}
            bands.append(IntervalBand(first_day=first, last_day=last, quantiles=found, errors=len(errors)))
        elif borrowed is not None:
            bands.append(borrowed[number])
        else:
            earlier = bands[-1].quantiles if bands else {str(k): v for k, v in FALLBACK.items()}
            bands.append(IntervalBand(first_day=first, last_day=last, quantiles=earlier, errors=0))
    return tuple(bands)


def _conformal(errors: Floats, level: float) -> float:
    """Quantile with the finite-sample correction, outwards on either side.

    So few errors that their correction leaves the sample do not reach into the tail: there the quantile is
    at least as far out as where nothing was scored.
    """
    n = len(errors)
    rank = np.ceil((n + 1) * level) if level >= 0.5 else np.floor((n + 1) * level)
    found = float(np.sort(errors)[int(np.clip(rank, 1, n)) - 1])
    if 1 <= rank <= n:
        return found
    return max(found, FALLBACK[level]) if level >= 0.5 else min(found, FALLBACK[level])
