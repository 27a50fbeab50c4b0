"""Are the sales of another place the same business's? Their days tell."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

ENOUGH = 0.5
"""Share of the product days that both could know which must agree. Two businesses may name their products alike,
but do not sell as many of them on most days."""

_KEY = ["product_id", "date"]


def same_sales(stored: pd.DataFrame, fresh: Sequence[pd.DataFrame]) -> bool:
    """Say whether at least half of the fresh product days within the stored span are stored with the same units."""
    ours, theirs = _units(stored), _units(pd.concat(fresh))
    days = theirs.index.get_level_values("date")
    known = ours.index.get_level_values("date")
    theirs = theirs[(days >= known.min()) & (days <= known.max())]
    agree = (ours.reindex(theirs.index) - theirs).abs() < 1e-6
    return len(theirs) > 0 and bool(agree.mean() >= ENOUGH)


def _units(days: pd.DataFrame) -> pd.Series:
    """Units by product and day, over all locations; returns do not make a day negative."""
    return days.groupby(_KEY)["quantity"].sum().clip(lower=0.0)
