"""Forecast errors as plain functions over arrays; NaN actuals are days that are not scored."""

from __future__ import annotations

import numpy as np

from contracts import Metrics
from pipeline.engine.intervals import LEVELS
from pipeline.engine.panel import Bools, Floats, Panel

SEASON = 7
SCALE_DAYS = 371
"""Days of history behind MASE and RMSSE: a year and a week, so that 364 seasonal differences count."""


def measure(
    actual: Floats,
    forecast: Floats,
    *,
    lower: Floats | None = None,
    upper: Floats | None = None,
    losses: Floats | None = None,
) -> Metrics:
    """Return the metrics of a block of forecasts but those that are scaled by a history (`scaled_errors`).

    Args:
        actual: units, any shape; NaN where a day is not scored.
        forecast: units, the same shape.
        lower: lower end of the interval, the same shape, for coverage.
        upper: upper end.
        losses: what `pinball_losses` says of each day.
    """
    use = np.isfinite(actual) & np.isfinite(forecast)
    y, f = actual[use], forecast[use]
    if not y.size:
        return Metrics(n=0)
    error, total = f - y, float(y.sum())
    sold = y > 0
    mape = float(100 * np.mean(np.abs(error[sold]) / y[sold])) if sold.any() else None
    return Metrics(
        n=int(y.size),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        r2_score=_r2(y, error),
        mape=mape,
        mape_days_left_out=float(1 - sold.mean()),
        accuracy=None if mape is None else max(0.0, 100 - mape),
        wape=float(np.abs(error).sum() / total) if total > 0 else None,
        bias=float(error.sum() / total) if total > 0 else None,
        coverage=_mean((actual >= lower) & (actual <= upper), use) if lower is not None and upper is not None else None,
        below_upper=_mean(actual <= upper, use) if upper is not None else None,
        pinball=_mean(losses, use & np.isfinite(losses)) if losses is not None else None,
    )


def pinball_losses(actual: Floats, laid: Floats) -> Floats:
    """Return the loss of each day's quantiles, in units, on the mean of the levels (Koenker and Bassett 1978).

    A quantile of level q loses q for each unit that more was sold, 1 - q for each that less was.

    Args:
        actual: units, any shape; NaN where a day is not scored.
        laid: (levels, ...) units, the levels as in LEVELS.
    """
    level = np.reshape(LEVELS, (-1, *(1,) * actual.ndim))
    short = actual - laid
    return np.asarray(np.maximum(level * short, (level - 1) * short).mean(axis=0))


def seasonal_scales(panel: Panel) -> tuple[Floats, Floats]:
    """Return (n,) mean absolute and mean squared difference of lag 7 over the last 371 days; NaN without any."""
    recent = panel.quantity[:, -SCALE_DAYS:]
    difference = recent[:, SEASON:] - recent[:, :-SEASON]
    usable = np.isfinite(difference)
    days = np.maximum(usable.sum(axis=1), 1)
    absolute = np.where(usable, np.abs(difference), 0).sum(axis=1) / days
    squared = np.where(usable, difference**2, 0).sum(axis=1) / days
    known = usable.any(axis=1) & (absolute > 0)
    return np.where(known, absolute, np.nan), np.where(known, squared, np.nan)


def scaled_errors(
    actual: Floats, forecast: Floats, difference: Floats, squared: Floats
) -> tuple[float | None, float | None]:
    """Return MASE and RMSSE (Hyndman and Koehler 2006) as means over series.

    Both are None where no series has scored days and a scale.

    Args:
        actual: (series, days) units; NaN where a day is not scored.
        forecast: (series, days) units.
        difference: (series,) mean absolute seasonal difference of each history.
        squared: (series,) mean squared seasonal difference.
    """
    error = forecast - actual
    scored = np.isfinite(error)
    days = scored.sum(axis=1)
    known = (days > 0) & (difference > 0) & (squared > 0)
    if not known.any():
        return None, None
    error, days = np.where(scored, error, 0.0)[known], days[known]
    absolute = np.abs(error).sum(axis=1) / days / difference[known]
    root = np.sqrt((error**2).sum(axis=1) / days / squared[known])
    return float(absolute.mean()), float(root.mean())


def _r2(y: Floats, error: Floats) -> float | None:
    if y.min() == y.max():  # asked of the units: their mean may differ from them all by a rounding error
        return None
    return 1 - float((error**2).sum()) / float(((y - y.mean()) ** 2).sum())


def _mean(values: Floats | Bools, use: Bools) -> float | None:
    return float(values[use].mean()) if use.any() else None
