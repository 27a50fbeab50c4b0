"""The last good forecast, when new sales are blocked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from contracts import ForecastRow, Rung
from pipeline.forecasting.stale import mark_stale
from pipeline.tables import records
from pipeline_tests.forecasting.test_ladder import climb
from pipeline_tests.training.shop import Shop


def test_a_blocked_tenant_keeps_its_forecast_marked_stale(fresh: Shop) -> None:
    """Every row stays, on the lowest rung, says why, and is still a forecast row."""
    home = fresh.installation.home
    before = climb(fresh)
    path = home.table("bakery", "forecasts")
    before.to_parquet(path)
    assert mark_stale(home, "bakery", "the file is torn") == len(before)
    after = pd.read_parquet(path)
    assert (after["y_hat"] == before["y_hat"]).all()
    rows = [ForecastRow.model_validate(row) for row in records(after)]
    assert {(row.rung, row.stale) for row in rows} == {(Rung.LAST_FORECAST, True)}
    assert all("the file is torn" in row.reason for row in rows)


def test_without_a_forecast_there_is_nothing_to_mark(fresh: Shop) -> None:
    """A tenant that was never forecast is left as it is."""
    home = fresh.installation.home
    assert mark_stale(home, "bakery", "the file is torn") == 0
    assert not Path(home.table("bakery", "forecasts")).exists()
