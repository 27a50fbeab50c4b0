"""Forecasts as they were issued: kept for each origin, and never changed for a day that is over."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import pandas as pd

from contracts import ForecastRow
from pipeline.errors import DataError
from pipeline.tables import read_table, write_table

FURTHEST = dt.timedelta(days=365)
"""The longest horizon that a forecast may have."""
KEY = ["product_id", "date"]
_LOG = logging.getLogger(__name__)


def read_forecasts(path: Path, what: str, days: tuple[dt.date, dt.date] | None = None) -> pd.DataFrame:
    """Return stored forecasts as the contract ForecastRow: all, or those of the days from one to another alone.

    Raises:
        DataError: they are not there, cannot be read, or lack columns; `what` says what they are.
    """
    since = None if days is None else ("date", pd.Timestamp(days[0]))
    frame = read_table(path, what, since)
    if missing := sorted(set(ForecastRow.model_fields) - set(frame)):
        raise DataError(f"{what}: {path} lacks {', '.join(missing)}; a forecast has the columns of ForecastRow")
    if days is None:
        return frame
    return frame[pd.to_datetime(frame["date"]) <= pd.Timestamp(days[1])].reset_index(drop=True)


def keep_issued(folder: Path, origin: dt.date, frame: pd.DataFrame, today: dt.date) -> None:
    """Keep what was forecast from an origin: of a product's day the last forecast made before the day was over.

    Where no new sales come in, an origin is forecast from again each day; what was said before of the days before
    `today` stands. A file that cannot be read is logged, and replaced.

    Args:
        folder: where the tenant's issued forecasts lie.
        origin: the last day that the forecast has seen.
        frame: rows as the contract ForecastRow.
        today: the day on which they were made, by the tenant's clock.
    """
    path = folder / f"{origin}.parquet"
    if path.exists():
        try:
            before = read_forecasts(path, "the issued forecasts")
        except DataError as error:
            _LOG.warning("what was issued before from the same origin is lost: %s", error)
        else:
            over = before[pd.to_datetime(before["date"]) < pd.Timestamp(today)]
            stand = pd.MultiIndex.from_frame(frame[KEY]).isin(pd.MultiIndex.from_frame(over[KEY]))
            frame = pd.concat([over, frame[~stand]], ignore_index=True) if len(over) else frame
    write_table(path, frame)


def issued_about(folder: Path, first: dt.date, last: dt.date) -> pd.DataFrame:
    """Return every row that was issued about the days from `first` to `last`, as the contract ForecastRow.

    `date` and `origin` are datetime64[ns], `issued_at` datetime64[ns, UTC]. Without any row the columns are there.

    Raises:
        DataError: a file cannot be read, or lacks columns.
    """
    # Names sort as their days do.
    near = [origin for origin in origins_of(folder) if f"{first - FURTHEST}" <= origin < f"{last}"]
    paths = (folder / f"{origin}.parquet" for origin in near)
    read = (_typed(read_forecasts(path, "the issued forecasts", (first, last))) for path in paths)
    found = [frame for frame in read if len(frame)] or [_typed(pd.DataFrame(columns=list(ForecastRow.model_fields)))]
    return pd.concat(found, ignore_index=True)


def origins_of(folder: Path) -> list[str]:
    """Return the origins that forecasts were kept of, YYYY-MM-DD, in order."""
    return sorted(path.stem for path in folder.glob("????-??-??.parquet"))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"date": "datetime64[ns]", "origin": "datetime64[ns]", "issued_at": "datetime64[ns, UTC]"})
