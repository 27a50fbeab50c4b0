"""The isolation forest: days that few random cuts set apart from the others (Liu, Ting and Zhou 2008).

It is fitted in a second, so it is never stored: the same settings, seed and days grow the same forest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.engine.panel import Bools, Floats

MaxSamples = Literal["auto", 256, 512, 1024]
SIZES: tuple[MaxSamples, ...] = ("auto", 256, 512, 1024)


@dataclass(frozen=True)
class Settings:
    """How a forest is grown.

    `n_estimators` trees of `max_samples` days each (`auto`: 256); `contamination`, the share of days that are called
    odd.
    """

    n_estimators: int = 100
    contamination: float = 0.01
    max_samples: MaxSamples = "auto"


def odd(values: Floats, settings: Settings, seed: int) -> Floats:
    """Return (d,) scores between 0 and 1 of days by their signs (d, f): the higher, the fewer cuts set a day apart."""
    from sklearn.ensemble import IsolationForest

    size = settings.max_samples if settings.max_samples == "auto" else min(settings.max_samples, len(values))
    forest = IsolationForest(n_estimators=settings.n_estimators, max_samples=size, n_jobs=1, random_state=seed % 2**32)
    return np.asarray(-forest.fit(values).score_samples(values))


def called_odd(scores: Floats, contamination: float) -> Bools:
    """Return (d,): the days with the highest scores, a share of `contamination`."""
    return np.asarray(scores > np.quantile(scores, 1 - contamination))
