"""When new sales are blocked the last good forecast stands, and says that it is stale."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from contracts import DatasetMetadata, Rung
from pipeline.errors import PipelineError
from pipeline.forecasting.issued import read_forecasts
from pipeline.home import Home
from pipeline.monitoring.lineage.log import record
from pipeline.monitoring.lineage.recording import metadata_of
from pipeline.monitoring.lineage.steps import marked_stale
from pipeline.tables import described, write_table

_LOG = logging.getLogger(__name__)


def last_forecasts(path: Path) -> pd.DataFrame | None:
    """Return the forecasts that were stored last, as the contract ForecastRow; None where there are none yet.

    Raises:
        DataError: they cannot be read, or lack columns.
    """
    if not path.exists():
        return None
    return read_forecasts(path, "the last forecasts")


def mark_stale(home: Home, tenant_id: str, why: str) -> int:
    """Mark the tenant's last forecast as stale, with the reason; return its rows, 0 where there is none to mark.

    The file's time stays that of the forecast: by it is known whether the day has one yet. The next forecast that is
    made from good sales takes its place. What blocks the sales is what must be heard: a forecast that cannot be marked
    is logged, and raises nothing.
    """
    path = home.table(tenant_id, "forecasts")
    try:
        frame = last_forecasts(path)
        if frame is None:
            return 0
        marked = stale(frame, f"the last good forecast; new sales are blocked: {why}")
        before, after = metadata_of(home, tenant_id, "forecasts"), described_forecasts(tenant_id, path, marked)
        write_table(path, marked, after, modified_ns=path.stat().st_mtime_ns)
        if before is not None and before.dataset_version != after.dataset_version:
            record(home.lineage, [marked_stale(before, after)])
    except PipelineError as error:
        _LOG.warning("the last forecast of tenant %r could not be marked as stale: %s", tenant_id, error)
        return 0
    return len(frame)


def described_forecasts(tenant_id: str, path: Path, frame: pd.DataFrame) -> DatasetMetadata:
    """Return the metadata of a tenant's forecasts."""
    return described(f"{tenant_id}/forecasts", path, frame, ("tenant_id", "product_id", "date", "y_hat"), "y_hat")


def stale(frame: pd.DataFrame, reason: str) -> pd.DataFrame:
    """Return the rows on the lowest rung, marked."""
    return frame.assign(rung=Rung.LAST_FORECAST.value, stale=True, reason=reason)
