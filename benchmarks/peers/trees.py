"""Pooled LightGBM by mlforecast: one booster over all products, with lags, holidays and covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers.problem import Problem
from benchmarks.scoring import HORIZON

DATE_FEATURES = ["dayofweek", "day", "month", "dayofyear", "week"]


def pooled(problem: Problem, *, direct: bool, trees: int = 400, leaves: int = 31) -> pd.DataFrame:
    """Fit once over all products; `direct` looks back 14 days and more, so that no forecast feeds another."""
    import lightgbm
    from mlforecast import MLForecast

    booster = lightgbm.LGBMRegressor(
        objective="tweedie",
        n_estimators=trees,
        learning_rate=0.05,
        num_leaves=leaves,
        min_child_samples=30,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.7,
        verbosity=-1,
        n_jobs=1,
    )
    lags, transforms = _far() if direct else _near()
    given = _given(problem)
    model = MLForecast(
        models={"y_hat": booster}, freq="D", lags=lags, lag_transforms=transforms, date_features=DATE_FEATURES
    )
    model.fit(problem.history.merge(given, on=["unique_id", "ds"]), static_features=[])
    made: pd.DataFrame = model.predict(HORIZON, X_df=given[given["ds"].isin(problem.ahead)])
    return made


def _near() -> tuple[list[int], dict[int, list[Any]]]:
    from mlforecast.lag_transforms import ExponentiallyWeightedMean, RollingMean

    since_yesterday = [RollingMean(7), RollingMean(28), ExponentiallyWeightedMean(0.3)]
    return [1, 2, 3, 7, 14, 21, 28], {1: since_yesterday, 7: [RollingMean(4)], 14: [RollingMean(28)]}


def _far() -> tuple[list[int], dict[int, list[Any]]]:
    from mlforecast.lag_transforms import ExponentiallyWeightedMean, RollingMean

    two_weeks_back = [RollingMean(7), RollingMean(28), RollingMean(91), ExponentiallyWeightedMean(0.1)]
    return [14, 21, 28, 35, 42], {14: two_weeks_back}


def _given(problem: Problem) -> pd.DataFrame:
    """Holidays, the day before and after one, and covariates, from each product's first day to the last ahead."""
    import holidays

    public = holidays.country_holidays(problem.country, years=sorted({*problem.dates.year, *problem.ahead.year}))
    holiday = np.array([day.date() in public for day in problem.dates], float)
    days = pd.DataFrame({"ds": problem.dates, "holiday": holiday})
    days["tomorrow"], days["yesterday"] = days["holiday"].shift(-1).fillna(0), days["holiday"].shift(1).fillna(0)
    first = problem.history.groupby("unique_id")["ds"].min().rename("first").reset_index()
    given: pd.DataFrame = first.merge(days[days["ds"] <= problem.ahead[-1]], how="cross")
    given = given[given["ds"] >= given["first"]].drop(columns="first")
    if problem.covariates is None:
        return given
    return given.merge(problem.covariates, on=["unique_id", "ds"], how="left").fillna(0.0)
