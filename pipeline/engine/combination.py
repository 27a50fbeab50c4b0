"""Combining families: the plain mean of the voices.

Combining forecasts beats picking one (Bates and Granger 1969; Timmermann 2006). Families that say the same
share a voice, so that none counts twice; the seasonal naive speaks only where nothing else can.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.engine.families import FAMILIES
from pipeline.engine.panel import Floats

GATEKEEPER = "seasonal_naive"


def weights(families: Mapping[str, bool] | list[str]) -> dict[str, float]:
    """Return each family's weight: voices count alike, and the families of a voice share its weight.

    >>> weights(["linear", "prophet", "lightgbm", "seasonal_naive"])
    {'linear': 0.25, 'prophet': 0.25, 'lightgbm': 0.5, 'seasonal_naive': 0.0}
    """
    models = [name for name in families if name != GATEKEEPER]
    speaking = models or [GATEKEEPER]
    voices: dict[str, list[str]] = {}
    for name in speaking:
        voices.setdefault(FAMILIES[name].voice, []).append(name)
    share = {name: 1 / len(voices) / len(members) for members in voices.values() for name in members}
    return {name: share.get(name, 0.0) for name in families}


def combine(forecasts: Mapping[str, Floats]) -> Floats:
    """Return (n, h) combined units of {family: (n, h)}; a family whose row is NaN is left out of that row."""
    stacked = np.array(list(forecasts.values()))
    combined = np.full(stacked.shape[1:], np.nan)
    able = np.isfinite(stacked).all(axis=2)
    for pattern in np.unique(able, axis=1).T:
        rows = (able == pattern[:, None]).all(axis=0)
        names = [name for name, can in zip(forecasts, pattern, strict=True) if can]
        if names:
            share = weights(names)
            combined[rows] = sum(share[name] * forecasts[name][rows] for name in names)
    return combined
