"""What one would take instead of this project: the peers, each a function of what is known at an origin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from benchmarks.peers import prophet, statistical, trees
from benchmarks.peers.problem import Problem

Forecaster = Callable[[Problem], pd.DataFrame]
SAMPLED = 6
"""Products, spread over volumes, that a peer is tried on which takes too long for all."""


@dataclass(frozen=True)
class Peer:
    """A peer: what it is in a line, how it forecasts, which modules it needs.

    `covariates`: whether it looks at them, where a task has any; `sampled`: whether it is tried on a few products only.
    """

    about: str
    forecast: Forecaster
    needs: tuple[str, ...]
    covariates: bool = False
    sampled: bool = False


_STATISTICAL = ("statsforecast", "statsforecast.models")
_TREES = ("mlforecast", "mlforecast.lag_transforms", "lightgbm")

PEERS = {
    "seasonal_naive": Peer("last week again", statistical.seasonal_naive, _STATISTICAL),
    "seasonal_average": Peer("mean of the last four same weekdays", statistical.seasonal_average, _STATISTICAL),
    "auto_ets": Peer("exponential smoothing, chosen by AICc", statistical.auto_ets, _STATISTICAL),
    "auto_theta": Peer("theta, chosen by its error on the past", statistical.auto_theta, _STATISTICAL),
    "prophet_plain": Peer("Prophet, additive, all seasons on, public holidays", prophet.plain, ("prophet",)),
    "prophet_covariates": Peer(
        "Prophet, without the season of the day, with covariates", prophet.with_covariates, ("prophet",), True
    ),
    "lightgbm_recursive": Peer(
        "one booster over all products, day by day", partial(trees.pooled, direct=False), _TREES, True
    ),
    "lightgbm_direct": Peer(
        "the same on lags of 14 days and more, all days at once", partial(trees.pooled, direct=True), _TREES, True
    ),
    "lightgbm_big": Peer(
        "day by day, more and larger trees", partial(trees.pooled, direct=False, trees=600, leaves=63), _TREES, True
    ),
    "prophet_tuned": Peer(
        "Prophet tuned by Optuna for each product alone, 25 trials on 3 folds",
        prophet.tuned,
        ("prophet", "optuna"),
        sampled=True,
    ),
}
MEANS = {
    "mean_prophet_lightgbm": ("prophet_covariates", "lightgbm_recursive"),
    "mean_prophet_lightgbm_big": ("prophet_covariates", "lightgbm_big"),
}
"""Peers without a fit of their own: the plain mean of what others forecast, at the cost of all of them."""

__all__ = ["MEANS", "PEERS", "SAMPLED", "Forecaster", "Peer", "Problem"]
