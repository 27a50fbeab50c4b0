"""The last days of a source that is asked and not listed: from which day on, and what its answer is known by."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from contracts import SalesFormat
from pipeline.errors import SourceNotFoundError
from pipeline.sources.moments import as_moments

BEGINNING = dt.date(1970, 1, 1)
MARGIN = dt.timedelta(days=1)
"""Asked for before the first day that is meant, and left out: where the place counts days by another clock than
the tenant's, the first day of an answer is there in part only."""


@dataclass(frozen=True)
class Window:
    """The days that are asked for: from the look-back before `watermark` on, all of them where that is None.

    `watermark` is the last day taken in. `zone` is the tenant's time zone.
    """

    rows: SalesFormat
    zone: str
    watermark: dt.date | None
    lookback_days: int

    @property
    def first(self) -> dt.date | None:
        """The first local day that is taken from an answer; None: every day."""
        return None if self.watermark is None else self.watermark - dt.timedelta(days=self.lookback_days)

    @property
    def since(self) -> dt.date:
        """The day that the place is asked from."""
        return BEGINNING if self.first is None else self.first - MARGIN

    def after(self, last: dt.date | None) -> Window:
        """Return the window that is asked for when the days up to `last` have been taken in."""
        return self if last is None else replace(self, watermark=last)

    def cut(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the window, numbered as before; those without a date that can be read stay in it."""
        if self.first is None or self.rows.mapping.date not in frame.columns:
            return frame
        moments = as_moments(frame[self.rows.mapping.date], self.zone, self.rows.date_format)
        return frame[~(moments < np.datetime64(self.first))]

    def refuse_empty(self, frame: pd.DataFrame, place: str) -> None:
        """Raise when an answer holds nothing at all: a table that is being filled anew, or the wrong one.

        Raises:
            SourceNotFoundError: says what was there before; nothing is taken back.
        """
        if len(frame) == 0 and self.watermark is not None:
            raise SourceNotFoundError(
                f"{place} holds no row from {self.first} on, though sales up to {self.watermark} were taken in; "
                "what is stored stays. Is the table being filled anew?"
            )
        if len(frame) == 0:
            raise SourceNotFoundError(f"{place} answers without a single row; is it the right table or query?")


def digest(frame: pd.DataFrame) -> str:
    """Return a hash of a table's rows, whatever their order."""
    rows = np.sort(pd.util.hash_pandas_object(frame, index=False, categorize=True).to_numpy())
    return hashlib.sha256(repr(list(frame.columns)).encode() + rows.tobytes()).hexdigest()
