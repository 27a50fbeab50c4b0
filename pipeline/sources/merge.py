"""Fresh rows into the stored ones: what a file gave before is replaced, and files that overlap are settled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.sources import daily

EVERYTHING = pd.Timestamp.min.ceil("D").date()
"""The cutoff that drops all of a file's stored rows, whatever the file holds now."""


@dataclass(frozen=True)
class Merged:
    """The new daily table, and what became of the fresh input rows.

    `by_file` is what each file gave, in order; None where the daily table itself says so. `net_negative` holds
    the days whose returns exceeded their sales, before they were set to 0.
    """

    table: pd.DataFrame
    by_file: pd.DataFrame | None
    rows_used: int
    merged_into_day: int
    superseded: int
    net_negative: pd.DataFrame

    @property
    def rows(self) -> pd.DataFrame:
        """The rows under the file that gave each."""
        return self.table if self.by_file is None else self.by_file


def merge(
    stored: pd.DataFrame,
    fresh: Sequence[pd.DataFrame],
    cutoffs: Mapping[str, dt.date],
    ranks: Mapping[str, int],
    overlap: Literal["replace", "add"],
    spoiled: Sequence[pd.DataFrame] = (),
    whole: Collection[str] = (),
) -> Merged:
    """Return the stored rows brought up to date.

    Of a file in `cutoffs` the stored rows from that day to the file's last are dropped: its fresh rows stand for
    them. What lies after the last day that the file has now stays: a file that was cut off took nothing back; but
    not of a part in `whole`, whose answer says all. A product's day in `spoiled` (`source_file`, `product_id`,
    `date`), whose row could not be read, stays as well. Then a fresh row replaces the same file's stored row of its
    key; and of several files' rows of one key the file of the highest rank stands (`replace`), or all add up (`add`).
    """
    kept = stored[~_vanished(stored, fresh, cutoffs, spoiled, whole)]
    rows = _stacked(kept, fresh)
    is_fresh = np.arange(len(rows)) >= len(kept)
    key = daily.KEY if overlap == "replace" else (*daily.KEY, "source_file")
    stands = daily.latest_by(rows, key, ranks, is_fresh) if len(fresh) + (len(kept) > 0) > 1 else is_fresh | True
    superseded = int(rows.loc[is_fresh & ~stands, "input_rows"].sum())
    surviving = rows[is_fresh & stands]
    used = len(surviving.drop_duplicates(list(daily.KEY)))
    by_file = daily.in_order(rows[stands])
    if overlap == "add":
        gross = (by_file["quantity"] + by_file["returned"]).clip(lower=0.0)
        table, negative = daily.without_negatives(daily.add_up(by_file.assign(sold=gross)))
    else:
        table, negative = daily.without_negatives(by_file)
    merged_into_day = int(surviving["input_rows"].sum()) - used
    return Merged(table, by_file if overlap == "add" else None, used, merged_into_day, superseded, negative)


def _vanished(
    stored: pd.DataFrame,
    fresh: Sequence[pd.DataFrame],
    cutoffs: Mapping[str, dt.date],
    spoiled: Sequence[pd.DataFrame],
    whole: Collection[str],
) -> pd.Series:
    ends = {file: days.max() for frame in fresh for file, days in frame.groupby("source_file")["date"]}
    ends |= dict.fromkeys(whole, pd.Timestamp.max)
    first = pd.to_datetime(stored["source_file"].map({name: pd.Timestamp(day) for name, day in cutoffs.items()}))
    last = pd.to_datetime(stored["source_file"].map(ends))
    unread = np.zeros(len(stored), dtype=np.bool_)
    for days in spoiled:
        unread |= pd.MultiIndex.from_frame(stored[list(days.columns)]).isin(pd.MultiIndex.from_frame(days))
    return (stored["date"].between(first, last) & ~unread) | (first == pd.Timestamp(EVERYTHING))


def _stacked(kept: pd.DataFrame, fresh: Sequence[pd.DataFrame]) -> pd.DataFrame:
    frames = [frame for frame in (kept, *fresh) if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else daily.empty()
