"""What a setting gained, and from a menu of settings to each product's own.

A gain must stand out from how it varies between the inner origins: few origins make any of many settings look good by
chance. So a setting counts by its gain less CAUTION standard errors, and the untuned ones stay where nothing is sure.
"""

from __future__ import annotations

import numpy as np

from pipeline.engine.panel import Floats, Ints

CLASS_FOLDS = 2.0
"""Inner origins of a product's own that the errors of its class are worth."""
CAUTION = 2.0
"""Standard errors that a gain is lowered by."""


def surely_gained(losses: Floats) -> Floats:
    """Return (settings, ...) what each setting surely gains over the first, as a share of the first's error.

    Args:
        losses: (settings, ..., folds) errors, the untuned settings first; NaN where there was nothing to judge.
    """
    error = np.nansum(losses[0], axis=-1)[..., None]
    gain = (losses[0] - losses) / np.where(error > 0, error, 1.0)
    known = np.isfinite(gain).sum(axis=-1)
    total = np.nansum(gain, axis=-1)
    apart = np.nansum((gain - (total / np.maximum(known, 1))[..., None]) ** 2, axis=-1)
    deviation = np.sqrt(known * apart / np.maximum(known - 1, 1))
    # What one origin gained may be luck, and nothing says how much of it: it counts for nothing. What it lost does.
    return np.asarray(np.where(known > 1, total - CAUTION * deviation, np.minimum(total, 0.0)))


def pooled(losses: Floats) -> Floats:
    """Return (settings, folds) errors of all products together; NaN where every product was too young.

    Args:
        losses: (settings, n, folds) errors.
    """
    judged = np.isfinite(losses).any(axis=1)
    return np.asarray(np.where(judged, np.nansum(losses, axis=1), np.nan))


def choose(losses: Floats, of_class: Floats) -> Ints:
    """Return (n,) the place on the menu of each product's settings.

    What a setting gained for the product is averaged with what it gained for its class, in proportion to the product's
    own inner origins: shrinkage towards the class, never a switch. A product without any takes its class's best. The
    first place wins where two are equal: it is the untuned one.

    Args:
        losses: (settings, n, folds) errors, the untuned settings first; NaN where a product was too young.
        of_class: (settings, folds) error of the class.
    """
    known = np.isfinite(losses).all(axis=0).sum(axis=1)
    shared = surely_gained(of_class)[:, None]
    return np.asarray(((known * surely_gained(losses) + CLASS_FOLDS * shared) / (known + CLASS_FOLDS)).argmax(axis=0))
