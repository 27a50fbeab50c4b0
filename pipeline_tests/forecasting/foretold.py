"""Forecast rows as they are stored, with as many figures made up as a test needs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from contracts import ForecastRow
from pipeline.forecasting.ladder import QUANTILE_COLUMNS

AT_THREE = pd.Timedelta(hours=3)


def row(
    product: str, origin: pd.Timestamp, ahead: int, y_hat: float = 10.0, issued: pd.Timestamp | None = None
) -> dict[str, object]:
    """A row for a day so many days after its origin; made at three in the night after the origin unless said, UTC."""
    levels = dict(zip(QUANTILE_COLUMNS, (y_hat * (0.4 + 0.2 * k) for k in range(7)), strict=True))
    made = origin + pd.Timedelta(days=1) + AT_THREE if issued is None else issued
    return {
        "tenant_id": "sol", "product_id": product, "date": origin + pd.Timedelta(days=ahead), "origin": origin,
        "horizon": ahead, "y_hat": y_hat, **levels, "model_version": None, "rung": "champion", "reason": "in use",
        "stale": False, "issued_at": made.tz_localize("UTC"),
    }  # fmt: skip


def frame(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """The rows as the contract ForecastRow, in the types that `issued_about` returns."""
    types = {"date": "datetime64[ns]", "origin": "datetime64[ns]", "issued_at": "datetime64[ns, UTC]"}
    return pd.DataFrame(rows, columns=list(ForecastRow.model_fields)).astype(types)
