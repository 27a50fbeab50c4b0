"""The classical peers, from statsforecast: one thread, product by product, last week again where a model fails."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmarks.peers.problem import Problem
from benchmarks.scoring import HORIZON, SEASON


def seasonal_naive(problem: Problem) -> pd.DataFrame:
    """Repeat last week."""
    from statsforecast.models import SeasonalNaive

    return _forecast(problem, SeasonalNaive(SEASON))


def seasonal_average(problem: Problem) -> pd.DataFrame:
    """Take the mean of the last four same weekdays."""
    from statsforecast.models import SeasonalWindowAverage

    return _forecast(problem, SeasonalWindowAverage(season_length=SEASON, window_size=4))


def auto_ets(problem: Problem) -> pd.DataFrame:
    """Smooth exponentially, the form chosen by its AICc (Hyndman and others 2008)."""
    from statsforecast.models import AutoETS

    return _forecast(problem, AutoETS(season_length=SEASON))


def auto_theta(problem: Problem) -> pd.DataFrame:
    """Take the best of four theta models (Fiorucci and others 2016)."""
    from statsforecast.models import AutoTheta

    return _forecast(problem, AutoTheta(season_length=SEASON))


def _forecast(problem: Problem, model: Any) -> pd.DataFrame:
    from statsforecast import StatsForecast
    from statsforecast.models import SeasonalNaive

    runner = StatsForecast(models=[model], freq="D", n_jobs=1, fallback_model=SeasonalNaive(SEASON))
    made: pd.DataFrame = runner.forecast(df=problem.history, h=HORIZON)
    return made.rename(columns={made.columns[-1]: "y_hat"})
