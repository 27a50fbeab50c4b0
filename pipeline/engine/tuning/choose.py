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
    known = np.maximum(np.isfinite(gain).sum(axis=-1), 1)
    total = np.nansum(gain, axis=-1)
    varied = np.nansum((gain - (total / known)[..., None]) ** 2, axis=-1) / known
    return np.asarray(total - CAUTION * np.sqrt(varied * known))


def choose(losses: Floats, pooled: Floats) -> Ints:
    """Return (n,) the place on the menu of each product's settings.

    What a setting gained for the product is averaged with what it gained for its class, in proportion to the product's
    own inner origins: shrinkage towards the class, never a switch. A product without any takes its class's best. The
    first place wins where two are equal: it is the untuned one.

    Args:
        losses: (settings, n, folds) errors, the untuned settings first; NaN where a product was too young.
        pooled: (settings, folds) error of the class.
    """
    known = np.isfinite(losses).all(axis=0).sum(axis=1)
    shared = surely_gained(pooled)[:, None]
    return np.asarray(((known * surely_gained(losses) + CLASS_FOLDS * shared) / (known + CLASS_FOLDS)).argmax(axis=0))
