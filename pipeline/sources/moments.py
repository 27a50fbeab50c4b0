"""Dates and times in any common spelling to naive local time."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import ConfigurationError
from pipeline.sources.values import distinct, plain, spread

Moments = npt.NDArray[np.datetime64]

# Epoch zeros and spreadsheet zeros (1970-01-01, 1899-12-30) are faults, and would stretch every panel.
EARLIEST = np.datetime64("1980-01-01", "ns")
_LATEST = np.datetime64("2200-01-01", "ns")
_ISO = r"\d{4}[-/.]?\d{2}[-/.]?\d{2}(?:[T ].*)?"
_OFFSET = r":\d{2}.*?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)$"
_AT_MIDNIGHT = r".{8,10}[T ]00:00(?::00(?:[.,]0*)?)? ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)$"
_COMMON = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y")
_COMMON_TIMES = ("", " %H:%M", " %H:%M:%S")


def as_moments(cells: pd.Series, zone: str, date_format: str | None = None) -> Moments:
    """Return cells as naive local times, datetime64[ns]; NaT where a cell holds no date.

    A naive time is local. One with an offset is converted to `zone`, unless every value with an offset
    is midnight where it was written: such a column holds days, not moments, and keeps them.

    Raises:
        ConfigurationError: `date_format` is no strptime format.
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        return _limited(_to_local(cells, zone))
    if pd.api.types.is_datetime64_dtype(cells.dtype):
        return _limited(cells)
    codes, values = distinct(cells)
    texts = pd.Series([plain(value) for value in values], dtype=object)
    parsed = _with_format(texts, zone, date_format) if date_format else _iso(texts, zone)
    return spread(codes, _limited(parsed), np.datetime64("NaT", "ns"))


def suggest_format(texts: list[str]) -> str | None:
    """Return a common strptime format that reads all of some texts, or None."""
    for date in _COMMON:
        for time in _COMMON_TIMES:
            if texts and pd.to_datetime(pd.Series(texts), format=date + time, errors="coerce").notna().all():
                return date + time
    return None


def _limited(moments: pd.Series) -> Moments:
    """Times beyond a sane range become NaT before the finer unit could overflow."""
    coarse = moments.to_numpy().astype("datetime64[us]")
    fine = np.where((coarse >= EARLIEST) & (coarse < _LATEST), coarse, np.datetime64("NaT"))
    return fine.astype("datetime64[ns]")


def _to_local(moments: pd.Series, zone: str) -> pd.Series:
    written = pd.Series(moments.dt.tz_localize(None))
    return written if _no_time(written) else pd.Series(moments.dt.tz_convert(ZoneInfo(zone)).dt.tz_localize(None))


def _with_format(texts: pd.Series, zone: str, date_format: str) -> pd.Series:
    with_offset = "%z" in date_format
    try:
        parsed = pd.to_datetime(texts, format=date_format, errors="coerce", utc=with_offset)
    except (ValueError, re.error) as error:
        raise ConfigurationError(
            f"date_format {date_format!r} is no strptime format, such as %d.%m.%Y: {error}"
        ) from error
    return pd.Series(parsed.dt.tz_convert(ZoneInfo(zone)).dt.tz_localize(None)) if with_offset else parsed


def _iso(texts: pd.Series, zone: str) -> pd.Series:
    likely = texts.str.fullmatch(_ISO)
    aware = likely & texts.str.contains(_OFFSET)
    clean = texts.str.replace(r"^(\d{4})[/.](\d{2})[/.](\d{2})", r"\1-\2-\3", regex=True)
    parsed = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns]")
    naive = likely & ~aware
    parsed[naive] = pd.to_datetime(clean[naive], format="ISO8601", errors="coerce")
    if not aware.any():
        return parsed
    days_only = clean[aware].str.fullmatch(_AT_MIDNIGHT).all() and _no_time(parsed[naive])
    parsed[aware] = _days(clean[aware]) if days_only else _instants(clean[aware], zone)
    return parsed


def _no_time(moments: pd.Series) -> bool:
    known = moments.dropna()
    return bool((known.dt.normalize() == known).all())


def _days(texts: pd.Series) -> pd.Series:
    return pd.to_datetime(texts.str.split("[T ]", n=1, regex=True).str[0], format="ISO8601", errors="coerce")


def _instants(texts: pd.Series, zone: str) -> pd.Series:
    offsets = texts.str.replace(r" ?(?:UTC|Z)$", "+00:00", regex=True).str.replace(r" ([+-]\d{2})", r"\1", regex=True)
    instants = pd.to_datetime(offsets, format="ISO8601", errors="coerce", utc=True)
    return pd.Series(instants.dt.tz_convert(ZoneInfo(zone)).dt.tz_localize(None))
