"""The last good forecast, when new sales are blocked."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pandas as pd
import pytest

from contracts import ForecastRow, Rung
from pipeline.errors import DataError
from pipeline.forecasting.stale import last_forecasts, mark_stale
from pipeline.tables import records
from pipeline_tests.forecasting.test_ladder import climb
from pipeline_tests.training.shop import Shop


def test_a_blocked_tenant_keeps_its_forecast_marked_stale(fresh: Shop) -> None:
    """Every row stays, on the lowest rung, says why, and is still a forecast row; the file is as old as before."""
    home = fresh.installation.home
    before = climb(fresh)
    path = home.table("bakery", "forecasts")
    before.to_parquet(path)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert mark_stale(home, "bakery", "the file is torn") == len(before)
    assert path.stat().st_mtime == 1_700_000_000
    after = pd.read_parquet(path)
    assert (after["y_hat"] == before["y_hat"]).all()
    rows = [ForecastRow.model_validate(row) for row in records(after)]
    assert {(row.rung, row.stale) for row in rows} == {(Rung.LAST_FORECAST, True)}
    assert all("the file is torn" in row.reason for row in rows)


def test_a_forecast_is_never_there_marked_and_younger(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that takes the old one's place has its time already: who is killed after that has lost nothing."""
    home = fresh.installation.home
    path = home.table("bakery", "forecasts")
    climb(fresh).to_parquet(path)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    renamed: list[float] = []
    replace = Path.replace

    def replaced(self: Path, target: Path) -> Path:
        if target == path:
            renamed.append(self.stat().st_mtime)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replaced)
    mark_stale(home, "bakery", "the file is torn")
    assert renamed == [1_700_000_000]


@pytest.mark.parametrize("damage", ["torn", "no columns"])
def test_a_forecast_that_cannot_be_marked_is_logged(fresh: Shop, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    """A torn or foreign file raises nothing over what blocks the sales; the log has its path and the cause."""
    home = fresh.installation.home
    path = home.table("bakery", "forecasts")
    if damage == "torn":
        path.write_bytes(b"PAR1 torn")
    else:
        pd.DataFrame({"date": ["2024-01-01"]}).to_parquet(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match=re.escape(str(path))):
        last_forecasts(path)
    assert mark_stale(home, "bakery", "the file is torn") == 0
    assert path.read_bytes() == before
    (record,) = caplog.records
    assert (record.levelname, str(path) in record.getMessage()) == ("WARNING", True)
    assert "'bakery' could not be marked as stale" in record.getMessage()


def test_without_a_forecast_there_is_nothing_to_mark(fresh: Shop) -> None:
    """A tenant that was never forecast is left as it is."""
    home = fresh.installation.home
    assert mark_stale(home, "bakery", "the file is torn") == 0
    assert not Path(home.table("bakery", "forecasts")).exists()
