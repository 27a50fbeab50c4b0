"""Prophet as it is used: plain, with covariates, and tuned for each product alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers.problem import Problem
from benchmarks.scoring import HORIZON

TRIALS, FOLDS = 25, 3


def plain(problem: Problem) -> pd.DataFrame:
    """Additive, with all seasons on, and the country's holidays; no covariates."""
    seasons = {"daily_seasonality": True, "weekly_seasonality": True, "yearly_seasonality": True}
    return _each(problem, lambda days, _: _predicted(problem.country, days, problem.ahead, seasons))


def with_covariates(problem: Problem) -> pd.DataFrame:
    """Additive, weekly and yearly seasons, the country's holidays, every covariate as a regressor."""
    seasons = {"daily_seasonality": False, "weekly_seasonality": True, "yearly_seasonality": True}
    names = problem.covariate_names

    def one(days: pd.DataFrame, product: str) -> np.ndarray:
        if problem.covariates is None:
            return _predicted(problem.country, days, problem.ahead, seasons)
        values = problem.covariates.loc[problem.covariates["unique_id"] == product, ["ds", *names]]
        known = days.merge(values, on="ds", how="left").fillna(0.0)
        return _predicted(problem.country, known, problem.ahead, seasons, values)

    return _each(problem, one)


def tuned(problem: Problem) -> pd.DataFrame:
    """Search four settings with 25 trials on the last three fortnights, then fit once more; a product at a time."""
    return _each(problem, lambda days, _: _predicted(problem.country, days, problem.ahead, _best(problem, days)))


def _best(problem: Problem, days: pd.DataFrame) -> dict[str, Any]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def error(trial: optuna.Trial) -> float:
        settings = {
            "changepoint_prior_scale": trial.suggest_float("changepoint_prior_scale", 0.001, 0.5, log=True),
            "seasonality_prior_scale": trial.suggest_float("seasonality_prior_scale", 0.01, 10, log=True),
            "holidays_prior_scale": trial.suggest_float("holidays_prior_scale", 0.01, 10, log=True),
            "seasonality_mode": trial.suggest_categorical("seasonality_mode", ["additive", "multiplicative"]),
        }
        return sum(_fold_error(problem.country, days, fold, settings) for fold in range(1, FOLDS + 1))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(error, n_trials=TRIALS)
    return {"daily_seasonality": False, **study.best_params}


def _fold_error(country: str, days: pd.DataFrame, fold: int, settings: Mapping[str, Any]) -> float:
    """Absolute error, units, over the fortnight that ends `fold - 1` fortnights before the last day."""
    cut = len(days) - fold * HORIZON
    known, later = days.iloc[:cut], days.iloc[cut : cut + HORIZON]
    made = _predicted(country, known, pd.DatetimeIndex(later["ds"]), {"daily_seasonality": False, **settings})
    return float(np.abs(made.clip(min=0) - later["y"].to_numpy()).sum())


def _predicted(
    country: str,
    days: pd.DataFrame,
    ahead: pd.DatetimeIndex,
    settings: Mapping[str, Any],
    values: pd.DataFrame | None = None,
) -> np.ndarray:
    """Fit one product's `ds, y` and regressors, and return the units ahead."""
    from prophet import Prophet

    for name in ("cmdstanpy", "prophet", "prophet.models"):
        logging.getLogger(name).disabled = True
    model = Prophet(uncertainty_samples=0, **settings)
    model.add_country_holidays(country)
    future = pd.DataFrame({"ds": ahead})
    if values is not None:
        for name in values.columns.drop("ds"):
            model.add_regressor(name)
        future = future.merge(values, on="ds", how="left").fillna(0.0)
    model.fit(days)
    return np.asarray(model.predict(future)["yhat"], float)


def _each(problem: Problem, one: Callable[[pd.DataFrame, str], np.ndarray]) -> pd.DataFrame:
    """Call `one` with each product's `ds, y` and its id."""
    made = [
        pd.DataFrame({"unique_id": product, "ds": problem.ahead, "y_hat": one(days[["ds", "y"]], str(product))})
        for product, days in problem.history.groupby("unique_id")
    ]
    return pd.concat(made, ignore_index=True)
