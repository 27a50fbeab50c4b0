"""When new sales are blocked the last good forecast stands, and says that it is stale."""

from __future__ import annotations

import pandas as pd

from contracts import Rung
from pipeline.home import Home
from pipeline.tables import read_table, write_table


def mark_stale(home: Home, tenant_id: str, why: str) -> int:
    """Mark the tenant's last forecast as stale, with the reason; return its rows, 0 where there is none yet.

    The next forecast that is made from good sales takes its place.

    Raises:
        DataError: the stored forecast cannot be read.
    """
    path = home.table(tenant_id, "forecasts")
    if not path.exists():
        return 0
    frame = read_table(path, "the last forecasts")
    reason = f"the last good forecast; new sales are blocked: {why}"
    write_table(path, stale(frame, reason))
    return len(frame)


def stale(frame: pd.DataFrame, reason: str) -> pd.DataFrame:
    """Return the rows on the lowest rung, marked."""
    return frame.assign(rung=Rung.LAST_FORECAST.value, stale=True, reason=reason)
