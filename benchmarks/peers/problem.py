"""What a peer is given at an origin."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmarks.scoring import HORIZON


@dataclass(frozen=True)
class Problem:
    """Sales up to an origin, and what is known of the days ahead.

    Attributes:
        country: whose public holidays count.
        history: `unique_id, ds, y`, a row for each day from a product's first on.
        origin: last day of the history.
        dates: all days of the task, those to forecast included.
        covariates: `unique_id, ds` and the values, the days ahead included; None: there are none.
    """

    country: str
    history: pd.DataFrame
    origin: pd.Timestamp
    dates: pd.DatetimeIndex
    covariates: pd.DataFrame | None = None

    @property
    def ahead(self) -> pd.DatetimeIndex:
        """The days to forecast."""
        return pd.date_range(self.origin + pd.Timedelta(days=1), periods=HORIZON)

    @property
    def covariate_names(self) -> list[str]:
        """Names of the covariates, in their order."""
        return [] if self.covariates is None else [str(n) for n in self.covariates if n not in ("unique_id", "ds")]

    def few(self, count: int) -> Problem:
        """Return the problem of a few products, spread evenly over all by what they sold in the last 90 days."""
        recent = self.history[self.history["ds"] > self.origin - pd.Timedelta(days=90)]
        ranked = recent.groupby("unique_id")["y"].sum().sort_values(kind="stable").index
        step = max(len(ranked) / count, 1.0)
        chosen = {ranked[int(step * (k + 0.5))] for k in range(min(count, len(ranked)))}
        few = self.history[self.history["unique_id"].isin(chosen)]
        return Problem(self.country, few, self.origin, self.dates, self.covariates)
